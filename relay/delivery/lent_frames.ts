import type { Topic } from "../topics/topic.ts";
import type { Frame } from "./frame.ts";
import type { Message } from "./long_message.ts";

/**
 * A longer frame is not kept, or it would take the place of many others: it is
 * shared for as long as it is being written to a reader, and costs nothing more.
 */
export const MAX_KEPT = 1024 * 1024;

/** A frame that lives as long as a reader has not taken it. */
interface LentFrame extends Omit<Frame, "bytes"> {
  readonly bytes: WeakRef<Message>;
}

/**
 * Frames that are too long to be kept. A thousand readers that stopped within an
 * event of 16 MiB hold on to the same one.
 */
export class LentFrames {
  readonly #byTopic = new WeakMap<Topic, Map<number, LentFrame>>();

  /** Remembers a frame for as long as a reader has not taken it. */
  lend(topic: Topic, from: number, frame: Frame): Frame {
    let place = this.#byTopic.get(topic);
    if (!place) this.#byTopic.set(topic, place = new Map());
    for (const [from, { bytes }] of place) {
      if (!bytes.deref()) place.delete(from);
    }
    place.set(from, { ...frame, bytes: new WeakRef(frame.bytes) });
    return frame;
  }

  /** Returns the frame that begins at an offset, if a reader has it still. */
  borrow(topic: Topic, from: number): Frame | undefined {
    const lent = this.#byTopic.get(topic)?.get(from);
    const bytes = lent?.bytes.deref();
    return lent && bytes && { ...lent, bytes };
  }
}
