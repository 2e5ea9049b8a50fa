import type { Clock } from "../../src/fetch/clock.ts";
import type { RelayTotals } from "./relay_status.ts";

/** The time between two samples, in milliseconds: rates are of one to two of these. */
const INTERVAL = 5_000;

interface Sample {
  readonly at: number;
  readonly totals: RelayTotals;
}

/**
 * Measures how fast totals grow: it remembers two earlier samples, whoever asks. A dozen
 * numbers are read every 5 s.
 */
export class RateSampler implements Disposable {
  readonly #read: () => RelayTotals;
  readonly #clock: Clock;
  #older: Sample;
  #newer: Sample;
  #cancel: () => void = () => {};

  /** Begins with what there is now. */
  constructor(read: () => RelayTotals, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
    this.#older = this.#newer = this.#sample();
    this.#schedule();
  }

  /** The totals of now, and how much they have grown in a second. */
  get figures(): {
    readonly totals: RelayTotals;
    readonly rates: RelayTotals;
  } {
    const { at, totals } = this.#sample();
    const seconds = (at - this.#older.at) / 1_000;
    const rate = (name: keyof RelayTotals): number =>
      seconds > 0
        ? Math.round((totals[name] - this.#older.totals[name]) / seconds * 10) /
          10
        : 0;
    return {
      totals,
      rates: {
        publishedEvents: rate("publishedEvents"),
        publishedBytes: rate("publishedBytes"),
        deliveredEvents: rate("deliveredEvents"),
        deliveredMessages: rate("deliveredMessages"),
        deliveredBytes: rate("deliveredBytes"),
        connections: rate("connections"),
        subscriptions: rate("subscriptions"),
        slowCloses: rate("slowCloses"),
        gaps: rate("gaps"),
        refusals: rate("refusals"),
      },
    };
  }

  /** Measures no more. */
  [Symbol.dispose](): void {
    this.#cancel();
  }

  #sample(): Sample {
    return { at: this.#clock.now(), totals: this.#read() };
  }

  #schedule(): void {
    this.#cancel = this.#clock.setTimeout(() => {
      this.#older = this.#newer;
      this.#newer = this.#sample();
      this.#schedule();
    }, INTERVAL);
  }
}
