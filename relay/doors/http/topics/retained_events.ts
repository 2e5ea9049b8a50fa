import type { LogEntry, ReadBudget } from "../../../topics/log.ts";
import type { After } from "../../../topics/position.ts";
import { findStart } from "../../../topics/start.ts";
import type { Topic } from "../../../topics/topic.ts";

/** The retained events after a position. */
export interface RetainedEvents {
  /** The offset of the first of them. */
  readonly from: number;
  /** The end of the log by then. */
  readonly next: number;
  readonly entries: readonly LogEntry[];
  /** Whether no event is missing between the position and these. */
  readonly isWhole: boolean;
}

/** Reads the retained events after a position. If retention evicts some of them meanwhile, reads the rest. */
export async function readRetained(
  topic: Topic,
  after: After,
  budget: ReadBudget,
): Promise<RetainedEvents> {
  const { log } = topic;
  for (;;) {
    const { first, next } = log;
    const { cursor, recovered } = findStart(topic, after);
    const hole = log.holeAt?.(cursor);
    const from = hole ? hole.to + 1 : Math.max(cursor, first);
    const isWhole = recovered && !hole;
    if (from >= next) return { from, next, entries: [], isWhole };
    try {
      const { entries } = await log.read(from, budget);
      return { from, next, entries, isWhole };
    } catch (error) {
      // Not an error if the relay where the topic lives has evicted the events meanwhile.
      if (log.first <= from) throw error;
    }
  }
}
