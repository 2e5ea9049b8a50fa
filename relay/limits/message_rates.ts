import type { Clock } from "../../src/fetch/clock.ts";
import { RateLimit } from "./rate_limit.ts";

/** How much a client may say. */
export interface MessageRatesOptions {
  /** The most messages in a second, on average. */
  readonly maxMessageRate: number;
  /** The most bytes of them. */
  readonly maxMessageBytesRate: number;
  /** Where time comes from. */
  readonly clock: Clock;
}

/** What one client says, counted by messages and by their bytes. */
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
