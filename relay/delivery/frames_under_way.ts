import type { Frame } from "./frame.ts";

/** A reader that may have to wait for a frame. */
export interface WaitingReader {
  /** Whether the reader still waits. */
  readonly isWaiting: boolean;
}

/** A frame that is being made. */
interface UnderWay {
  readonly frame: Promise<Frame>;
  readonly readers: WaitingReader[];
}

/**
 * Frames of one topic that take more than a turn of the event loop to make: each is
 * made once for all its readers.
 */
export class FramesUnderWay {
  readonly #frames = new Map<number, UnderWay>();

  /**
   * Makes a frame, or waits for it with others.
   *
   * @param from The offset that the frame begins at.
   * @param reader The reader.
   * @param make Makes the frame. It may give up when no reader waits any more, and
   * then never resolves.
   */
  make(
    from: number,
    reader: WaitingReader,
    make: (isWanted: () => boolean) => Frame | Promise<Frame>,
  ): Frame | Promise<Frame> {
    const frames = this.#frames;
    for (const [from, { readers }] of frames) {
      if (!isWanted(readers)) frames.delete(from);
    }
    const known = frames.get(from);
    if (known) {
      known.readers.push(reader);
      return known.frame;
    }
    const readers = [reader];
    const frame = make(() => isWanted(readers));
    if (!(frame instanceof Promise)) return frame;
    const underWay = { frame, readers };
    frames.set(from, underWay);
    const over = (): void => {
      if (frames.get(from) === underWay) frames.delete(from);
    };
    frame.then(over, over);
    return frame;
  }
}

function isWanted(readers: readonly WaitingReader[]): boolean {
  return readers.some(({ isWaiting }) => isWaiting);
}
