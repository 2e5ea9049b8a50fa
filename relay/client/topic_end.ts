// This module is browser compatible.

/**
 * How a topic may end: `complete`, its source said that it was done; `failed`, it
 * said that it was not, or could not be reached; `truncated`, the connection died
 * before it said anything; `cancelled`; `expired`.
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
 * How a topic ended.
 *
 * @example An end with a reason
 * ```ts
 * import type { TopicEnd } from "@rivulet/rivulet/client";
 *
 * const end: TopicEnd = { status: "cancelled", reason: "not needed" };
 * ```
 */
export interface TopicEnd {
  /** How. */
  readonly status: EndStatus;
  /** Why, in words, where there is more to say than the status. */
  readonly reason?: string;
}
