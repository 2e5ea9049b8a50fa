/** The magic number of a frame, and of those that are skipped, as little-endian integers. */
const MAGIC = 0xFD2FB528;
const SKIPPED = 0x184D2A50;

/** The largest window that a body may ask for, in bytes (RFC 9659, section 3). */
const MAX_WINDOW = 8 * 1024 * 1024;

/** The bytes of the id of a dictionary, and of the size of the content, by their flags. */
const DICTIONARY_BYTES = [0, 1, 2, 4] as const;
const SIZE_BYTES = [0, 2, 4, 8] as const;

/** The type of a block that says one byte, and how often it is repeated. */
const REPEATED = 1;

/** The next piece of a frame: some bytes to look at, or some to pass over. */
type Wanted =
  | { readonly kind: "bytes"; readonly count: number }
  | { readonly kind: "rest"; readonly count: number };

/** Reads a frame; returns whether it is one that is skipped. */
function* readFrame(): Generator<Wanted, boolean, DataView> {
  const magic = (yield { kind: "bytes", count: 4 }).getUint32(0, true);
  if ((magic & ~0xF) === SKIPPED) {
    const size = yield { kind: "bytes", count: 4 };
    yield { kind: "rest", count: size.getUint32(0, true) };
    return true;
  }
  if (magic !== MAGIC) throw new RangeError("Expected a frame of zstd");
  const flags = (yield { kind: "bytes", count: 1 }).getUint8(0);
  const isOneSegment = (flags & 0x20) !== 0;
  if (!isOneSegment) {
    const window = (yield { kind: "bytes", count: 1 }).getUint8(0);
    const base = 2 ** (10 + (window >> 3));
    if (base + base / 8 * (window & 7) > MAX_WINDOW) {
      throw new RangeError(`Expected a window of at most ${MAX_WINDOW} bytes`);
    }
  }
  const size = flags >> 6;
  const count = DICTIONARY_BYTES[(flags & 3) as 0 | 1 | 2 | 3] + // two bits
    (size === 0 && isOneSegment ? 1 : SIZE_BYTES[size as 0 | 1 | 2 | 3]); // two bits
  yield { kind: "rest", count };
  for (let isLast = false; !isLast;) {
    const head = yield { kind: "bytes", count: 3 };
    const block = head.getUint16(0, true) | head.getUint8(2) << 16;
    isLast = (block & 1) !== 0;
    const isRepeated = (block >> 1 & 3) === REPEATED;
    yield { kind: "rest", count: isRepeated ? 1 : block >> 3 };
  }
  yield { kind: "rest", count: (flags & 4) !== 0 ? 4 : 0 };
  return false;
}

/** Finds the ends of the frames of a body in zstd (RFC 8878, section 3.1). */
export class ZstdFrameScanner {
  readonly #bytes = new Uint8Array(4);
  #frame = readFrame();
  #wanted = this.#first();
  #have = 0;
  #isOver = false;
  #wasSkipped = false;

  /** Whether the bytes so far end with a frame. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether the last frame is one that is skipped. */
  get wasSkipped(): boolean {
    return this.#wasSkipped;
  }

  /**
   * Reads on.
   *
   * @returns The number of bytes up to the end of the frame, or all of them.
   * @throws {RangeError} If it is no frame, or asks for more memory than a receiver
   * has to give.
   */
  scan(part: Uint8Array): number {
    for (let at = 0; at < part.length;) {
      this.#isOver = false;
      const { kind, count } = this.#wanted;
      const length = Math.min(count - this.#have, part.length - at);
      if (kind === "bytes") {
        this.#bytes.set(part.subarray(at, at + length), this.#have);
      }
      at += length;
      this.#have += length;
      if (this.#have < count) return at;
      if (this.#advance()) return at;
    }
    return part.length;
  }

  /** Goes on to what has a length; returns whether the frame is over. */
  #advance(): boolean {
    do {
      const { done, value } = this.#frame.next(
        new DataView(this.#bytes.buffer),
      );
      this.#have = 0;
      if (done) {
        this.#wasSkipped = value;
        this.#isOver = true;
        this.#frame = readFrame();
        this.#wanted = this.#first();
        return true;
      }
      this.#wanted = value;
    } while (this.#wanted.count === 0);
    return false;
  }

  #first(): Wanted {
    const { done, value } = this.#frame.next();
    if (done) throw new Error("A frame begins with bytes");
    return value;
  }
}

/**
 * Returns the frames of a body in zstd, without those that are skipped.
 *
 * @throws {RangeError} If the body is not whole, is no such body, or asks for more
 * memory than a receiver has to give.
 */
export function zstdFrames(
  body: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer>[] {
  const scanner = new ZstdFrameScanner();
  const frames: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 0; at < body.length;) {
    const end = at + scanner.scan(body.subarray(at));
    if (scanner.isOver && !scanner.wasSkipped) {
      frames.push(body.subarray(at, end));
    }
    at = end;
  }
  if (!scanner.isOver) throw new RangeError("Expected a whole frame");
  return frames;
}
