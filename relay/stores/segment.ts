import type { LogEntry } from "../topics/log.ts";

/** Events that follow each other. */
export interface Segment {
  /** The offset of the first of them. */
  readonly first: number;
  /** The events: one at least. */
  readonly entries: readonly LogEntry[];
}
