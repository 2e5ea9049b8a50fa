import { Buffer } from "node:buffer";

/** The room that is made at first, in bytes. */
const LEAST = 4 * 1024;

/**
 * The bytes that were received and not taken, in one piece.
 *
 * To join all of it anew with each part costs the square of its length: a frame of
 * 30 MiB took seconds, and minutes on a machine that was busy.
 */
export class ReceivedBytes {
  #buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;

  /** The bytes that were received and not taken. */
  get bytes(): Buffer {
    return this.#buffer.subarray(this.#from, this.#to);
  }

  /** Adds what has come. */
  add(part: Uint8Array): void {
    const { bytes } = this;
    if (this.#to + part.length > this.#buffer.length) {
      const room = Math.max(LEAST, 2 * (bytes.length + part.length));
      // Bytes that were taken stay in the old buffer.
      this.#buffer = Buffer.allocUnsafeSlow(room);
      this.#buffer.set(bytes);
      this.#from = 0;
      this.#to = bytes.length;
    }
    this.#buffer.set(part, this.#to);
    this.#to += part.length;
  }

  /** Takes bytes from the beginning. */
  take(length: number): Buffer {
    const taken = this.bytes.subarray(0, length);
    this.#from += taken.length;
    return taken;
  }
}
