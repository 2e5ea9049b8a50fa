// This module is browser compatible.

/**
 * Tells a `finish_reason` that is the last word from one that comes too early:
 * some servers give one with the first chunk, or with every chunk (OpenRouter,
 * several gateways), and go on.
 *
 * A `finish_reason` in a chunk of its own, after more than reasoning, is the last
 * word, and so is one that the usage follows in a chunk of its own: little can
 * follow, and not for long. Any other counts at `[DONE]`, or at the end of the
 * body, for which the client waits as long as for the rest of an answer; so does
 * every one of a server that has gone on after its last word.
 */
export class Finish {
  #isSettled = false;
  #isTold = false;
  #isEarly = false;

  /** Whether the `finish_reason` that has come is the last word. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Whether a `finish_reason` has come. */
  get isTold(): boolean {
    return this.#isTold;
  }

  /**
   * Takes a chunk of the answer in.
   *
   * @param hasReason Whether it has a `finish_reason`.
   * @param hasPiece Whether it has a piece of the answer.
   * @param hasBegun Whether it, or a chunk before it, has more than reasoning.
   */
  takeChunk(hasReason: boolean, hasPiece: boolean, hasBegun: boolean): void {
    if (hasPiece) {
      this.#isSettled = false;
      this.#isEarly ||= this.#isTold;
    }
    if (!hasReason) return;
    this.#isTold = true;
    this.#isSettled = !hasPiece && hasBegun && !this.#isEarly;
  }

  /** Takes the usage in that comes in a chunk without an answer. */
  takeUsage(): void {
    if (this.#isTold && !this.#isEarly) this.#isSettled = true;
  }
}
