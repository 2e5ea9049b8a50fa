import type { After } from "./position.ts";
import type { Topic } from "./topic.ts";

/** The place where a reader goes on that has read an epoch of a topic to its end. */
export interface NextStart {
  /** The topic that comes next under the name. */
  readonly topic: Topic;
  /** Its beginning; a position of another log, if there may have been more in between. */
  readonly after: After;
}

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
  const hasEnded = state.kind === "ended";
  // After an end there is nothing, wherever a reader thinks that it is.
  if (after.epoch !== log.epoch || !hasEnded && after.offset >= log.next) {
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
    // The end has an offset of its own.
    afterEnd: after.offset >= log.next,
  };
}
