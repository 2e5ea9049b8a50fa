import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";

/** One step of a store: a transaction of a file, or a message of a stream. */
export interface CommitReport {
  /** The time from the first call to the answer, in milliseconds. */
  readonly duration: number;
  /** The number of operations. */
  readonly operations: number;
  /** The bytes of events. */
  readonly bytes: number;
  /** Whether it took so long that the operator should know. */
  readonly isSlow: boolean;
}

/** A step that takes this long is slow, in milliseconds: a disk in order takes a tenth. */
const SLOW_COMMIT = 100;

/** The least time between two lines of the log on slow steps, in milliseconds. */
const SLOW_LINES = 10_000;

const logger = getLogger(["rivulet", "relay", "store"]);

/** Tells slow steps of a store from others: a slow one makes many, and few lines of the log. */
export class SlowCommits {
  readonly #message: string;
  readonly #clock: Clock;
  #count = 0;
  #longest = 0;
  #next = -Infinity;

  /**
   * Counts none yet.
   *
   * @param message The line of the log, with `{count}`, `{limit}` and `{longest}`.
   */
  constructor(message: string, clock: Clock) {
    this.#message = message;
    this.#clock = clock;
  }

  /** Returns whether a step was slow that took so many milliseconds, and logs it. */
  note(duration: number): boolean {
    if (duration < SLOW_COMMIT) return false;
    this.#count++;
    this.#longest = Math.max(this.#longest, duration);
    const now = this.#clock.now();
    if (now < this.#next) return true;
    logger.warn(this.#message, {
      count: this.#count,
      limit: SLOW_COMMIT,
      longest: Math.round(this.#longest),
    });
    this.#count = this.#longest = 0;
    this.#next = now + SLOW_LINES;
    return true;
  }
}
