import { STAMP } from "./events.ts";

const SPACE = 0x20;
const ZERO = 0x30;

/**
 * The place of a scanner: before a stamp, in its time, in its number, behind
 * it.
 */
type Place = "before" | "time" | "sequence" | "behind";

/** Finds the stamp in the bytes of an event, which may come in any pieces. */
export class StampScanner {
  /** In microseconds. */
  time = 0;
  sequence = 0;
  #place: Place = "before";

  /** Whether the stamp is whole. */
  get isWhole(): boolean {
    return this.#place === "behind";
  }

  /** Begins anew. */
  clear(): void {
    this.#place = "before";
  }

  /** Takes the next byte. */
  take(byte: number): void {
    switch (this.#place) {
      case "before":
        if (byte === STAMP) {
          this.#place = "time";
          this.time = 0;
          this.sequence = 0;
        }
        return;
      case "time":
        if (byte === SPACE) this.#place = "sequence";
        else this.time = this.time * 10 + this.#digit(byte);
        return;
      case "sequence":
        if (byte === SPACE) this.#place = "behind";
        else this.sequence = this.sequence * 10 + this.#digit(byte);
        return;
      case "behind":
    }
  }

  #digit(byte: number): number {
    const digit = byte - ZERO;
    if (digit >= 0 && digit <= 9) return digit;
    throw new Error(`Expected a digit of a stamp: got byte ${byte}`);
  }
}
