import type { Clock } from "../../src/fetch/clock.ts";

/**
 * How long ago something was, for logs: in seconds, to the millisecond.
 *
 * @param start When it was, in milliseconds since the epoch.
 * @param clock Where time comes from.
 */
export function secondsSince(start: number, clock: Clock): number {
  return Math.round(clock.now() - start) / 1_000;
}
