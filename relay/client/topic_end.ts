// This module is browser compatible.

/**
 * The status with which a topic ends: `complete`, its source reported that it
 * was done; `failed`, its source reported a failure or could not be reached;
 * `truncated`, the connection died before the source reported either;
 * `cancelled`; `expired`.
 *
 * @example One of five
 * ```ts
 * import type { EndStatus } from "@rivulet/rivulet/client";
 *
 * const status: EndStatus = "complete";
 * ```
 */
export type EndStatus =
  | "complete"
  | "failed"
  | "truncated"
  | "cancelled"
  | "expired";

/**
 * The end of a topic.
 *
 * @example An end with a reason
 * ```ts
 * import type { TopicEnd } from "@rivulet/rivulet/client";
 *
 * const end: TopicEnd = { status: "cancelled", reason: "not needed" };
 * ```
 */
export interface TopicEnd {
  /** The status. */
  readonly status: EndStatus;
  /** The reason, in words, if there is more to say than the status. */
  readonly reason?: string;
}
