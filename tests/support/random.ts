/**
 * Chance that can be repeated.
 *
 * @module
 */

/** Numbers that only depend on a seed. */
export class Random {
  #state: number;

  /** Begins the sequence of a seed: an integer of 32 bits. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** At least 0, less than 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6D2B79F5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of them. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError("There is nothing to pick");
    return items[Math.floor(this.next() * items.length)] as T; // in range
  }

  /** All of them, in another order. */
  shuffle<T>(items: readonly T[]): T[] {
    const rest = [...items];
    const shuffled: T[] = [];
    while (rest.length > 0) {
      shuffled.push(...rest.splice(this.integer(0, rest.length - 1), 1));
    }
    return shuffled;
  }

  /** A sequence of its own: what it gives does not depend on who else draws when. */
  fork(): Random {
    return new Random(Math.floor(this.next() * 2 ** 32));
  }
}
