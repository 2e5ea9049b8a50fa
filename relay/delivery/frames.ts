import type { LogRange, ReadBudget } from "../topics/log.ts";
import type { Topic } from "../topics/topic.ts";
import type { Format } from "./format.ts";

/**
 * One message carries at most this much. A stalled subscriber holds on to one
 * message, so this is also what it costs; more made delivery no faster.
 */
const BUDGET: ReadBudget = { events: 512, bytes: 32 * 1024 };

/** Joined frames are kept for the subscribers that follow close behind, up to this many bytes. */
const CACHE_BYTES = 16 * 1024 * 1024;

/** A range of events, joined once for all who read it. */
export interface Frame {
  /** The offset after the last event in it. */
  readonly to: number;
  /** The events as a door writes them. */
  readonly bytes: Uint8Array;
  /** Whether more events would not have fitted: it stays right when the log grows. */
  readonly full: boolean;
}

/**
 * The frames of all topics, of one format, by the offset that they begin at.
 *
 * Away from the end of a log, ranges end where a multiple of the budget's
 * events does, so that readers who resumed at different places soon read the
 * same ranges.
 */
export class FrameCache {
  readonly #format: Format;
  readonly #byTopic = new WeakMap<Topic, Map<number, Frame>>();
  /** Every frame in the order it was made, with the place it is kept in. */
  readonly #frames = new Map<
    Frame,
    { readonly from: number; readonly place: Map<number, Frame> }
  >();
  #bytes = 0;

  /** Makes an empty cache. */
  constructor(format: Format) {
    this.#format = format;
  }

  /**
   * Returns the events from an offset on.
   *
   * @param topic The topic.
   * @param from Retained, and less than the log's next offset.
   */
  get(topic: Topic, from: number): Frame | Promise<Frame> {
    let place = this.#byTopic.get(topic);
    if (!place) this.#byTopic.set(topic, place = new Map());
    const known = place.get(from);
    if (known && (known.full || known.to === topic.log.next)) return known;
    // At the end of the log all readers are at one place, and a cut would only
    // make another message.
    const events = topic.log.next - from <= BUDGET.events
      ? BUDGET.events
      : BUDGET.events - ((from - 1) % BUDGET.events);
    const range = topic.log.read(from, { events, bytes: BUDGET.bytes });
    return range instanceof Promise
      ? range.then((range) => this.#join(topic, range, place))
      : this.#join(topic, range, place);
  }

  #join(topic: Topic, range: LogRange, place: Map<number, Frame>): Frame {
    const to = range.offset + range.entries.length;
    const frame = {
      to,
      bytes: this.#format.events(topic, range),
      full: to < topic.log.next,
    };
    const old = place.get(range.offset);
    if (old) this.#drop(old);
    place.set(range.offset, frame);
    this.#frames.set(frame, { from: range.offset, place });
    this.#bytes += frame.bytes.byteLength;
    for (const oldest of this.#frames.keys()) {
      if (this.#bytes <= CACHE_BYTES) break;
      this.#drop(oldest);
    }
    return frame;
  }

  #drop(frame: Frame): void {
    const { from, place } = this.#frames.get(frame)!; // every kept frame is in it
    place.delete(from);
    this.#frames.delete(frame);
    this.#bytes -= frame.bytes.byteLength;
  }
}
