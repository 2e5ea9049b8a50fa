/**
 * The end status of a topic (PROTOCOL.md, section 1). `complete`: the upstream
 * said that it was done. `failed`: the upstream said that it failed, or could not
 * be reached. `truncated`: the connection died before the upstream said either.
 * The others are `cancelled` and `expired`.
 *
 * @example One of five
 * ```ts
 * import type { EndStatus } from "@rivulet/rivulet/relay";
 *
 * const status: EndStatus = "truncated";
 * ```
 */
export type EndStatus =
  | "complete"
  | "failed"
  | "truncated"
  | "cancelled"
  | "expired";

/** Every end status. */
export const END_STATUSES = [
  "complete",
  "failed",
  "truncated",
  "cancelled",
  "expired",
] as const satisfies readonly EndStatus[];

/**
 * The verdict on a stream, and the entry that closes its log.
 *
 * @example A verdict with a reason
 * ```ts
 * import type { TopicEnd } from "@rivulet/rivulet/relay";
 *
 * const end: TopicEnd = { status: "failed", reason: "out of tokens" };
 * ```
 */
export interface TopicEnd {
  /** The status. */
  readonly status: EndStatus;
  /** The reason, in words, if there is more to say than the status. */
  readonly reason?: string;
}

/**
 * The verdict on a topic, as a store keeps it: the last entry of its log.
 *
 * @example A whole answer
 * ```ts
 * import type { StoredEnd } from "@rivulet/rivulet/relay";
 *
 * const end: StoredEnd = { status: "complete", isWhole: true, at: Date.now() };
 * ```
 */
export interface StoredEnd extends TopicEnd {
  /** Whether the events are all that the upstream had to say. */
  readonly isWhole: boolean;
  /** The time of the end, in milliseconds since the epoch. */
  readonly at: number;
}
