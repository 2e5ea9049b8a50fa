import type { LogEntry, LogRange, ReadBudget } from "../topics/log.ts";
import type { Topic } from "../topics/topic.ts";
import { Cursors } from "./cursors.ts";
import type { DeliveryCounts } from "./delivery_counts.ts";
import { encodeParts } from "./encode_parts.ts";
import { type FoldedSnapshot, foldSnapshot } from "./fold_snapshot.ts";
import type { Format } from "./format.ts";
import type { Frame } from "./frame.ts";
import { FramesUnderWay, type WaitingReader } from "./frames_under_way.ts";
import { FrameList, type KeptFrames } from "./kept_frames.ts";
import { LentFrames, MAX_KEPT } from "./lent_frames.ts";
import { LongMessage, type Message } from "./long_message.ts";
import type { RecentFrames } from "./recent_frames.ts";

/**
 * One message carries at most this much. A stalled subscriber holds on to one
 * message, so this is also what it costs; more made delivery no faster.
 */
const BUDGET: ReadBudget = { events: 512, bytes: 32 * 1024 };

/** A snapshot still does when at most this many events came after it. */
const SNAPSHOT_LAG = 256;

/**
 * A shorter frame is not lent: most are of one event that was sent at once, and
 * nobody asks for that again.
 */
const MIN_LENT = 2 * 1024;

const PATIENT: WaitingReader = { isWaiting: true };

/**
 * The frames of one topic, of one format and mode, by the offset that they begin at.
 *
 * Away from the end of a log, ranges end where a multiple of the budget's
 * events does, so that readers who resumed at different places soon read the
 * same ranges.
 *
 * A frame is kept for readers that have yet to read it, and so only if another reader
 * than the one that it was made for is not past it. When all are past it, it is lent:
 * a reader that comes later has it if its memory was not needed meanwhile
 * ({@linkcode RecentFrames}).
 */
export class TopicFrames {
  /** The counts of what is delivered of the frames of all topics. */
  readonly counts: DeliveryCounts;
  readonly #topic: Topic;
  readonly #format: Format;
  readonly #kept: KeptFrames;
  readonly #recent: RecentFrames;
  /** The places of all readers. */
  readonly #cursors = new Cursors();
  // Most topics have one reader, which reads each event as it comes: what it needs
  // nothing of is made when it is needed.
  #full: FrameList | undefined;
  /** Frames up to the end of the log: of no use once there is more. */
  #open: FrameList | undefined;
  /** The end of the log that those reach to. */
  #openTo = 0;
  #lent: LentFrames | undefined;
  /** By the first offset that was retained. */
  #lentSnapshots: LentFrames | undefined;
  #underWay: FramesUnderWay | undefined;
  #snapshotsUnderWay: FramesUnderWay | undefined;
  /** The lengths that long events have when they are encoded. */
  #lengths: WeakMap<LogEntry, number> | undefined;

  /**
   * Makes frames of nothing yet.
   *
   * @param topic The topic.
   * @param format The encoding of events.
   * @param kept The frames that are kept of all topics.
   * @param recent The frames of all topics that were lent last.
   * @param counts The counts of what is delivered.
   */
  constructor(
    topic: Topic,
    format: Format,
    kept: KeptFrames,
    recent: RecentFrames,
    counts: DeliveryCounts,
  ) {
    this.#topic = topic;
    this.#format = format;
    this.#kept = kept;
    this.#recent = recent;
    this.counts = counts;
    topic.isReadFrom(this.#cursors);
  }

  /**
   * Takes a reader in.
   *
   * @param cursor The offset that it reads from.
   */
  join(cursor: number): void {
    this.#cursors.add(cursor);
  }

  /** Follows a reader from one offset to another. */
  move(from: number, to: number): void {
    this.#cursors.move(from, to);
    this.#passed();
  }

  /**
   * Lets a reader go.
   *
   * @param cursor The offset that it would have read from.
   */
  leave(cursor: number): void {
    this.#cursors.delete(cursor);
    this.#passed();
  }

  /**
   * Returns the events from an offset on.
   *
   * @param from Retained, and less than the log's next offset.
   * @param room The number of bytes that may be written. If the frame that is
   * made for all has more, a smaller one is made for this reader alone.
   * @param always Whether the first event is given however large it is.
   * @param reader The reader, which may have to wait. Default: one that does.
   * @returns `undefined` where there is no room for the first event.
   */
  get(
    from: number,
    room = Infinity,
    always = true,
    reader: WaitingReader = PATIENT,
  ): Frame | undefined | Promise<Frame | undefined> {
    const { log } = this.#topic;
    const shared = this.#find(from);
    if (shared && shared.bytes.byteLength <= room) return shared;
    // At the end of the log all readers are at one place, and a cut would only
    // make another message.
    const events = log.next - from <= BUDGET.events
      ? BUDGET.events
      : BUDGET.events - ((from - 1) % BUDGET.events);
    const fit = (
      range: LogRange,
    ): Frame | undefined | Promise<Frame | undefined> => {
      const [entry] = range.entries;
      if (entry && isLong(entry) && this.#format.longEvent) {
        if (shared) return always ? shared : undefined;
        return this.#long(from, entry, room, always, reader);
      }
      if (room < Infinity && this.#format.eventsWithin) {
        return this.#fit(range, room, always);
      }
      const frame = shared ?? this.#share(range, this.#events(range));
      return frame.bytes.byteLength <= room
        ? frame
        : this.#cut(range, frame, room, always);
    };
    const range = log.read(from, { events, bytes: BUDGET.bytes });
    return range instanceof Promise ? range.then(fit) : fit(range);
  }

  /**
   * Returns the fold of what is retained, as far as one message may go. An event that
   * is longer by itself is a snapshot of its own, or comes after it.
   *
   * Something has to be retained.
   *
   * @param reader The reader, which may have to wait. Default: one that does.
   * @returns `undefined` where the format has no snapshots.
   */
  snapshot(
    reader: WaitingReader = PATIENT,
  ): Frame | undefined | Promise<Frame> {
    const topic = this.#topic;
    const format = this.#format;
    if (!format.snapshot) return undefined;
    const { first, next } = topic.log;
    const known = this.#lentSnapshots?.borrow(first);
    if (known && (known.full || next - known.to <= SNAPSHOT_LAG)) return known;

    const lend = ({ to, bytes }: FoldedSnapshot): Frame => {
      const full = to < next || bytes instanceof LongMessage;
      // Those of other beginnings are of no use any more.
      this.#lentSnapshots = new LentFrames();
      return this.#lentSnapshots.lend(first, { to, bytes, full, time: 0 });
    };
    const make = (isWanted: () => boolean): Frame | Promise<Frame> => {
      const folded = foldSnapshot(topic, format, isWanted);
      return folded instanceof Promise ? folded.then(lend) : lend(folded);
    };
    this.#snapshotsUnderWay ??= new FramesUnderWay();
    return this.#snapshotsUnderWay.make(first, reader, make);
  }

  /** Finds a frame that begins at an offset, and is still right. */
  #find(from: number): Frame | undefined {
    if (this.#openTo === this.#topic.log.next) {
      const open = this.#open?.at(from);
      if (open) return open;
    }
    const full = this.#full?.at(from);
    if (full) return full;
    const lent = this.#lent?.borrow(from);
    return lent && (lent.full || lent.to === this.#topic.log.next)
      ? lent
      : undefined;
  }

  /** Encodes an event that is long, once for all who wait for it. */
  #long(
    offset: number,
    entry: LogEntry,
    room: number,
    always: boolean,
    reader: WaitingReader,
  ): Frame | undefined | Promise<Frame | undefined> {
    const length = this.#lengths?.get(entry) ?? entry.size;
    if (length > room && !always) return undefined;
    const share = (message: LongMessage): Frame => {
      this.#lengths ??= new WeakMap();
      this.#lengths.set(entry, message.byteLength);
      return this.#share({ offset, entries: [entry] }, message);
    };
    this.#underWay ??= new FramesUnderWay();
    const frame = this.#underWay.make(offset, reader, (isWanted) => {
      const parts = this.#format.longEvent!(this.#topic, offset, entry); // get() has looked
      const message = encodeParts(entry, parts, isWanted);
      return message instanceof Promise ? message.then(share) : share(message);
    });
    const fit = (frame: Frame): Frame | undefined =>
      frame.bytes.byteLength <= room || always ? frame : undefined;
    return frame instanceof Promise ? frame.then(fit) : fit(frame);
  }

  /** Encodes events at once. */
  #events(range: LogRange): Uint8Array {
    const bytes = this.#format.events(this.#topic, range);
    this.counts.encoded += bytes.byteLength;
    // Merging makes events smaller: count the size that was read, too.
    for (const { size } of range.entries) this.counts.encoded += size;
    return bytes;
  }

  /**
   * Returns the part of a range that there is room for: for all readers, if
   * that is all of it.
   */
  #fit(
    range: LogRange,
    room: number,
    always: boolean,
  ): Frame | undefined {
    const { offset, entries } = range;
    const fitting = this.#format.eventsWithin?.(this.#topic, range, room);
    this.counts.encoded += fitting?.bytes.byteLength ?? 0;
    if (fitting?.count === entries.length) {
      return this.#share(range, fitting.bytes);
    }
    if (!fitting && !always) return undefined;
    const { count, bytes } = fitting ?? {
      count: 1,
      bytes: this.#events(firstOf(range, 1)),
    };
    return { to: offset + count, bytes, full: true, time: timeOf(range) };
  }

  /** The longest frame that there is room for; `whole` has none. */
  #cut(
    range: LogRange,
    whole: Frame,
    room: number,
    always: boolean,
  ): Frame | undefined {
    const { offset, entries } = range;
    const make = (count: number): Frame => ({
      to: offset + count,
      bytes: this.#events(firstOf(range, count)),
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

  /** Shares what a range was written as with the readers to come. */
  #share({ offset, entries }: LogRange, bytes: Message): Frame {
    const { log } = this.#topic;
    const to = offset + entries.length;
    const frame = {
      to,
      bytes,
      // A long event fills its message: later events go into the next.
      full: bytes instanceof LongMessage || to < log.next,
      time: timeOf({ entries }),
    };
    // Nobody asks for frames that retention has passed.
    this.#full?.deleteBefore(log.first);
    if (this.#openTo !== log.next) this.#open?.deleteBefore(Infinity);
    const isKept = bytes.byteLength <= MAX_KEPT &&
      this.#cursors.hasTwoUpTo(offset);
    if (isKept) this.#keep(offset, frame);
    else this.#lend(offset, frame);
    return frame;
  }

  #keep(from: number, frame: Frame): void {
    if (frame.full) {
      this.#full ??= new FrameList(this.#kept);
      this.#full.add(from, frame);
    } else {
      this.#open ??= new FrameList(this.#kept);
      this.#open.add(from, frame);
      this.#openTo = frame.to;
    }
  }

  #lend(from: number, frame: Frame): void {
    if (frame.bytes.byteLength < MIN_LENT) return;
    this.#lent ??= new LentFrames();
    this.#lent.lend(from, frame);
    this.#recent.hold(frame.bytes);
  }

  /** Gives up the frames that no reader has yet to read, or a single one. */
  #passed(): void {
    const needed = this.#cursors.size < 2 ? Infinity : this.#cursors.first;
    this.#giveUp(this.#open, needed);
    this.#giveUp(this.#full, needed);
  }

  #giveUp(list: FrameList | undefined, before: number): void {
    for (
      let frame = list?.takeBefore(before);
      frame;
      frame = list?.takeBefore(before)
    ) this.#lend(frame.from, frame);
  }
}

function firstOf({ offset, entries }: LogRange, count: number): LogRange {
  return { offset, entries: entries.slice(0, count) };
}

/** Whether an event is encoded in slices of time, and has a message of its own. */
function isLong({ size }: LogEntry): boolean {
  return size > BUDGET.bytes;
}

function timeOf({ entries }: Pick<LogRange, "entries">): number {
  return entries[0]!.time; // a range has one at least
}
