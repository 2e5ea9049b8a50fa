import type { Message } from "./long_message.ts";

/** A range of events, joined once for all who read it. */
export interface Frame {
  /** The offset after the last event in it. */
  readonly to: number;
  /** The events as a door writes them. */
  readonly bytes: Message;
  /** Whether more events would not have fitted: it stays right when the log grows. */
  readonly full: boolean;
  /**
   * The time at which the first of them was appended, in milliseconds since the
   * epoch; 0 for a snapshot.
   */
  readonly time: number;
}
