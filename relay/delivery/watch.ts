import type { Clock } from "../../src/fetch/clock.ts";
import { Members } from "../members.ts";

/**
 * The number of looks in an interval: a call comes late by up to this part of
 * it.
 */
const LOOKS = 4;

/** Somebody who is looked at again and again, by one watch. */
export interface Watched {
  /** The looks so far: set by the watch, for as long as it looks. */
  looks?: Looks | undefined;
  /** Whether there was a sign since this was last asked. */
  takeSign(): boolean;
  /** There was no sign for an interval; called again after each further one. */
  onQuiet(): void;
  /** An interval is over since this was added, or last called: sign or not. */
  onInterval?(): void;
}

/** The looks of a watch at somebody. */
export interface Looks {
  readonly watched: Watched;
  /** The place among all. */
  place: number;
  /** The number of looks since the last sign. */
  quiet: number;
  /** The number of looks since the last interval. */
  all: number;
}

/** Looks after those from whom a sign is expected: one timer for all. */
export class Watch implements Disposable {
  /** The time that a sign may take, in milliseconds. */
  readonly interval: number;
  readonly #clock: Clock;
  readonly #looks = new Members<Looks>();
  #cancel: (() => void) | undefined;

  /** Makes a watch over nobody yet. */
  constructor(interval: number, clock: Clock) {
    this.interval = interval;
    this.#clock = clock;
  }

  /** Looks after somebody from now on, or goes on with it. */
  add(watched: Watched): void {
    if (watched.looks) return;
    const looks = { watched, place: 0, quiet: 0, all: 0 };
    looks.place = this.#looks.add(looks);
    watched.looks = looks;
    if (!this.#cancel) this.#schedule();
  }

  /** Looks after somebody no more. */
  delete(watched: Watched): void {
    const { looks } = watched;
    if (!looks) return;
    watched.looks = undefined;
    this.#looks.delete(looks.place);
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
      for (const looks of this.#looks) this.#look(looks);
    }, this.interval / LOOKS);
  }

  #look(looks: Looks): void {
    const { watched } = looks;
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
