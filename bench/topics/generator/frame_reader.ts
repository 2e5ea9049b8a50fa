import { StampScanner } from "./stamp_scanner.ts";

const TEXT = 0x81;
const CLOSE = 0x88;
const PING = 0x89;

const EVENTS = new TextEncoder().encode(`{"type":"events"`);

/** The listener for the frames that a relay sends to a subscriber. */
export interface FrameListener {
  /** An event with a stamp has come. */
  onEvent(time: number, sequence: number): void;
  /** A message without events has come. */
  onMessage(message: Record<string, unknown>): void;
  /** The relay asks for a pong: the bytes of its frame. */
  onPing(pong: Uint8Array<ArrayBuffer>): void;
}

/** Reads the WebSocket frames of a relay (RFC 6455, section 5.2), cut anywhere. */
export class FrameReader {
  readonly #listener: FrameListener;
  readonly #scanner = new StampScanner();
  /** The beginning of a frame that is not whole yet. */
  #rest: Uint8Array<ArrayBuffer> | undefined;

  /** Makes a reader that waits for a frame. */
  constructor(listener: FrameListener) {
    this.#listener = listener;
  }

  /**
   * Takes what has come.
   *
   * @param bytes Not kept.
   * @param end How many of the bytes are meant.
   * @throws {Error} If it is no frame that a relay sends.
   */
  push(bytes: Uint8Array<ArrayBuffer>, end: number): void {
    let at = 0;
    if (this.#rest) {
      const whole = new Uint8Array(this.#rest.length + end);
      whole.set(this.#rest);
      whole.set(bytes.subarray(0, end), this.#rest.length);
      [bytes, end] = [whole, whole.length];
      this.#rest = undefined;
    }
    while (at < end) {
      const next = this.#take(bytes, at, end);
      if (next > end) {
        this.#rest = bytes.slice(at, end);
        return;
      }
      at = next;
    }
  }

  /** Takes a frame; returns its end, which is beyond the bytes where it is not whole. */
  #take(bytes: Uint8Array<ArrayBuffer>, at: number, end: number): number {
    if (end - at < 2) return Infinity;
    // The bytes up to `end` are there, here and below.
    const short = bytes[at + 1]!;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (end - at < header) return Infinity;
    let length = short;
    if (header > 2) {
      length = 0;
      for (let i = 2; i < header; i++) length = length * 256 + bytes[at + i]!;
    }
    const from = at + header;
    const to = from + length;
    if (to > end) return to;
    switch (bytes[at]) {
      case TEXT:
        this.#takeText(bytes, from, to);
        break;
      case PING:
        // A client's frames are masked; a mask of zeros leaves the bytes as they are.
        this.#listener.onPing(
          Uint8Array.of(
            0x8a,
            0x80 | length,
            0,
            0,
            0,
            0,
            ...bytes.subarray(from, to),
          ),
        );
        break;
      case CLOSE:
        break;
      default:
        throw new Error(`Expected a frame of a relay: got byte ${bytes[at]}`);
    }
    return to;
  }

  #takeText(bytes: Uint8Array<ArrayBuffer>, from: number, to: number): void {
    if (!hasEvents(bytes, from)) {
      const text = new TextDecoder().decode(bytes.subarray(from, to));
      this.#listener.onMessage(JSON.parse(text));
      return;
    }
    const scanner = this.#scanner;
    for (let i = from; i < to; i++) {
      scanner.take(bytes[i]!);
      if (!scanner.isWhole) continue;
      this.#listener.onEvent(scanner.time, scanner.sequence);
      scanner.clear();
    }
  }
}

function hasEvents(bytes: Uint8Array<ArrayBuffer>, at: number): boolean {
  for (let i = 0; i < EVENTS.length; i++) {
    if (bytes[at + i] !== EVENTS[i]) return false;
  }
  return true;
}
