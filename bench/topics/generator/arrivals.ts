import type { Latencies } from "../../fanout/generator/tally.ts";
import { FIRST } from "./events.ts";

/** The events that all callers, or all followers, have received. */
export class Arrivals {
  /** Events of the time that is measured. */
  arrived = 0;
  /** Events that were missing, repeated or foreign, and runs that did not end well. */
  errors = 0;
  /** Reads from sockets. */
  reads = 0;
  /** The number that have seen the end of their run. */
  ended = 0;
  readonly latencies: Latencies;
  /** The first number that is measured. */
  readonly #from: number;

  /** Makes one that has counted nothing, and counts from an event of each run on. */
  constructor(latencies: Latencies, warmUp: number) {
    this.latencies = latencies;
    this.#from = FIRST + warmUp;
  }

  /** Counts an event. */
  count(sequence: number, latency: number): void {
    if (sequence < this.#from) return;
    this.arrived++;
    this.latencies.add(latency);
  }
}

/** Checks what one caller or follower gets of one run. */
export class Sequence {
  readonly #arrivals: Arrivals;
  #next = FIRST;

  /** Makes one that waits for the first event. */
  constructor(arrivals: Arrivals) {
    this.#arrivals = arrivals;
  }

  /**
   * Takes an event.
   *
   * @param time When it was sent, in microseconds.
   */
  take(time: number, sequence: number): void {
    if (sequence !== this.#next) this.#arrivals.errors++;
    this.#next = sequence + 1;
    this.#arrivals.count(sequence, performance.now() - time / 1_000);
  }
}
