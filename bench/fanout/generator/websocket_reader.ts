import { MessageReader } from "./message_reader.ts";

const TEXT = 0x81;
const PING = 0x89;

/** Counts the events in the WebSocket frames of one subscriber. */
export abstract class WebSocketReader extends MessageReader {
  /** The start of the payload of the judged frame, and its length. */
  #header = 0;
  #payload = 0;
  /** A ping that was not answered yet. */
  #ping: Uint8Array | undefined;

  /**
   * Judges the payload of a text frame, at `at`; sets `isWanted`.
   *
   * @param length Its whole length: fewer may be there.
   */
  protected abstract judgeText(
    bytes: Uint8Array,
    at: number,
    length: number,
  ): void;

  /** Judges a frame that has no event. */
  protected abstract judgeOther(): void;

  /** Reads the payload of a text frame that was wanted whole. */
  protected abstract readText(payload: Uint8Array, now: number): void;

  /** The pong that answers the last ping, once. */
  takePong(): Uint8Array | undefined {
    const payload = this.#ping;
    if (!payload) return undefined;
    this.#ping = undefined;
    // A client's frames are masked; a mask of zeros leaves the bytes as they are.
    const mask = [0, 0, 0, 0];
    return Uint8Array.of(0x8a, 0x80 | payload.length, ...mask, ...payload);
  }

  protected override judge(
    bytes: Uint8Array,
    at: number,
    end: number,
  ): number {
    const available = end - at;
    if (available < 2) return 0;
    // The bytes up to `end` are there, here and below.
    const short = bytes[at + 1]!;
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (available < header) return 0;
    let payload = short;
    if (header > 2) {
      payload = 0;
      for (let i = 2; i < header; i++) payload = payload * 256 + bytes[at + i]!;
    }
    const length = header + payload;
    if (available < Math.min(this.headLength, length)) return 0;
    this.#header = header;
    this.#payload = payload;
    this.isWanted = bytes[at] !== TEXT;
    if (this.isWanted) this.judgeOther();
    else this.judgeText(bytes, at + header, payload);
    return length;
  }

  protected override readWhole(frame: Uint8Array, now: number): void {
    const payload = frame.subarray(this.#header, this.#header + this.#payload);
    if (frame[0] === TEXT) this.readText(payload, now);
    else if (frame[0] === PING) this.#ping = payload;
    else this.tally.errors++;
  }
}
