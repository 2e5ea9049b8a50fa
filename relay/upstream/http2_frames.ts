/** The types of frames that are looked at, and their flag of an end (RFC 9113, section 6). */
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const GOAWAY = 7;
const END_STREAM = 1;

/** The length of the head of a frame, and the most of its content that is looked at, in bytes. */
const HEAD_LENGTH = 9;
const MAX_CONTENT = 8;

/** A stream was refused before anything was done for it. */
const REFUSED_STREAM = 7;

/**
 * Looks at the frames of HTTP/2 that a server sends, for how a stream is over.
 *
 * In `node:http2`, a stream that was reset, or that a GOAWAY has ended, ends as well
 * as one with END_STREAM.
 */
export class Http2Frames {
  readonly #head = new Uint8Array(HEAD_LENGTH + MAX_CONTENT);
  #have = 0;
  /** The bytes of the frame that are still to come. */
  #left = 0;
  #ended = 0;
  #refused = Infinity;

  /** Whether a stream has come to its end. */
  hasEnded(stream: number): boolean {
    return stream > 0 && this.#ended >= stream;
  }

  /** Whether the server has said that it does nothing for a stream. */
  isRefused(stream: number): boolean {
    return stream > 0 && stream >= this.#refused;
  }

  /** Reads on. One stream is open at a time, and each has a greater number than the one before. */
  read(part: Uint8Array): void {
    for (let at = 0; at < part.length;) {
      if (this.#have < HEAD_LENGTH) {
        const length = Math.min(HEAD_LENGTH - this.#have, part.length - at);
        this.#head.set(part.subarray(at, at + length), this.#have);
        this.#have += length;
        at += length;
        if (this.#have < HEAD_LENGTH) return;
        this.#left = this.#head[0]! << 16 | this.#head[1]! << 8 |
          this.#head[2]!; // nine bytes
      }
      const length = Math.min(this.#left, part.length - at);
      const room = this.#head.length - this.#have;
      if (room > 0) {
        const start = part.subarray(at, at + Math.min(room, length));
        this.#head.set(start, this.#have);
        this.#have += start.length;
      }
      this.#left -= length;
      at += length;
      if (this.#left > 0) return;
      this.#take();
      this.#have = 0;
    }
  }

  /** Takes note of a frame that is whole. */
  #take(): void {
    const view = new DataView(this.#head.buffer);
    const type = view.getUint8(3);
    const flags = view.getUint8(4);
    const stream = view.getUint32(5) & 0x7FFFFFFF;
    if (type === DATA || type === HEADERS) {
      if ((flags & END_STREAM) !== 0) this.#ended = stream;
    } else if (type === RST_STREAM) {
      if (view.getUint32(HEAD_LENGTH) === REFUSED_STREAM) {
        this.#refused = stream;
      }
    } else if (type === GOAWAY) {
      const last = view.getUint32(HEAD_LENGTH) & 0x7FFFFFFF;
      this.#refused = Math.min(this.#refused, last + 1);
    }
  }
}
