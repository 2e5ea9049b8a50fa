import { readDigits, readEventData, readSent, TOPIC } from "../event.ts";
import type { Tally } from "./tally.ts";
import { WebSocketReader } from "./websocket_reader.ts";

/**
 * One message in this many is read whole, and stands for the others, where it has
 * more than one event. It shares no factor with the numbers of subscribers.
 */
const SAMPLE = 97;

const PREFIX = new TextEncoder().encode(
  `{"type":"events","topic":"${TOPIC}","offset":`,
);
const AFTER_OFFSET = `,"events":[`.length;
const BEFORE_DATA = `{"data":"`.length;
const AROUND_DATA = `{"data":""},`.length;

let frames = 0;

/** Any number of events in a message, as the relay sends them. */
export class RelayReader extends WebSocketReader {
  readonly #size: number;
  #count = 0;
  /** The time at which the first event of the frame was sent. */
  #sent = 0;
  #next = 1;

  /** Makes a reader of events with data of one size. */
  constructor(tally: Tally, size: number) {
    super(tally);
    this.#size = size;
  }

  protected override judgeOther(): void {
    this.#count = 0;
  }

  /** Events are of one size, so that the length tells how many there are. */
  protected override judgeText(
    bytes: Uint8Array,
    at: number,
    length: number,
  ): void {
    if (!isEvents(bytes, at)) {
      this.#count = 0;
      this.isWanted = true;
      return;
    }
    const offset = readDigits(bytes, at + PREFIX.length);
    const beforeEvents = PREFIX.length + `${offset}`.length + AFTER_OFFSET;
    // The closing `]}` is one more than the comma that the last event is without.
    const count = (length - beforeEvents - 1) / (AROUND_DATA + this.#size);
    if (offset !== this.#next || !Number.isInteger(count)) this.tally.errors++;
    this.#next = offset + count;
    this.#count = count;
    this.#sent = readSent(bytes, at + beforeEvents + BEFORE_DATA);
    this.isWanted = count > 1 && ++frames % SAMPLE === 0;
  }

  protected override count(now: number): void {
    if (this.#count === 0) return;
    this.tally.messages++;
    this.tally.delivered += this.#count;
    const longest = now - this.#sent;
    if (this.#count === 1) this.tally.latencies.add(longest);
    else this.tally.latencies.atLeast(longest);
  }

  protected override readText(payload: Uint8Array, now: number): void {
    const message = JSON.parse(new TextDecoder().decode(payload));
    switch (message.type) {
      case "events": {
        let offset = message.offset;
        for (const { data } of message.events) {
          const { sent, sequence } = readEventData(data);
          if (sequence !== offset++) this.tally.errors++;
          this.tally.latencies.add(now - sent, SAMPLE);
        }
        if (offset !== this.#next) this.tally.errors++;
        break;
      }
      case "gap":
        this.tally.gaps++;
        this.tally.missed += message.to - message.from + 1;
        if (message.from !== this.#next) this.tally.errors++;
        this.#next = message.to + 1;
        break;
      case "welcome":
      case "subscribed":
      case "upstream":
      case "live":
      case "heartbeat":
        break;
      default:
        this.tally.errors++;
    }
  }
}

function isEvents(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < PREFIX.length; i++) {
    if (bytes[at + i] !== PREFIX[i]) return false;
  }
  return true;
}
