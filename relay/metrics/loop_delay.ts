import type { Clock } from "../../src/fetch/clock.ts";
import type { Observer } from "./instruments.ts";

/** The interval of the measurements, in milliseconds: what blocks the loop for longer is always seen. */
const INTERVAL = 50;

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
  #cancel: () => void = () => {};

  /**
   * Begins.
   *
   * @param delay Takes seconds.
   * @param clock Whose timers are measured: the machine's, in a relay.
   */
  constructor(delay: Observer, clock: Clock) {
    this.#delay = delay;
    this.#clock = clock;
    this.#schedule();
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
      this.#schedule();
    }, INTERVAL);
  }
}
