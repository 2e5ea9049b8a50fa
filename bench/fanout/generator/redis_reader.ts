import { readSent, readSequence, TOPIC } from "../event.ts";
import { MessageReader } from "./message_reader.ts";
import { Sequence, type Tally } from "./tally.ts";

/**
 * Reads the messages that `PUBLISH` brings to subscribers (RESP 2), one event
 * each.
 */
export class RedisReader extends MessageReader {
  readonly #prefix: Uint8Array;
  readonly #length: number;
  readonly #sequence = new Sequence();
  #sent = 0;

  /** Makes a reader of events with data of one size. */
  constructor(tally: Tally, size: number) {
    super(tally);
    this.#prefix = new TextEncoder().encode(
      `*3\r\n$7\r\nmessage\r\n$${TOPIC.length}\r\n${TOPIC}\r\n$${size}\r\n`,
    );
    this.#length = this.#prefix.length + size + "\r\n".length;
  }

  protected override judge(
    bytes: Uint8Array,
    at: number,
    end: number,
  ): number {
    if (end - at < Math.min(this.headLength, this.#length)) return 0;
    const data = at + this.#prefix.length;
    // One byte for all: a message that begins elsewhere has no event's data here.
    if (bytes[at] !== this.#prefix[0] || bytes[data - 1] !== 0x0a) {
      throw new Error("Expected a message: Redis has sent something else");
    }
    this.#sent = readSent(bytes, data);
    this.#sequence.check(readSequence(bytes, data), this.tally);
    return this.#length;
  }

  protected override count(now: number): void {
    this.tally.messages++;
    this.tally.delivered++;
    this.tally.latencies.add(now - this.#sent);
  }

  protected override readWhole(): void {
    // none is wanted whole
  }
}
