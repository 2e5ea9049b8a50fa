import type { LoadRun } from "./load_run.ts";
import { type Counts, Reader } from "./reader.ts";

const decoder = new TextDecoder();

const TEXT = 0x81;
const PING = 0x89;

const BEFORE_DATA = `{"data":"`;
const AFTER_DATA = `"}`;

/** Reads what a subscriber gets: frames of WebSocket, with the relay's messages in them. */
export class SubscriberReader extends Reader {
  readonly #topic: string;
  readonly #prefix: string;
  #isOpen = false;
  #pong: Uint8Array<ArrayBuffer> | undefined;

  /** Makes a reader that was not answered yet. */
  constructor(who: string, topic: string, run: LoadRun, counts: Counts) {
    super(who, run, counts);
    this.#topic = topic;
    this.#prefix = `{"type":"events","topic":"${topic}","offset":`;
  }

  /** Whether it is subscribed. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The answer to the last ping, once. */
  takePong(): Uint8Array<ArrayBuffer> | undefined {
    const pong = this.#pong;
    this.#pong = undefined;
    return pong;
  }

  #hasHead = false;

  protected override read(bytes: Uint8Array, at: number): number {
    if (!this.#hasHead) return this.#readHead(bytes);
    if (bytes.length - at < 2) return 0;
    const short = bytes[at + 1]!; // it is there, as is what follows
    const header = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length - at < header) return 0;
    let length = short;
    if (header > 2) {
      length = 0;
      for (let i = 2; i < header; i++) length = length * 256 + bytes[at + i]!;
    }
    const end = at + header + length;
    if (bytes.length < end) return 0;
    const payload = bytes.subarray(at + header, end);
    if (bytes[at] === TEXT) this.#readMessage(decoder.decode(payload));
    else if (bytes[at] === PING) {
      // A client's frames are masked; a mask of zeros leaves the bytes as they are.
      this.#pong = Uint8Array.of(0x8A, 0x80 | length, 0, 0, 0, 0, ...payload);
    } else this.fail(`a frame of ${bytes[at]}`);
    return end - at;
  }

  #readHead(bytes: Uint8Array): number {
    const text = decoder.decode(bytes);
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) return 0;
    if (!text.startsWith("HTTP/1.1 101 ")) this.fail(text);
    this.#hasHead = true;
    return end + 4;
  }

  #readMessage(text: string): void {
    if (!text.startsWith(this.#prefix)) return this.#readOther(text);
    this.countMessage();
    const first = `${this.seen + 1},"events":[`;
    if (!text.startsWith(first, this.#prefix.length)) return this.fail(text);
    let at = this.#prefix.length + first.length;
    for (;;) {
      if (!text.startsWith(BEFORE_DATA, at)) return this.fail(text);
      at = this.takeEvent(text, at + BEFORE_DATA.length);
      if (at < 0 || !text.startsWith(AFTER_DATA, at)) return this.fail(text);
      at += AFTER_DATA.length;
      if (text[at] !== ",") break;
      at++;
    }
    if (text.slice(at) !== "]}") this.fail(text);
  }

  #readOther(text: string): void {
    const message = JSON.parse(text);
    switch (message.type) {
      case "subscribed":
        this.#isOpen = true;
        break;
      case "end":
        if (message.topic !== this.#topic || message.status !== "complete") {
          this.fail(text);
        }
        if (message.reason !== undefined) this.fail(text);
        this.finish();
        break;
      case "welcome":
      case "live":
      case "upstream":
      case "heartbeat":
        break;
      default:
        this.fail(text);
    }
  }
}
