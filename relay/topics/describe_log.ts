import type { Log } from "./log.ts";
import type { StoredTopic } from "./store.ts";

/** The members of a log that a list shows. */
type ListedLog = Pick<
  Log,
  | "epoch"
  | "createdAt"
  | "firstAt"
  | "lastAt"
  | "facts"
  | "first"
  | "next"
  | "bytes"
  | "ended"
>;

/** Describes a topic by its log, as a list does. */
export function describeLog(
  name: string,
  { epoch, createdAt, firstAt, lastAt, facts, first, next, bytes, ended }:
    ListedLog,
): StoredTopic {
  return {
    name,
    epoch,
    createdAt,
    firstAt,
    lastAt,
    facts,
    first,
    next,
    bytes,
    end: ended,
  };
}
