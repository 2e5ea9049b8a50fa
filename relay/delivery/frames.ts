import type { LogEntry, LogRange, ReadBudget } from "../topics/log.ts";
import type { Topic } from "../topics/topic.ts";
import { DeliveryCounts } from "./delivery_counts.ts";
import { encodeParts } from "./encode_parts.ts";
import { type FoldedSnapshot, foldSnapshot } from "./fold_snapshot.ts";
import type { Format } from "./format.ts";
import type { Frame } from "./frame.ts";
import { FramesUnderWay, type WaitingReader } from "./frames_under_way.ts";
import { LentFrames, MAX_KEPT } from "./lent_frames.ts";
import { LongMessage, type Message } from "./long_message.ts";

/**
 * One message carries at most this much. A stalled subscriber holds on to one
 * message, so this is also what it costs; more made delivery no faster.
 */
const BUDGET: ReadBudget = { events: 512, bytes: 32 * 1024 };

/** Joined frames are kept for the subscribers that follow close behind, up to this many bytes. */
const CACHE_BYTES = 16 * 1024 * 1024;

/** What keeping a frame costs besides its bytes, about. */
const FRAME_COST = 512;

/** A snapshot still does when at most this many events came after it. */
const SNAPSHOT_LAG = 256;

const PATIENT: WaitingReader = { isWaiting: true };

/**
 * The frames of all topics, of one format and mode, by the offset that they begin at.
 *
 * Away from the end of a log, ranges end where a multiple of the budget's
 * events does, so that readers who resumed at different places soon read the
 * same ranges.
 */
export class FrameCache {
  /** What is delivered of them. */
  readonly counts: DeliveryCounts;
  readonly #format: Format;
  readonly #byTopic = new WeakMap<Topic, Map<number, Frame>>();
  /** By the first offset that was retained: there is one of each topic. */
  readonly #snapshots = new WeakMap<Topic, Map<number, Frame>>();
  /** Every frame in the order it was made, with the place it is kept in. */
  readonly #frames = new Map<
    Frame,
    { readonly from: number; readonly place: Map<number, Frame> }
  >();
  readonly #lent = new LentFrames();
  readonly #lentSnapshots = new LentFrames();
  readonly #underWay = new FramesUnderWay<Frame>();
  readonly #snapshotsUnderWay = new FramesUnderWay<Frame>();
  /** The lengths that long events have when they are encoded. */
  readonly #lengths = new WeakMap<LogEntry, number>();
  #bytes = 0;

  /**
   * Makes an empty cache.
   *
   * @param format How events are written.
   * @param counts What is delivered through this door. Default: nobody looks at that.
   */
  constructor(format: Format, counts: DeliveryCounts = new DeliveryCounts()) {
    this.#format = format;
    this.counts = counts;
  }

  /**
   * Returns the events from an offset on.
   *
   * @param topic The topic.
   * @param from Retained, and less than the log's next offset.
   * @param room How many bytes may be written. Where fewer than the frame has
   * that is made for all, a smaller one is made for this reader alone.
   * @param always Whether the first event is given however large it is.
   * @param reader The reader, which may have to wait. Default: one that does.
   * @returns `undefined` where there is no room for the first event.
   */
  get(
    topic: Topic,
    from: number,
    room = Infinity,
    always = true,
    reader: WaitingReader = PATIENT,
  ): Frame | undefined | Promise<Frame | undefined> {
    const place = placeIn(this.#byTopic, topic);
    const kept = place.get(from) ?? this.#lent.borrow(topic, from);
    const shared = kept && (kept.full || kept.to === topic.log.next)
      ? kept
      : undefined;
    if (shared && shared.bytes.byteLength <= room) return shared;
    // At the end of the log all readers are at one place, and a cut would only
    // make another message.
    const events = topic.log.next - from <= BUDGET.events
      ? BUDGET.events
      : BUDGET.events - ((from - 1) % BUDGET.events);
    const fit = (
      range: LogRange,
    ): Frame | undefined | Promise<Frame | undefined> => {
      const [entry] = range.entries;
      if (entry && isLong(entry) && this.#format.longEvent) {
        if (shared) return always ? shared : undefined;
        return this.#long(topic, from, entry, room, always, reader);
      }
      if (room < Infinity && this.#format.eventsWithin) {
        return this.#fit(topic, range, room, always, place);
      }
      const frame = shared ?? this.#join(topic, range, place);
      return frame.bytes.byteLength <= room
        ? frame
        : this.#cut(topic, range, frame, room, always);
    };
    const range = topic.log.read(from, { events, bytes: BUDGET.bytes });
    return range instanceof Promise ? range.then(fit) : fit(range);
  }

  /**
   * Returns the fold of what is retained, as far as one message may go. An event that
   * is longer by itself is a snapshot of its own, or comes after it.
   *
   * @param topic The topic: something is retained of it.
   * @param reader The reader, which may have to wait. Default: one that does.
   * @returns `undefined` where the format has no snapshots.
   */
  snapshot(
    topic: Topic,
    reader: WaitingReader = PATIENT,
  ): Frame | undefined | Promise<Frame> {
    const { log } = topic;
    const format = this.#format;
    if (!format.snapshot) return undefined;
    const place = placeIn(this.#snapshots, topic);
    const { first, next } = log;
    const kept = place.get(first) ?? this.#lentSnapshots.borrow(topic, first);
    if (kept && (kept.full || next - kept.to <= SNAPSHOT_LAG)) return kept;

    const share = ({ to, bytes }: FoldedSnapshot): Frame => {
      for (const old of place.values()) this.#drop(old);
      const full = to < next || bytes instanceof LongMessage;
      const frame = { to, bytes, full, time: 0 };
      return bytes.byteLength > MAX_KEPT
        ? this.#lentSnapshots.lend(topic, first, frame)
        : this.#keep(place, first, frame);
    };
    const make = (isWanted: () => boolean): Frame | Promise<Frame> => {
      const folded = foldSnapshot(topic, format, isWanted);
      return folded instanceof Promise ? folded.then(share) : share(folded);
    };
    return this.#snapshotsUnderWay.make(topic, first, reader, make);
  }

  /** Encodes an event that is long, once for all who wait for it. */
  #long(
    topic: Topic,
    offset: number,
    entry: LogEntry,
    room: number,
    always: boolean,
    reader: WaitingReader,
  ): Frame | undefined | Promise<Frame | undefined> {
    const length = this.#lengths.get(entry) ?? entry.size;
    if (length > room && !always) return undefined;
    const share = (message: LongMessage): Frame => {
      this.#lengths.set(entry, message.byteLength);
      const range = { offset, entries: [entry] };
      return this.#share(topic, range, placeIn(this.#byTopic, topic), message);
    };
    const frame = this.#underWay.make(topic, offset, reader, (isWanted) => {
      const parts = this.#format.longEvent!(topic, offset, entry); // get() has looked
      const message = encodeParts(entry, parts, isWanted);
      return message instanceof Promise ? message.then(share) : share(message);
    });
    const fit = (frame: Frame): Frame | undefined =>
      frame.bytes.byteLength <= room || always ? frame : undefined;
    return frame instanceof Promise ? frame.then(fit) : fit(frame);
  }

  #join(topic: Topic, range: LogRange, place: Map<number, Frame>): Frame {
    return this.#share(topic, range, place, this.#events(topic, range));
  }

  /** Encodes events at once. */
  #events(topic: Topic, range: LogRange): Uint8Array {
    const bytes = this.#format.events(topic, range);
    this.counts.encoded += bytes.byteLength;
    // When they are merged, they become less than they were.
    for (const { size } of range.entries) this.counts.encoded += size;
    return bytes;
  }

  /** As much of a range as there is room for: for all, if that is all of it. */
  #fit(
    topic: Topic,
    range: LogRange,
    room: number,
    always: boolean,
    place: Map<number, Frame>,
  ): Frame | undefined {
    const { offset, entries } = range;
    const fitting = this.#format.eventsWithin?.(topic, range, room);
    this.counts.encoded += fitting?.bytes.byteLength ?? 0;
    if (fitting?.count === entries.length) {
      return this.#share(topic, range, place, fitting.bytes);
    }
    if (!fitting && !always) return undefined;
    const { count, bytes } = fitting ?? {
      count: 1,
      bytes: this.#events(topic, firstOf(range, 1)),
    };
    return { to: offset + count, bytes, full: true, time: timeOf(range) };
  }

  /** The longest frame that there is room for; `whole` has none. */
  #cut(
    topic: Topic,
    range: LogRange,
    whole: Frame,
    room: number,
    always: boolean,
  ): Frame | undefined {
    const { offset, entries } = range;
    const make = (count: number): Frame => ({
      to: offset + count,
      bytes: this.#events(topic, firstOf(range, count)),
      full: true,
      time: whole.time,
    });
    let longest: Frame | undefined;
    let fits = 0;
    let fitting = 0;
    // A frame that was kept may have more than is read now.
    let tooMany = Math.min(whole.to - offset, entries.length + 1);
    let tooLong = whole.bytes.byteLength;
    for (let guesses = 0; tooMany - fits > 1; guesses++) {
      // Events are mostly of a size, so that a guess is near; where they are not,
      // every other halves what is left.
      const share = guesses % 2 === 0
        ? (room - fitting) / (tooLong - fitting)
        : 1 / 2;
      const count = Math.min(
        Math.max(fits + Math.floor(share * (tooMany - fits)), fits + 1),
        tooMany - 1,
      );
      const frame = make(count);
      const length = frame.bytes.byteLength;
      if (length <= room) {
        longest = frame;
        fits = count;
        fitting = length;
      } else {
        tooMany = count;
        tooLong = length;
      }
    }
    return longest ?? (always ? make(1) : undefined);
  }

  /** Keeps what a range was written as for the readers to come. */
  #share(
    topic: Topic,
    range: LogRange,
    place: Map<number, Frame>,
    bytes: Message,
  ): Frame {
    const to = range.offset + range.entries.length;
    // Nobody asks for frames that retention has passed; the oldest come first.
    for (const old of place.values()) {
      if (old.to > topic.log.first) break;
      this.#drop(old);
    }
    const frame = {
      to,
      bytes,
      // What is behind a long event has no room in its message.
      full: bytes instanceof LongMessage || to < topic.log.next,
      time: timeOf(range),
    };
    return bytes.byteLength > MAX_KEPT
      ? this.#lent.lend(topic, range.offset, frame)
      : this.#keep(place, range.offset, frame);
  }

  #keep(
    place: Map<number, Frame>,
    from: number,
    { to, bytes, full, time }: Frame,
  ): Frame {
    // Small buffers are pieces of one that Node shares out: a frame that is kept
    // would keep all 8 KiB of it.
    const frame = {
      to,
      bytes: bytes instanceof Uint8Array && isPiece(bytes)
        ? new Uint8Array(bytes)
        : bytes,
      full,
      time,
    };
    const old = place.get(from);
    if (old) this.#drop(old);
    place.set(from, frame);
    this.#frames.set(frame, { from, place });
    this.#bytes += costOf(frame);
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
    this.#bytes -= costOf(frame);
  }
}

function firstOf({ offset, entries }: LogRange, count: number): LogRange {
  return { offset, entries: entries.slice(0, count) };
}

/** Whether an event is encoded in slices of time, and has a message of its own. */
function isLong({ size }: LogEntry): boolean {
  return size > BUDGET.bytes;
}

function timeOf({ entries }: LogRange): number {
  return entries[0]!.time; // a range has one at least
}

function costOf({ bytes }: Frame): number {
  return bytes.byteLength + FRAME_COST;
}

function isPiece(bytes: Uint8Array): boolean {
  return bytes.byteLength < bytes.buffer.byteLength;
}

function placeIn(
  places: WeakMap<Topic, Map<number, Frame>>,
  topic: Topic,
): Map<number, Frame> {
  let place = places.get(topic);
  if (!place) places.set(topic, place = new Map());
  return place;
}
