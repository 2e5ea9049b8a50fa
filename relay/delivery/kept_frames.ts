import type { Frame } from "./frame.ts";

/**
 * The memory that a kept frame takes besides its bytes, about: the frame, its place
 * in two lists, and the buffer's objects.
 */
const FRAME_COST = 512;

/** A frame that is kept for readers that are behind. */
class KeptFrame implements Frame {
  readonly from: number;
  readonly to: number;
  readonly bytes: Frame["bytes"];
  readonly full: boolean;
  readonly time: number;
  /** The frames of its topic among which it stands. */
  readonly list: FrameList;
  /** The frames that were kept before it and after it. */
  older: KeptFrame | undefined;
  newer: KeptFrame | undefined;

  /**
   * Makes a frame that is not kept yet.
   *
   * @param from The offset of its first event.
   * @param frame The frame.
   * @param list The list that it will stand in.
   */
  constructor(from: number, frame: Frame, list: FrameList) {
    this.from = from;
    this.to = frame.to;
    this.bytes = frame.bytes;
    this.full = frame.full;
    this.time = frame.time;
    this.list = list;
    this.older = undefined;
    this.newer = undefined;
  }

  /** The memory that it takes, in bytes. */
  get cost(): number {
    const { bytes } = this;
    // A small buffer is a piece of one that Node shares out, and keeps all of it.
    const length = bytes instanceof Uint8Array
      ? bytes.buffer.byteLength
      : bytes.byteLength;
    return length + FRAME_COST;
  }
}

/** Frames of one topic, in the order of their first offsets. */
export class FrameList {
  readonly #all: KeptFrames;
  readonly #frames: KeptFrame[] = [];

  /**
   * Makes an empty list.
   *
   * @param all The frames of all topics, which it is a part of.
   */
  constructor(all: KeptFrames) {
    this.#all = all;
  }

  /** Returns the frame that begins at an offset. */
  at(from: number): KeptFrame | undefined {
    const frame = this.#frames[this.#search(from)];
    return frame?.from === from ? frame : undefined;
  }

  /** Keeps a frame in place of another that begins with the same event. */
  add(from: number, frame: Frame): void {
    const index = this.#search(from);
    const kept = new KeptFrame(from, frame, this);
    const old = this.#frames[index];
    if (old?.from === from) {
      this.#all.remove(old);
      this.#frames[index] = kept;
    } else if (index === this.#frames.length) this.#frames.push(kept);
    else this.#frames.splice(index, 0, kept);
    this.#all.add(kept);
  }

  /** Gives up a frame. */
  delete(frame: KeptFrame): void {
    const index = this.#search(frame.from);
    if (index === 0) this.#frames.shift();
    else this.#frames.splice(index, 1);
    this.#all.remove(frame);
  }

  /** Gives up the first frame if it begins before an offset, and returns it. */
  takeBefore(from: number): KeptFrame | undefined {
    const first = this.#frames[0];
    if (!first || first.from >= from) return undefined;
    this.#frames.shift();
    this.#all.remove(first);
    return first;
  }

  /** Gives up the frames that begin before an offset. */
  deleteBefore(from: number): void {
    while (this.takeBefore(from));
  }

  #search(from: number): number {
    let low = 0;
    let high = this.#frames.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#frames[middle]!.from < from) low = middle + 1; // within the array
      else high = middle;
    }
    return low;
  }
}

/** The frames that are kept of all topics, up to a number of bytes: the oldest go first. */
export class KeptFrames {
  readonly #maxBytes: number;
  #oldest: KeptFrame | undefined;
  #newest: KeptFrame | undefined;
  #bytes = 0;

  /**
   * Keeps nothing yet.
   *
   * @param maxBytes The most memory that all frames take.
   */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The memory that all frames take, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a frame in that stands in its list. */
  add(frame: KeptFrame): void {
    const newest = this.#newest;
    frame.older = newest;
    if (newest) newest.newer = frame;
    else this.#oldest = frame;
    this.#newest = frame;
    this.#bytes += frame.cost;
    while (this.#bytes > this.#maxBytes && this.#oldest) {
      this.#oldest.list.delete(this.#oldest);
    }
  }

  /** Takes a frame out; its list does so too. */
  remove(frame: KeptFrame): void {
    const { older, newer } = frame;
    if (older) older.newer = newer;
    else this.#oldest = newer;
    if (newer) newer.older = older;
    else this.#newest = older;
    frame.older = undefined;
    frame.newer = undefined;
    this.#bytes -= frame.cost;
  }
}
