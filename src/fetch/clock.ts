// This module is browser compatible.

/**
 * The source of time for all of this package, so that tests need not wait.
 *
 * @example A timer that is cancelled
 * ```ts
 * import { type Clock, systemClock } from "@rivulet/rivulet/fetch";
 * import { assert } from "@std/assert";
 *
 * const clock: Clock = systemClock;
 * const cancel = clock.setTimeout(() => console.log("too late"), 1_000);
 * cancel();
 * assert(clock.now() > 0);
 * ```
 */
export interface Clock {
  /**
   * The time in milliseconds since the Unix epoch; never goes back. It is for
   * durations: it may stand still while the machine sleeps, and keeps the error that
   * the machine's clock had at the start.
   */
  now(): number;
  /**
   * The calendar's time, in milliseconds since the Unix epoch. It may jump, in
   * both directions. It is for times that others have set, such as the end of a
   * token. Default: {@linkcode Clock.now}.
   */
  wallTime?(): number;
  /**
   * Calls `callback` once, after `delay` milliseconds.
   *
   * @param callback The function to call.
   * @param delay In milliseconds; over 2^31-1 counts as 2^31-1.
   * @returns Cancels the call; does nothing once it has been made.
   */
  setTimeout(callback: () => void, delay: number): () => void;
}

/** A longer delay makes every runtime's timer fire at once (a 32-bit overflow). */
const MAX_DELAY = 2 ** 31 - 1;

/**
 * The clock of the machine: the default wherever a {@linkcode Clock} is taken.
 *
 * @example Measure a step
 * ```ts
 * import { systemClock } from "@rivulet/rivulet/fetch";
 * import { assert } from "@std/assert";
 *
 * const start = systemClock.now();
 * assert(systemClock.now() >= start);
 * ```
 */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  wallTime: () => Date.now(),
  setTimeout(callback, delay) {
    const timer = setTimeout(callback, Math.min(delay, MAX_DELAY));
    return () => clearTimeout(timer);
  },
};

/** Returns the calendar's time, in milliseconds since the Unix epoch. */
export function wallTime(clock: Clock): number {
  return clock.wallTime?.() ?? clock.now();
}
