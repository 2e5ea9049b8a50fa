// This module is browser compatible.
import type { Clock } from "../fetch/clock.ts";
import { turns } from "./turns.ts";

interface Timer {
  readonly due: number;
  readonly callback: () => void;
}

/** A longer delay counts as this one, as {@linkcode Clock.setTimeout} has it. */
const MAX_DELAY = 2 ** 31 - 1;

/**
 * The number of event loop turns until nothing moves any more. One is enough
 * for promises and web streams, in Deno, Node and Bun; work on other threads
 * (compression, cryptography) takes a few more. They cost next to nothing
 * beside the first.
 */
const SETTLING_TURNS = 8;

/**
 * The time to wait for a promise that no timer can settle any more, in real
 * milliseconds: work on other threads takes longer on a busy machine.
 */
const LAST_CHANCE = 250;

/** Options for {@linkcode FakeClock.run}. */
export interface FakeClockRunOptions {
  /**
   * The number of timers that may fire before the clock gives up. Without a
   * bound, code that retries for ever would never return.
   *
   * @default {10_000}
   */
  maxTimers?: number | undefined;
}

/**
 * A {@linkcode Clock} that stands still until it is told to go on.
 *
 * Time passes in {@linkcode FakeClock.advance}, by the given amount, and in
 * {@linkcode FakeClock.run}, until a promise settles. Between two timers, both
 * let everything happen that is ready to happen: promises, web streams, and
 * what those start. They cannot wait for anything outside the process, such as
 * a real socket.
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
 *
 * @example However long it takes
 * ```ts
 * import { FakeClock } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new FakeClock();
 * const sleep = (ms: number) =>
 *   new Promise<void>((resolve) => clock.setTimeout(resolve, ms));
 * async function work(): Promise<string> {
 *   for (const ms of [100, 200, 400]) await sleep(ms);
 *   return "done";
 * }
 *
 * assertEquals(await clock.run(work()), "done");
 * assertEquals(clock.now(), 700);
 * ```
 */
export class FakeClock implements Clock {
  #now: number;
  /** The time by which the wall clock is ahead. */
  #ahead = 0;
  readonly #timers = new Set<Timer>();

  /**
   * Makes a clock that stands still.
   *
   * @param now The time it shows at first, in milliseconds since the epoch. Default: 0.
   */
  constructor(now = 0) {
    this.#now = now;
  }

  /** The number of waiting timers: 0 if nothing was left behind. */
  get pending(): number {
    return this.#timers.size;
  }

  /** The time that the clock shows, in milliseconds since the epoch. */
  now(): number {
    return this.#now;
  }

  /** The time that the calendar says, in milliseconds since the epoch. */
  wallTime(): number {
    return this.#now + this.#ahead;
  }

  /**
   * Sets the calendar's time on, or back, without time passing: the machine has slept,
   * or somebody has corrected its clock. No timer is called.
   *
   * @param by In milliseconds.
   */
  jump(by: number): void {
    this.#ahead += by;
  }

  /**
   * Calls `callback` when the clock has been advanced by `delay`.
   *
   * @param callback The function to call.
   * @param delay In milliseconds; over 2^31-1 counts as 2^31-1.
   * @returns Cancels the call.
   */
  setTimeout(callback: () => void, delay: number): () => void {
    const due = this.#now + Math.min(delay > 0 ? delay : 0, MAX_DELAY);
    const timer = { due, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /**
   * Moves time on, calling each timer at its own time, in order, and letting
   * promises and streams settle after each.
   *
   * @param duration In milliseconds.
   * @throws {RangeError} If the duration is negative or not finite.
   */
  async advance(duration: number): Promise<void> {
    if (!(duration >= 0 && duration < Infinity)) {
      throw new RangeError(
        `Cannot advance the clock as 'duration' must be a number of milliseconds, 0 or more: current value is ${duration}`,
      );
    }
    const end = this.#now + duration;
    await turns(SETTLING_TURNS);
    for (let timer; (timer = this.#next()) && timer.due <= end;) {
      await this.#call(timer);
    }
    this.#now = Math.max(this.#now, end);
  }

  /**
   * Moves time on until a promise settles, from timer to timer, and no further.
   *
   * This suits work that takes a time which the test doesn't care about, or is
   * about to measure: how long a client waited before its third attempt. What
   * the promise waits for must come of timers of this clock.
   *
   * @typeParam T The type of the promise's value.
   * @param promise The promise to wait for.
   * @param options The limit for the wait.
   * @returns The value of the promise; it rejects as the promise does.
   * @throws {RangeError} If `maxTimers` is not a positive integer.
   * @throws {Error} If the promise is still pending when no timer is left, or
   * when `maxTimers` were called.
   *
   * @example Three attempts
   * ```ts
   * import { FakeClock } from "@rivulet/rivulet/testing";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * const clock = new FakeClock();
   * const attempts: number[] = [];
   * async function attempt(): Promise<void> {
   *   for (let wait = 1_000; attempts.length < 3; wait *= 2) {
   *     attempts.push(clock.now());
   *     await new Promise<void>((resolve) => clock.setTimeout(resolve, wait));
   *   }
   *   throw new Error("gave up");
   * }
   *
   * await assertRejects(() => clock.run(attempt()), Error, "gave up");
   * assertEquals(attempts, [0, 1_000, 3_000]);
   * ```
   */
  async run<T>(
    promise: PromiseLike<T>,
    options: FakeClockRunOptions = {},
  ): Promise<T> {
    const { maxTimers = 10_000 } = options;
    if (!(Number.isInteger(maxTimers) && maxTimers > 0)) {
      throw new RangeError(
        `Cannot run the clock as 'maxTimers' must be a positive integer: current value is ${maxTimers}`,
      );
    }
    let settled = false;
    const onSettled = (): void => {
      settled = true;
    };
    promise.then(onSettled, onSettled);
    await turns(SETTLING_TURNS);
    for (let called = 0; !settled; called++) {
      let timer = this.#next();
      if (!timer) {
        const until = performance.now() + LAST_CHANCE;
        do {
          await turns(SETTLING_TURNS);
          timer = this.#next();
        } while (!settled && !timer && performance.now() < until);
        if (settled) break;
      }
      if (!timer || called === maxTimers) {
        const why = timer
          ? `it is pending after ${called} timers: is something trying again and again?`
          : "it is pending and no timer is left: what it waits for is not of this clock, or never comes";
        throw new Error(
          `Cannot run the clock until the promise settles as ${why} (the clock shows ${this.#now} ms)`,
        );
      }
      await this.#call(timer);
    }
    return await promise;
  }

  /** The timer that is due first; the oldest of those that are due together. */
  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (!next || timer.due < next.due) next = timer;
    }
    return next;
  }

  async #call(timer: Timer): Promise<void> {
    this.#timers.delete(timer);
    this.#now = Math.max(this.#now, timer.due);
    timer.callback();
    await turns(SETTLING_TURNS);
  }
}
