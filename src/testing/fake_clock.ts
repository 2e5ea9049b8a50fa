// This module is browser compatible.
import type { Clock } from "../fetch/clock.ts";

interface Timer {
  readonly due: number;
  readonly callback: () => void;
}

/** Lets everything run that is ready to run: promises, and work they start. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      port2.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/**
 * A {@linkcode Clock} that stands still until it is told to go on.
 *
 * @example An hour in no time
 * ```ts
 * import { FakeClock } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new FakeClock();
 * let rung = false;
 * clock.setTimeout(() => rung = true, 3_600_000);
 * await clock.advance(3_599_999);
 * assertEquals(rung, false);
 * await clock.advance(1);
 * assertEquals(rung, true);
 * ```
 */
export class FakeClock implements Clock {
  #now: number;
  readonly #timers = new Set<Timer>();

  /**
   * Makes a clock that stands still.
   *
   * @param now The time it shows at first, in milliseconds since the epoch. Default: 0.
   */
  constructor(now = 0) {
    this.#now = now;
  }

  /** How many timers are waiting: 0 when nothing was left behind. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The time that the clock shows, in milliseconds since the epoch. */
  now(): number {
    return this.#now;
  }

  /**
   * Calls `callback` when the clock has been advanced by `delay`.
   *
   * @param callback What to call.
   * @param delay In milliseconds.
   * @returns Cancels the call.
   */
  setTimeout(callback: () => void, delay: number): () => void {
    const timer = { due: this.#now + Math.max(0, delay), callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /**
   * Moves time on, calling each timer at its own time, in order, and letting
   * promises settle after each.
   *
   * @param duration In milliseconds.
   */
  async advance(duration: number): Promise<void> {
    const end = this.#now + duration;
    await settle();
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.due <= end && (!next || timer.due < next.due)) next = timer;
      }
      if (!next) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.due);
      next.callback();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}
