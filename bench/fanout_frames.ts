import { readEventData, TOPIC, wallClock } from "./fanout_event.ts";

/** What subscribers have counted. */
export interface Tally {
  /** Events that came. */
  delivered: number;
  /** Messages that brought them. */
  messages: number;
  /** `gap` messages. */
  gaps: number;
  /** Events that a gap said would not come. */
  missed: number;
  /** What should never be: lost, repeated or foreign events, frames of another shape. */
  errors: number;
  /** From upstream to subscriber, in milliseconds, of the events of some messages. */
  latencies: number[];
}

/** Makes a tally of nothing. */
export function emptyTally(): Tally {
  return {
    delivered: 0,
    messages: 0,
    gaps: 0,
    missed: 0,
    errors: 0,
    latencies: [],
  };
}

/** One message in this many is read whole. It shares no factor with the numbers of subscribers. */
const SAMPLE = 97;

/** A frame is judged by its beginning, up to this many bytes: header, type and offset. */
const HEAD = 96;

const PREFIX = new TextEncoder().encode(
  `{"type":"events","topic":"${TOPIC}","offset":`,
);
const AFTER_OFFSET = `,"events":[`.length;
const AROUND_DATA = `{"data":""},`.length;

let frames = 0;

/**
 * Counts the events in the frames of one subscriber.
 *
 * It looks at the beginning of a frame and passes over the rest: events are of
 * one size, so the length tells how many there are, and every frame has to begin
 * where the one before ended. One in {@linkcode SAMPLE} is parsed in full.
 */
export class FrameReader {
  readonly #size: number;
  readonly #tally: Tally;
  /** The beginning of a frame that was cut before it could be judged. */
  readonly #head = new Uint8Array(HEAD);
  #headLength = 0;
  /** What is still to come of the frame that has been judged. */
  #rest = 0;
  /** How many events the frame has. */
  #count = 0;
  /** The frame, where it is read whole, and where its payload begins. */
  #whole: Uint8Array | undefined;
  #payloadAt = 0;
  #next = 1;

  /** Makes a reader of events with data of one size. */
  constructor(size: number, tally: Tally) {
    this.#size = size;
    this.#tally = tally;
  }

  /** Takes what has come. */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#rest === 0) {
        at = this.#begin(bytes, at);
        continue;
      }
      const end = Math.min(at + this.#rest, bytes.length);
      const whole = this.#whole;
      whole?.set(bytes.subarray(at, end), whole.length - this.#rest);
      this.#take(end - at);
      at = end;
    }
  }

  /** Judges the frame that begins here; returns where to go on. */
  #begin(bytes: Uint8Array, at: number): number {
    if (this.#headLength === 0 && bytes.length - at >= HEAD) {
      this.#judge(bytes, at, bytes.length);
      return at; // nothing was taken yet but the judgement
    }
    const before = this.#headLength;
    const added = bytes.subarray(at, at + HEAD - before);
    this.#head.set(added, before);
    this.#headLength += added.length;
    if (!this.#judge(this.#head, 0, this.#headLength)) return bytes.length;
    const taken = Math.min(this.#headLength, this.#rest);
    this.#headLength = 0;
    this.#whole?.set(this.#head.subarray(0, taken));
    this.#take(taken);
    return at + taken - before;
  }

  /** Reads header, type and offset; false where more is needed for that. */
  #judge(bytes: Uint8Array, at: number, end: number): boolean {
    const available = end - at;
    if (available < 2) return false;
    const short = bytes[at + 1]!; // the bytes up to `end` are there, here and below
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (available < header) return false;
    let payload = short;
    if (header > 2) {
      payload = 0;
      for (let i = 2; i < header; i++) payload = payload * 256 + bytes[at + i]!;
    }
    if (available < Math.min(HEAD, header + payload)) return false;
    this.#rest = header + payload;
    this.#payloadAt = header;
    const events = bytes[at] === 0x81 && isEvents(bytes, at + header);
    this.#count = events ? this.#countEvents(bytes, at + header, payload) : 0;
    this.#whole = !events || ++frames % SAMPLE === 0
      ? new Uint8Array(this.#rest)
      : undefined;
    return true;
  }

  #countEvents(bytes: Uint8Array, at: number, payload: number): number {
    let digit = at + PREFIX.length;
    let offset = 0;
    for (; bytes[digit] !== 0x2c; digit++) {
      offset = offset * 10 + bytes[digit]! - 0x30;
    }
    // The closing `]}` is one more than the comma that the last event is without.
    const count = (payload - (digit - at) - AFTER_OFFSET - 1) /
      (AROUND_DATA + this.#size);
    if (offset !== this.#next || !Number.isInteger(count)) this.#tally.errors++;
    this.#next = offset + count;
    return count;
  }

  #take(length: number): void {
    this.#rest -= length;
    if (this.#rest > 0) return;
    if (this.#count > 0) {
      this.#tally.messages++;
      this.#tally.delivered += this.#count;
    }
    if (this.#whole) {
      this.#readWhole(this.#whole.subarray(this.#payloadAt));
      this.#whole = undefined;
    }
  }

  #readWhole(payload: Uint8Array): void {
    const message = JSON.parse(new TextDecoder().decode(payload));
    switch (message.type) {
      case "events": {
        const now = wallClock();
        let offset = message.offset;
        for (const { data } of message.events) {
          const { sent, sequence } = readEventData(data);
          if (sequence !== offset++) this.#tally.errors++;
          this.#tally.latencies.push(now - sent);
        }
        if (offset !== this.#next) this.#tally.errors++;
        break;
      }
      case "gap":
        this.#tally.gaps++;
        this.#tally.missed += message.to - message.from + 1;
        if (message.from !== this.#next) this.#tally.errors++;
        this.#next = message.to + 1;
        break;
      case "welcome":
      case "subscribed":
      case "live":
      case "heartbeat":
        break;
      default:
        this.#tally.errors++;
    }
  }
}

function isEvents(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < PREFIX.length; i++) {
    if (bytes[at + i] !== PREFIX[i]) return false;
  }
  return true;
}
