import type { Access } from "../rights/access.ts";
import type { Position } from "../topics/position.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import type { Topic } from "../topics/topic.ts";
import { isNews } from "./new_topics.ts";
import type { PrefixPosition } from "./prefix_position.ts";

/** The topics that a store is asked for at a time. */
const PREPARED_AT_ONCE = 100;

/** A reader of all topics whose names begin alike, as far as it matters to where it goes on. */
export interface PrefixReader {
  /** The beginning of the names. */
  readonly prefix: string;
  /** The rights of the reader. */
  readonly access: Access;
  /** The topics. */
  readonly topics: TopicRegistry;
}

/** The way on in a topic in which a reader has a place. */
export type Resumed =
  /** There is more of it. */
  | { readonly kind: "follow"; readonly topic: Topic }
  /** The reader has all of it, and its end. */
  | {
    readonly kind: "told";
    readonly topic: Topic;
    /** Whether the name has begun anew. */
    readonly isRenewed: boolean;
  }
  | {
    readonly kind: "refused";
    readonly code: "forbidden" | "unknown_topic";
    readonly reason: string;
  };

/** Returns the way on in a topic in which a reader that comes back has a place. */
export function resumeTopic(
  { access, topics }: PrefixReader,
  name: string,
  position: Position,
): Resumed {
  if (!access.may("read", name)) {
    return {
      kind: "refused",
      code: "forbidden",
      reason: "Expected a token with the right to read this topic",
    };
  }
  const current = topics.get(name);
  if (!current) {
    return {
      kind: "refused",
      code: "unknown_topic",
      reason: "There is no such topic any more",
    };
  }
  const topic = topics.at(current, position);
  const { log, state } = topic;
  const isOver = log.epoch === position.epoch && state.kind === "ended" &&
    position.offset >= log.next;
  return isOver
    ? { kind: "told", topic, isRenewed: topics.after(topic) !== undefined }
    : { kind: "follow", topic };
}

/** Iterates over the topics in memory that a reader may read. */
export function* knownTopics(
  { prefix, access, topics }: PrefixReader,
): Generator<Topic, void> {
  for (const topic of topics) {
    const { name } = topic;
    if (name.startsWith(prefix) && access.may("read", name)) yield topic;
  }
}

/**
 * Iterates over the topics in which a reader that comes back has no place, and that have not
 * ended, or have since it left: each in the epoch that it begins with.
 */
export function* topicsSince(
  reader: PrefixReader,
  { time, positions }: PrefixPosition,
): Generator<Topic, void> {
  for (const { name } of knownTopics(reader)) {
    if (positions.has(name)) continue;
    let first: Topic | undefined;
    for (const topic of reader.topics.epochs(name)) {
      if (!isNews(topic, time)) break;
      first = topic;
    }
    if (first) yield first;
  }
}

/**
 * Has the topics of a prefix at hand for a reader that comes back.
 *
 * @returns `undefined` if they are, as all topics are of a relay without a store.
 */
export function prepareResumption(
  reader: PrefixReader,
  { time, positions }: PrefixPosition,
): Promise<void> | undefined {
  return reader.topics.prepareAll(reader.prefix, time)
    ?.then(() => preparePlaces(reader, positions));
}

async function preparePlaces(
  { access, topics }: PrefixReader,
  positions: PrefixPosition["positions"],
): Promise<void> {
  const places = [...positions];
  // A client chooses their number: a store is not asked for all of them at once.
  while (places.length > 0) {
    await Promise.all(
      places.splice(0, PREPARED_AT_ONCE).map(([name, after]) =>
        access.may("read", name) ? topics.prepare(name, { after }) : undefined
      ),
    );
  }
}

/** Returns the place in front of all events, so that a reader is told of those that are gone. */
export function beginningOf({ log: { epoch } }: Topic): Position {
  return { epoch, offset: 0 };
}
