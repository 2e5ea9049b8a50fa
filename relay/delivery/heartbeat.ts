import type { Clock } from "../../src/fetch/clock.ts";

/** How often per heartbeat it is looked who is due: what a beat may come late by. */
const STEPS = 4;

/** Somebody who has to be heard from. */
export interface Beater {
  /** Whether anything was sent since this was last asked. */
  takeWrote(): boolean;
  /** Sends a sign of life. */
  beat(): void;
}

/** Sends signs of life where nothing else is sent: one timer for all. */
export class Heartbeat implements Disposable {
  /** After how long without anything sent, in milliseconds. */
  readonly interval: number;
  readonly #clock: Clock;
  readonly #quietSteps = new Map<Beater, number>();
  #cancel: (() => void) | undefined;

  /** Makes a heartbeat for nobody yet. */
  constructor(interval: number, clock: Clock) {
    this.interval = interval;
    this.#clock = clock;
  }

  /** Looks after somebody from now on. */
  add(beater: Beater): void {
    this.#quietSteps.set(beater, 0);
    if (!this.#cancel) this.#schedule();
  }

  /** Looks after somebody no more. */
  delete(beater: Beater): void {
    this.#quietSteps.delete(beater);
    if (this.#quietSteps.size === 0) this[Symbol.dispose]();
  }

  /** Stops. */
  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #schedule(): void {
    this.#cancel = this.#clock.setTimeout(() => {
      this.#schedule();
      for (const [beater, quiet] of this.#quietSteps) {
        const steps = beater.takeWrote() ? 0 : quiet + 1;
        if (steps >= STEPS) beater.beat();
        this.#quietSteps.set(beater, steps >= STEPS ? 0 : steps);
      }
    }, this.interval / STEPS);
  }
}
