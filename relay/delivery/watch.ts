import type { Clock } from "../../src/fetch/clock.ts";

/**
 * The number of looks in an interval: a call comes late by up to this part of
 * it.
 */
const LOOKS = 4;

/** Somebody who is looked at again and again. */
export interface Watched {
  /** Whether there was a sign since this was last asked. */
  takeSign(): boolean;
  /** There was no sign for an interval; called again after each further one. */
  onQuiet(): void;
  /** An interval is over since this was added, or last called: sign or not. */
  onInterval?(): void;
}

/**
 * The numbers of looks at somebody: since the last sign, and since the last
 * interval.
 */
interface Looks {
  quiet: number;
  all: number;
}

/** Looks after those from whom a sign is expected: one timer for all. */
export class Watch implements Disposable {
  /** The time that a sign may take, in milliseconds. */
  readonly interval: number;
  readonly #clock: Clock;
  readonly #looks = new Map<Watched, Looks>();
  #cancel: (() => void) | undefined;

  /** Makes a watch over nobody yet. */
  constructor(interval: number, clock: Clock) {
    this.interval = interval;
    this.#clock = clock;
  }

  /** Looks after somebody from now on, or goes on with it. */
  add(watched: Watched): void {
    if (this.#looks.has(watched)) return;
    this.#looks.set(watched, { quiet: 0, all: 0 });
    if (!this.#cancel) this.#schedule();
  }

  /** Looks after somebody no more. */
  delete(watched: Watched): void {
    this.#looks.delete(watched);
    if (this.#looks.size === 0) this[Symbol.dispose]();
  }

  /** Stops. */
  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #schedule(): void {
    this.#cancel = this.#clock.setTimeout(() => {
      this.#schedule();
      for (const [watched, looks] of this.#looks) this.#look(watched, looks);
    }, this.interval / LOOKS);
  }

  #look(watched: Watched, looks: Looks): void {
    looks.quiet = watched.takeSign() ? 0 : looks.quiet + 1;
    if (looks.quiet >= LOOKS) {
      looks.quiet = 0;
      watched.onQuiet();
    }
    if (++looks.all < LOOKS) return;
    looks.all = 0;
    watched.onInterval?.();
  }
}
