import { clearImmediate, setImmediate } from "node:timers";

/** The time for which the event loop is given nothing to do, in milliseconds. */
const REST = 1;

/**
 * The moments at which the runtime looks at its sockets.
 *
 * A loop that always has something to do looks at them only every 61st time: after
 * 60 ms of pieces that take 1 ms each. So those that share its time among peers (what
 * is read, what is made for readers) do nothing for a moment, and all of them in the
 * same: while one of them rested and another worked, new connections waited for 100 ms.
 */
export class Rest {
  #working = 0;
  #waiting = new Set<() => void>();
  #cancel: (() => void) | undefined;

  /** The number of those that wait for the next rest to be over. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Works on, for as long as a turn may take: the rest begins after it.
   *
   * @returns Ends the work; to be called once.
   */
  work(): () => void {
    this.#working++;
    this.#cancel?.();
    this.#cancel = undefined;
    return () => {
      this.#working--;
      this.#begin();
    };
  }

  /**
   * Waits for the end of the next rest.
   *
   * @param goOn Called then, once.
   * @returns Waits no more.
   */
  wait(goOn: () => void): () => void {
    const waiting = this.#waiting;
    waiting.add(goOn);
    this.#begin();
    return () => {
      waiting.delete(goOn);
      if (waiting !== this.#waiting || waiting.size > 0) return;
      this.#cancel?.();
      this.#cancel = undefined;
    };
  }

  #begin(): void {
    if (this.#working > 0 || this.#waiting.size === 0 || this.#cancel) return;
    // Timers count from the beginning of a round of the loop: this is a new one.
    const immediate = setImmediate(() => {
      const timer = setTimeout(() => this.#end(), REST);
      this.#cancel = () => clearTimeout(timer);
    });
    this.#cancel = () => clearImmediate(immediate);
  }

  #end(): void {
    const waiting = this.#waiting;
    this.#waiting = new Set();
    this.#cancel = undefined;
    for (const goOn of waiting) goOn();
  }
}

/** The rest of this process. */
export const rest: Rest = new Rest();
