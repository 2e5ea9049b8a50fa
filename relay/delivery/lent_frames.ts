import type { Frame } from "./frame.ts";
import type { Message } from "./long_message.ts";

/**
 * A longer frame is not kept, or it would take the place of many others: it is
 * shared for as long as it is being written to a reader, and costs nothing more.
 */
export const MAX_KEPT = 1024 * 1024;

/** The number of frames from which those are looked for that are gone. */
const MIN_SWEEP = 16;

/** A frame that lives as long as a reader has not taken it. */
interface LentFrame extends Omit<Frame, "bytes"> {
  readonly bytes: WeakRef<Message>;
}

/**
 * Frames of one topic that nothing keeps: each can be had while a reader holds it, or
 * until its memory is needed. A thousand readers that stopped within an event of 16
 * MiB hold on to the same one, and readers that come back one after the other share
 * the frames that the first has read.
 */
export class LentFrames {
  readonly #frames = new Map<number, LentFrame>();
  /** The number of frames at which those that are gone are looked for next. */
  #sweepAt = MIN_SWEEP;

  /** Remembers a frame for as long as its memory is there. */
  lend(from: number, frame: Frame): Frame {
    if (this.#frames.size >= this.#sweepAt) this.#sweep();
    const { to, full, time } = frame;
    this.#frames.set(from, { to, full, time, bytes: new WeakRef(frame.bytes) });
    return frame;
  }

  /** Returns the frame that begins at an offset, if it is still there. */
  borrow(from: number): Frame | undefined {
    const lent = this.#frames.get(from);
    const bytes = lent?.bytes.deref();
    return lent && bytes && { ...lent, bytes };
  }

  /** Forgets frames that are gone: seldom enough that it costs each frame little. */
  #sweep(): void {
    for (const [from, { bytes }] of this.#frames) {
      if (!bytes.deref()) this.#frames.delete(from);
    }
    this.#sweepAt = Math.max(2 * this.#frames.size, MIN_SWEEP);
  }
}
