import { readSent, readSequence } from "../event.ts";
import { Sequence, type Tally } from "./tally.ts";
import { WebSocketReader } from "./websocket_reader.ts";

/** One event in a message, and nothing else, as peers send them. */
export class TextReader extends WebSocketReader {
  readonly #size: number;
  readonly #sequence = new Sequence();
  #sent = 0;

  /** Makes a reader of events with data of one size. */
  constructor(tally: Tally, size: number) {
    super(tally);
    this.#size = size;
  }

  protected override get headLength(): number {
    return 64;
  }

  protected override judgeOther(): void {
    this.#sent = 0;
  }

  protected override judgeText(
    bytes: Uint8Array,
    at: number,
    length: number,
  ): void {
    if (length !== this.#size) {
      this.tally.errors++;
      this.#sent = 0;
      return;
    }
    this.#sent = readSent(bytes, at);
    this.#sequence.check(readSequence(bytes, at), this.tally);
  }

  protected override count(now: number): void {
    if (this.#sent === 0) return;
    this.tally.messages++;
    this.tally.delivered++;
    this.tally.latencies.add(now - this.#sent);
  }

  protected override readText(): void {
    // none is wanted whole
  }
}
