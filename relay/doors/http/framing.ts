import type { IncomingMessage } from "node:http";

/**
 * The bytes that each byte of a body may cost in the size, the extensions and the
 * line ends of its chunk: chunks of one byte without extensions take 5.
 */
const BYTES_PER_BYTE = 16;

/**
 * Counts the bytes of a connection that are neither a body nor the head of a request
 * that has come: chunk extensions, trailers, zeros before a size, empty lines.
 *
 * Node's parser bounds the extensions of a chunk at 16 KiB; the runtime's reads all
 * of these for ever, without a word to anybody.
 */
export class Framing {
  /** The number of bytes since the last progress. */
  bytes = 0;
  #request: IncomingMessage | undefined;

  /**
   * Counts bytes that have come.
   *
   * @param isBusy Whether a request of the connection is being answered.
   * @returns Whether they are not the rest of a body that is thrown away.
   */
  add(bytes: number, isBusy: boolean): boolean {
    // The rest of a body whose request is answered is thrown away, uncounted, for a
    // while that has a bound.
    const isDiscarded = !isBusy && this.#request?.complete === false;
    if (!isDiscarded) this.bytes += bytes;
    return !isDiscarded;
  }

  /** Begins to count anew: the head of a request has come. */
  begin(request: IncomingMessage): void {
    this.#request = request;
    this.bytes = 0;
  }

  /** Takes off what a chunk of a body may cost; 0 stands for the end of the body. */
  addBody(bytes: number): void {
    this.bytes = bytes === 0
      ? 0
      : Math.max(0, this.bytes - (1 + BYTES_PER_BYTE) * bytes);
  }
}
