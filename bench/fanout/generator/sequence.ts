import type { Tally } from "./tally.ts";

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
