// This module is browser compatible.
import type { Clock } from "./clock.ts";

/**
 * Notices that a wait has become too long.
 *
 * A stream brings many signs of life and seldom dies, so a sign of life costs
 * one reading of the clock and no timer: the timer, at most one at a time, is
 * set for the earliest moment at which the wait can be over, and when it fires
 * it looks at how long it has been, and is set again for the rest.
 */
export class Watchdog {
  readonly #getTimeout: () => number;
  readonly #onExpire: () => void;
  readonly #clock: Clock;
  #since = 0;
  #due = 0;
  #waiting = false;
  #cancelTimer: (() => void) | undefined;

  /**
   * Makes a watchdog that sleeps.
   *
   * @param timeout The time limit of a wait, in milliseconds; 0 and `Infinity`
   * mean for ever. A function is asked at the start of each wait, and when it
   * may be over.
   * @param onExpire Called when a wait has lasted that long.
   * @param clock The clock of the wait.
   */
  constructor(
    timeout: number | (() => number),
    onExpire: () => void,
    clock: Clock,
  ) {
    const constant = timeout === 0 ? Infinity : timeout;
    this.#getTimeout = typeof constant === "function"
      ? constant
      : () => constant;
    this.#onExpire = onExpire;
    this.#clock = clock;
  }

  /** A wait begins now; if there was one already, it begins anew. */
  start(): void {
    const timeout = this.#getTimeout();
    if (timeout === Infinity) return;
    this.#since = this.#clock.now();
    this.#waiting = true;
    // Less may be expected than when the timer was set.
    if (this.#cancelTimer && this.#due > this.#since + timeout) {
      this.#cancelTimer();
      this.#cancelTimer = undefined;
    }
    if (!this.#cancelTimer) this.#arm(timeout);
  }

  /** A sign of life: the wait, if there is one, begins anew. */
  touch(): void {
    if (this.#waiting) this.#since = this.#clock.now();
  }

  /** The wait is over. A timer may stay behind for the next one. */
  stop(): void {
    this.#waiting = false;
  }

  /** The wait is over, and there won't be another: no timer stays behind. */
  close(): void {
    this.#waiting = false;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #arm(delay: number, last = false): void {
    this.#due = this.#clock.now() + delay;
    this.#cancelTimer = this.#clock.setTimeout(() => {
      this.#cancelTimer = undefined;
      if (!this.#waiting) return;
      const rest = this.#since + this.#getTimeout() - this.#clock.now();
      if (rest > 0) this.#arm(rest);
      // Runtimes run the timers that are due before they look at sockets. A
      // program that was busy past the deadline has its bytes waiting there:
      // they get one turn to arrive.
      else if (!last) this.#arm(0, true);
      else this.#onExpire();
    }, delay);
  }
}
