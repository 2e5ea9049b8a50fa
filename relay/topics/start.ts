import type { After } from "./position.ts";
import type { Topic } from "./topic.ts";

/** The place in a topic where a reader begins. */
export interface Start {
  /**
   * The offset of the first event after the position of the reader: less than the
   * log's first where events were evicted in between.
   */
  readonly cursor: number;
  /** Whether the log still has all events after the position. */
  readonly recovered: boolean;
  /** Whether the position belongs to another log. */
  readonly foreign: boolean;
  /** Whether the position is that of the topic's end: nothing comes after it. */
  readonly afterEnd: boolean;
}

/** Finds the place in a topic where a reader begins that asks for a position. */
export function findStart({ log, state }: Topic, after: After): Start {
  const known = { recovered: true, foreign: false, afterEnd: false };
  if (after === "start") return { ...known, cursor: log.first };
  if (after === "now") return { ...known, cursor: log.next };
  // The end has an offset of its own: after it is a place in an ended log.
  const last = state.kind === "ended" ? log.next : log.next - 1;
  if (after.epoch !== log.epoch || after.offset > last) {
    return {
      cursor: log.first,
      recovered: false,
      foreign: true,
      afterEnd: false,
    };
  }
  const cursor = Math.min(after.offset + 1, log.next);
  return {
    cursor,
    recovered: cursor >= log.first,
    foreign: false,
    afterEnd: after.offset === log.next,
  };
}
