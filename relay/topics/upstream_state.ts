/**
 * The state of a topic's upstream (PROTOCOL.md, section 2, `upstream`). `open`: it
 * is connected. `retrying`: it waits before it connects again. `connecting`: it
 * connects again. `lost`: it has given up, and the topic ends.
 *
 * @example Attempt 2, in a second, after a status of 503
 * ```ts
 * import type { UpstreamState } from "@rivulet/rivulet/relay";
 *
 * const upstream: UpstreamState = {
 *   state: "retrying",
 *   status: 503,
 *   attempt: 2,
 *   retryIn: 1_000,
 * };
 * ```
 */
export interface UpstreamState {
  /** The state of the upstream. */
  readonly state: "connecting" | "open" | "retrying" | "lost";
  /** The status that it has answered with, if that is what went wrong. */
  readonly status?: number;
  /**
   * The number of the attempt in a row, under way or next: 2 after a first
   * failure.
   */
  readonly attempt?: number;
  /** The time until the next attempt, in milliseconds. */
  readonly retryIn?: number;
}
