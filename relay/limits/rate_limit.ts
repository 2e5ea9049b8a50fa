import type { Clock } from "../../src/fetch/clock.ts";

/** A rounding error is no reason to refuse somebody. */
const EPSILON = 1e-6;

/**
 * A limit on a rate: a bucket that holds what may be taken in one second, and is
 * filled up at an even pace. It needs no timer.
 */
export class RateLimit {
  readonly #rate: number;
  readonly #clock: Clock;
  #level: number;
  #at: number;

  /**
   * Makes a full bucket.
   *
   * @param rate The amount that may be taken in a second, on average.
   * @param clock The source of time.
   */
  constructor(rate: number, clock: Clock) {
    this.#rate = rate;
    this.#clock = clock;
    this.#level = rate;
    this.#at = clock.now();
  }

  /** Whether it is as a new one would be. */
  get isFull(): boolean {
    this.#fill();
    return this.#level >= this.#rate;
  }

  /**
   * Says when something could be taken.
   *
   * @param count The amount. More than fits into the bucket can be taken when
   * it is full, and has to be made up for after that.
   * @returns In milliseconds from now: 0, or at least 1.
   */
  wait(count: number): number {
    this.#fill();
    const missing = Math.min(count, this.#rate) - this.#level;
    if (missing <= EPSILON) return 0;
    return Math.ceil((missing - EPSILON) / this.#rate * 1_000);
  }

  /**
   * Takes something, or nothing.
   *
   * @param count The amount.
   * @returns 0 if it was taken; or else in how many milliseconds it could be.
   */
  take(count: number): number {
    const wait = this.wait(count);
    if (wait === 0) this.#level -= count;
    return wait;
  }

  /**
   * Takes something that has come already.
   *
   * @param count The amount.
   * @returns The time until that is made up for, in milliseconds.
   */
  spend(count: number): number {
    this.#fill();
    this.#level -= count;
    return Math.ceil(Math.max(0, -this.#level - EPSILON) / this.#rate * 1_000);
  }

  #fill(): void {
    const now = this.#clock.now();
    const more = (now - this.#at) * this.#rate / 1_000;
    this.#level = Math.min(this.#rate, this.#level + more);
    this.#at = now;
  }
}

/** Limits on the messages of a client. */
export interface MessageRatesOptions {
  /** The most messages in a second, on average. */
  readonly maxMessageRate: number;
  /** The most bytes of them. */
  readonly maxMessageBytesRate: number;
  /** The source of time. */
  readonly clock: Clock;
}

/** The rates of one client: of its messages, and of their bytes. */
export class MessageRates {
  readonly #messages: RateLimit;
  readonly #bytes: RateLimit;

  /** Counts from now on. */
  constructor(
    { maxMessageRate, maxMessageBytesRate, clock }: MessageRatesOptions,
  ) {
    this.#messages = new RateLimit(maxMessageRate, clock);
    this.#bytes = new RateLimit(maxMessageBytesRate, clock);
  }

  /**
   * Counts a message.
   *
   * @param size Its bytes.
   * @returns Whether it was not one too many, or too soon.
   */
  take(size: number): boolean {
    return this.#messages.take(1) === 0 && this.#bytes.take(size) === 0;
  }
}
