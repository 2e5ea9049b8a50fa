import type { Clock } from "../../src/fetch/clock.ts";
import type { Observer } from "./instruments.ts";

/** The interval of the measurements, in milliseconds: what blocks the loop for longer is always seen. */
const INTERVAL = 50;

/** The number of measurements that are remembered: of 10 s, if the loop is on time. */
const REMEMBERED = 200;

/**
 * Measures how late the event loop is: how long after it was due a timer is
 * called. That is what a request has to wait that comes at any moment.
 *
 * `monitorEventLoopDelay` of `node:perf_hooks` is of no use here: in Deno 2.9 it
 * does not see what blocks the loop for 300 ms.
 */
export class LoopDelay implements Disposable {
  readonly #clock: Clock;
  readonly #delay: Observer;
  /** The newest measurements in milliseconds, in no order. */
  readonly #newest = new Float64Array(REMEMBERED);
  #count = 0;
  #cancel: () => void = () => {};

  /**
   * Begins.
   *
   * @param delay Takes seconds.
   * @param clock The clock whose timers are measured: the machine's, in a
   * relay.
   */
  constructor(delay: Observer, clock: Clock) {
    this.#delay = delay;
    this.#clock = clock;
    this.#schedule();
  }

  /** The delays of the last 10 s, in milliseconds. */
  get newest(): {
    readonly p50: number;
    readonly p99: number;
    readonly max: number;
  } {
    const sorted = this.#newest.slice(0, this.#count).sort();
    const at = (share: number): number => {
      const index = Math.min(sorted.length - 1, sorted.length * share);
      return Math.round((sorted[Math.floor(index)] ?? 0) * 10) / 10;
    };
    return { p50: at(0.5), p99: at(0.99), max: at(1) };
  }

  /** Measures no more. */
  [Symbol.dispose](): void {
    this.#cancel();
  }

  #schedule(): void {
    const due = this.#clock.now() + INTERVAL;
    this.#cancel = this.#clock.setTimeout(() => {
      // A timer may be called a fraction of a millisecond early.
      const late = Math.max(0, this.#clock.now() - due);
      this.#delay.observe(late / 1_000);
      this.#newest[this.#count++ % REMEMBERED] = late;
      this.#schedule();
    }, INTERVAL);
  }
}
