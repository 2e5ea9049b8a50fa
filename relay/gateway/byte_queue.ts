/** The room of a block for short pieces, in bytes. */
const BLOCK = 16 * 1024;

/** A piece that is shorter than this is copied into a block. */
const SHORT = 4 * 1024;

/** The most places of the list that are empty before it is cut. */
const MAX_EMPTY = 1_024;

/**
 * Bytes that wait to be written, in the order in which they came.
 *
 * Short pieces are copied together: a piece takes some 200 bytes besides its own, so
 * that 16 MiB of single bytes would take 3 GiB.
 */
export class ByteQueue {
  #pieces: (Uint8Array | undefined)[] = [];
  #head = 0;
  /** The last piece, if it is a block with room: as much of it as is filled. */
  #block: Uint8Array<ArrayBuffer> | undefined;
  #length = 0;

  /** The number of bytes. */
  get length(): number {
    return this.#length;
  }

  /** Adds bytes at the end; long ones must not change afterwards. */
  push(bytes: Uint8Array): void {
    this.#length += bytes.length;
    if (bytes.length >= SHORT) {
      this.#block = undefined;
      this.#pieces.push(bytes);
      return;
    }
    const filled = this.#block;
    if (filled && filled.length + bytes.length <= BLOCK) {
      const { buffer, length } = filled;
      this.#block = new Uint8Array(buffer, 0, length + bytes.length);
      this.#block.set(bytes, length);
      this.#pieces[this.#pieces.length - 1] = this.#block;
      return;
    }
    this.#block = new Uint8Array(new ArrayBuffer(BLOCK), 0, bytes.length);
    this.#block.set(bytes);
    this.#pieces.push(this.#block);
  }

  /** Takes bytes off the beginning: at most so many, at least one; `undefined` if there are none. */
  take(max: number): Uint8Array | undefined {
    const first = this.#pieces[this.#head];
    if (!first) return undefined;
    const taken = first.subarray(0, max);
    this.#length -= taken.length;
    if (taken.length < first.length) {
      this.#pieces[this.#head] = first.subarray(taken.length);
      if (first === this.#block) this.#block = undefined;
      return taken;
    }
    if (first === this.#block) this.#block = undefined;
    this.#pieces[this.#head++] = undefined;
    if (this.#head >= MAX_EMPTY || this.#length === 0) {
      this.#pieces = this.#pieces.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  /** Forgets all bytes. */
  clear(): void {
    this.#pieces = [];
    this.#head = 0;
    this.#block = undefined;
    this.#length = 0;
  }
}
