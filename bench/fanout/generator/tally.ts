/** Each bucket of a histogram reaches this much further than the one before. */
const STEP = Math.log(1.01);

/** The shortest latency that is told apart, in milliseconds. The longest is about 1,000 s. */
const LEAST = 0.001;
const BUCKETS = 2_100;

/** Counts latencies, to a hundredth of their own size. */
export class Latencies {
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;
  #max = 0;

  /** Counts one, in milliseconds, for as many as it stands for. */
  add(latency: number, weight = 1): void {
    const bucket = latency > LEAST
      ? Math.min(Math.floor(Math.log(latency / LEAST) / STEP), BUCKETS - 1)
      : 0;
    this.#counts[bucket]! += weight; // it is one of them
    this.#total += weight;
    this.atLeast(latency);
  }

  /** Takes part in the maximum, and in nothing else. */
  atLeast(latency: number): void {
    if (latency > this.#max) this.#max = latency;
  }

  /** The largest; `null` where there was none. */
  get max(): number | null {
    return this.#max === 0 ? null : this.#max;
  }

  /** The latency that a share of all is not above; `null` where there was none. */
  percentile(share: number): number | null {
    let left = this.#total * share;
    for (const [bucket, count] of this.#counts.entries()) {
      left -= count;
      if (left < 0) return LEAST * Math.exp((bucket + 0.5) * STEP);
    }
    return null;
  }
}

/** The subscribers' counts. */
export class Tally {
  /** Events that came. */
  delivered = 0;
  /** Messages that brought them. */
  messages = 0;
  /** Reads from a socket. */
  reads = 0;
  /**
   * The number of times that events were left out, with a notice or without.
   */
  gaps = 0;
  /** The number of events left out. */
  missed = 0;
  /**
   * The number of things that should never be: repeated or foreign events,
   * frames of another shape.
   */
  errors = 0;
  /** From the feed to the subscriber. */
  latencies: Latencies = new Latencies();

  /** Begins anew. */
  clear(): void {
    Object.assign(this, new Tally());
  }
}

/** Checks the numbers of the events that one subscriber gets, one a message. */
export class Sequence {
  #next: number | undefined;

  /** Takes the number of the next event. */
  check(sequence: number, tally: Tally): void {
    const missed = sequence - (this.#next ?? sequence);
    if (missed < 0) tally.errors++;
    if (missed > 0) {
      tally.gaps++;
      tally.missed += missed;
    }
    this.#next = sequence + 1;
  }
}
