import type { Clock } from "../../src/fetch/clock.ts";

/** The measure that takes the age of each event just written. */
export interface LatencyMeasure {
  /** As logs have it that give events their time. */
  readonly clock: Clock;
  /** Takes the age of an event in seconds. */
  readonly latency: { observe(seconds: number): void };
}

/**
 * Of this many deliveries one is measured. The clock and the histogram take
 * about half a microsecond, a write 8 to 13: so it is 0.2 %, and with all that is
 * counted less than 1 %. A prime, as the pump wakes subscriptions in powers of
 * two, and none is to be left out for ever.
 */
const SAMPLE = 31;

/**
 * Counts the deliveries through a door. The counts are plain numbers that metrics
 * read on request, so that a delivery costs a few additions.
 */
export class DeliveryCounts {
  /** Connections that were opened. */
  opened = 0;
  /** Subscriptions that were begun. */
  subscribed = 0;
  /** Subscriptions that are over. */
  unsubscribed = 0;
  /** Events that were written: each of those that were merged, or are in a snapshot. */
  events = 0;
  /** Messages of subscriptions that were written: of events, and of what is said about them. */
  messages = 0;
  /** The bytes of these messages. */
  bytes = 0;
  /** The bytes of events that were encoded at once, and of what they became. */
  encoded = 0;
  /** Connections that were closed as nothing was read. */
  slowCloses = 0;
  /** Gaps, by their reason (PROTOCOL.md, section 2). */
  readonly gaps = { evicted: 0, epoch: 0, slow: 0, skipped: 0 };
  readonly #measure: LatencyMeasure | undefined;
  /** The number of deliveries until the next one is measured. */
  #untilSample = 1;

  /**
   * Makes counts of nothing yet.
   *
   * @param measure The measure that takes ages. Default: they are not measured.
   */
  constructor(measure?: LatencyMeasure) {
    this.#measure = measure;
  }

  /**
   * Counts a message of a subscription.
   *
   * @param bytes Its length.
   */
  wrote(bytes: number): void {
    this.messages++;
    this.bytes += bytes;
  }

  /**
   * Measures, now and then, how long an event took from its log to a socket.
   *
   * @param time The time at which it was appended, in milliseconds since the
   * epoch.
   */
  aged(time: number): void {
    if (--this.#untilSample > 0 || !this.#measure) return;
    this.#untilSample = SAMPLE;
    const { clock, latency } = this.#measure;
    latency.observe((clock.now() - time) / 1_000);
  }
}
