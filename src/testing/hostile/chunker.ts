// This module is browser compatible.
import type { HostilePlan } from "./plan.ts";

/** Cuts a body into chunks, as planned. */
export class Chunker {
  /**
   * The sizes of chunks in bytes, in turns; `undefined` for one chunk for each
   * piece.
   */
  readonly #sizes: readonly number[] | undefined;
  #turn = 0;
  #parts: Uint8Array<ArrayBuffer>[] = [];
  #length = 0;

  constructor(chunk: HostilePlan["chunk"] = "event") {
    if (chunk === "whole") this.#sizes = [Infinity];
    else if (chunk !== "event") this.#sizes = chunk;
  }

  /** Takes bytes, and gives what is a chunk now. */
  *push(bytes: Uint8Array<ArrayBuffer>): Generator<Uint8Array<ArrayBuffer>> {
    if (bytes.length === 0) return;
    if (!this.#sizes) return yield bytes;
    this.#parts.push(bytes);
    this.#length += bytes.length;
    if (this.#length < this.#size) return;
    const whole = this.#take();
    let at = 0;
    while (whole.length - at >= this.#size) {
      yield whole.subarray(at, at += this.#size);
      this.#turn++;
    }
    this.#parts = [whole.subarray(at)];
    this.#length = whole.length - at;
  }

  /** Gives what there is. */
  *flush(): Generator<Uint8Array<ArrayBuffer>> {
    if (this.#length === 0) return;
    yield this.#take();
    this.#turn++;
  }

  get #size(): number {
    const sizes = this.#sizes ?? [];
    return sizes[this.#turn % sizes.length] ?? Infinity;
  }

  #take(): Uint8Array<ArrayBuffer> {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#length = 0;
    return whole;
  }
}
