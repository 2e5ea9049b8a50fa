import { StampScanner } from "./stamp_scanner.ts";

const LF = 0x0a;
const CR = 0x0d;

const decoder = new TextDecoder();

/** Who is told of the parts of an answer. */
export interface ResponseListener {
  /** The head has come. */
  onHead(head: string): void;
  /** An event with a stamp has come whole. */
  onEvent(time: number, sequence: number): void;
  /** The answer is whole. */
  onEnd(): void;
}

/** Where a reader of an answer is. */
type Place = "head" | "size" | "body" | "after body" | "trailer";

/**
 * Reads answers that are event streams in chunks, one after the other (RFC 9112,
 * section 7.1), cut anywhere.
 */
export class ResponseReader {
  readonly #listener: ResponseListener;
  readonly #scanner = new StampScanner();
  #place: Place = "head";
  /** The line of the framing that is being read, or the head. */
  #line: number[] = [];
  /** What is left of the chunk. */
  #left = 0;
  /** The bytes of the event stream's line, up to now. */
  #length = 0;

  /** Makes a reader that waits for a head. */
  constructor(listener: ResponseListener) {
    this.#listener = listener;
  }

  /**
   * Takes what has come.
   *
   * @throws {Error} If it is no such answer.
   */
  push(bytes: Uint8Array<ArrayBuffer>, end: number): void {
    for (let at = 0; at < end;) {
      if (this.#place === "body") {
        const to = Math.min(end, at + this.#left);
        this.#scan(bytes, at, to);
        this.#left -= to - at;
        at = to;
        if (this.#left === 0) this.#place = "after body";
        continue;
      }
      const byte = bytes[at++]!; // there are `end` of them
      if (this.#place === "head") this.#takeHead(byte);
      else if (byte === LF) this.#takeLine();
      else if (byte !== CR) this.#line.push(byte);
    }
  }

  #takeHead(byte: number): void {
    this.#line.push(byte);
    if (byte !== LF || this.#line.at(-3) !== LF) return;
    const head = this.#takeText();
    if (!/^transfer-encoding: chunked\r$/im.test(head)) {
      throw new Error(`Expected an answer in chunks: got ${head}`);
    }
    this.#place = "size";
    this.#listener.onHead(head);
  }

  #takeLine(): void {
    const line = this.#takeText();
    switch (this.#place) {
      case "size": {
        const size = /^[0-9a-f]+/i.exec(line)?.[0];
        if (size === undefined) {
          throw new Error(`Expected the size of a chunk: got '${line}'`);
        }
        this.#left = parseInt(size, 16);
        this.#place = this.#left === 0 ? "trailer" : "body";
        return;
      }
      case "after body":
        if (line !== "") {
          throw new Error(`Expected the end of a chunk: got '${line}'`);
        }
        this.#place = "size";
        return;
      default:
        if (line !== "") return; // a field of the trailer
        this.#place = "head";
        this.#length = 0;
        this.#scanner.clear();
        this.#listener.onEnd();
    }
  }

  #takeText(): string {
    const text = decoder.decode(Uint8Array.from(this.#line));
    this.#line = [];
    return text;
  }

  /** An event is there with the blank line that ends it. */
  #scan(bytes: Uint8Array<ArrayBuffer>, from: number, to: number): void {
    const scanner = this.#scanner;
    for (let at = from; at < to; at++) {
      const byte = bytes[at]!; // `to` is not beyond the end
      if (byte === CR) continue;
      if (byte !== LF) {
        this.#length++;
        scanner.take(byte);
      } else if (this.#length > 0) this.#length = 0;
      else {
        if (scanner.isWhole) {
          this.#listener.onEvent(scanner.time, scanner.sequence);
        }
        scanner.clear();
      }
    }
  }
}
