import type { Purge, Step, Stepped } from "./messages.ts";

/** The rows that one step removes at most, where appends do not add more. */
const STEP_ROWS = 500;

/**
 * The places that are being read, which a {@linkcode Housekeeping} asks for
 * before it removes rows.
 */
export interface ReadPlaces {
  /** The offset before which nobody reads a topic; `undefined` where nobody reads it. */
  lowestRead(id: number): number | undefined;
  /** The deleted topics that are being read. */
  readonly held: readonly number[];
}

/** Knows what is to be removed from the file. */
export class Housekeeping {
  readonly #places: ReadPlaces;
  #purges = new Map<number, number>();
  #isDue = true;
  #fileBytes = 0;
  #freeBytes = 0;

  /** Begins with a look at what the last process has left. */
  constructor(places: ReadPlaces) {
    this.#places = places;
  }

  /** The bytes of the file. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** The bytes of the file that are free. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /** Has the rows of a topic removed that end before an offset. */
  passed(id: number, before: number): void {
    this.#purges.set(id, before);
  }

  /** Has it looked for what is to be removed. */
  remind(): void {
    this.#isDue = true;
  }

  /** Returns the next step, if there is something to do. */
  next(now: number): Step | undefined {
    const purges: Purge[] = [];
    for (const [id, before] of this.#purges) {
      const lowest = this.#places.lowestRead(id) ?? before;
      // The rest is for when it has been read.
      if (lowest >= before) this.#purges.delete(id);
      purges.push([id, Math.min(before, lowest)]);
      if (purges.length >= STEP_ROWS) break;
    }
    if (purges.length === 0 && !this.#isDue) return undefined;
    this.#isDue = false;
    const { held } = this.#places;
    const limit = Math.max(STEP_ROWS, 4 * purges.length);
    return { kind: "step", now, purges, held, limit };
  }

  /** Takes note of what is left to do. */
  done({ purges, more, fileBytes, freeBytes }: Stepped): void {
    for (const [id, before] of purges) {
      this.#purges.set(id, Math.max(before, this.#purges.get(id) ?? 0));
    }
    this.#isDue ||= more;
    this.#fileBytes = fileBytes;
    this.#freeBytes = freeBytes;
  }

  /** Nothing was done: the next time that it is reminded, it looks for all of it. */
  failed(): void {
    this.#isDue = false;
  }
}
