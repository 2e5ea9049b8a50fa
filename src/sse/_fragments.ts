// This module is browser compatible.

/**
 * The number of parts kept apart before they are joined into one block. Each
 * part costs a slot of 8 bytes, besides the text that it was cut from.
 */
const BLOCK = 4096;

/**
 * Text in the making: parts are added at the end, and joined once.
 *
 * Joining at every part would copy what is there already each time, which is
 * quadratic in the number of parts.
 */
export class Fragments {
  readonly #separator: string;
  #parts: string[] = [];
  #blocks: string[] = [];

  constructor(separator: string) {
    this.#separator = separator;
  }

  /** Adds a part at the end. */
  add(part: string): void {
    if (this.#parts.push(part) < BLOCK) return;
    this.#blocks.push(this.#parts.join(this.#separator));
    this.#parts = [];
  }

  /** Takes the text out, leaving none. */
  take(): string {
    const parts = this.#blocks.length === 0
      ? this.#parts
      : this.#blocks.concat(this.#parts);
    this.clear();
    return parts.join(this.#separator);
  }

  /** Drops the text. */
  clear(): void {
    if (this.#parts.length > 0) this.#parts = [];
    if (this.#blocks.length > 0) this.#blocks = [];
  }
}
