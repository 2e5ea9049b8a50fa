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

/**
 * Returns the frames of a body in zstd (RFC 8878, section 3.1), without those that
 * are skipped.
 *
 * @throws {RangeError} If the body is not whole, is no such body, or asks for more
 * memory than a receiver has to give.
 */
export function zstdFrames(
  body: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer>[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const frames: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  do {
    const start = at;
    const magic = view.getUint32(at, true);
    if ((magic & ~0xF) === SKIPPED) {
      at += 8 + view.getUint32(at + 4, true);
    } else if (magic === MAGIC) {
      at = endOfFrame(view, at + 4);
      frames.push(body.subarray(start, at));
    } else throw new RangeError("Expected a frame of zstd");
    if (at > body.length) throw new RangeError("Expected a whole frame");
  } while (at < body.length);
  return frames;
}

/** Returns the index after a frame whose header begins at an index. */
function endOfFrame(view: DataView, header: number): number {
  const flags = view.getUint8(header);
  const isOneSegment = (flags & 0x20) !== 0;
  if (!isOneSegment) {
    const window = view.getUint8(header + 1);
    const base = 2 ** (10 + (window >> 3));
    if (base + base / 8 * (window & 7) > MAX_WINDOW) {
      throw new RangeError(`Expected a window of at most ${MAX_WINDOW} bytes`);
    }
  }
  const size = flags >> 6;
  let at = header + 1 + (isOneSegment ? 0 : 1) +
    DICTIONARY_BYTES[(flags & 3) as 0 | 1 | 2 | 3] + // two bits
    (size === 0 && isOneSegment ? 1 : SIZE_BYTES[size as 0 | 1 | 2 | 3]); // two bits
  for (let isLast = false; !isLast;) {
    const block = view.getUint16(at, true) | view.getUint8(at + 2) << 16;
    isLast = (block & 1) !== 0;
    const length = block >> 3;
    at += 3 + ((block >> 1 & 3) === REPEATED ? 1 : length);
  }
  return at + ((flags & 4) !== 0 ? 4 : 0);
}
