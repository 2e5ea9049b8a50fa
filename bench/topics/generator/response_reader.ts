import { AnswerReader } from "../../net/answer_reader.ts";
import { StampScanner } from "./stamp_scanner.ts";

const LF = 0x0a;
const CR = 0x0d;

/** The listener for the parts of an answer. */
export interface ResponseListener {
  /** The head has come. */
  onHead(head: string): void;
  /** An event with a stamp has come whole. */
  onEvent(time: number, sequence: number): void;
  /** The answer is whole. */
  onEnd(): void;
}

/** Reads answers that are event streams, one after the other, cut anywhere. */
export class ResponseReader {
  readonly #listener: ResponseListener;
  readonly #scanner = new StampScanner();
  readonly #answers: AnswerReader;
  /** The bytes of the event stream's line, up to now. */
  #length = 0;

  /** Makes a reader that waits for a head. */
  constructor(listener: ResponseListener) {
    this.#listener = listener;
    this.#answers = new AnswerReader({
      onHead: (head) => listener.onHead(head),
      onBody: (bytes, from, to) => this.#scan(bytes, from, to),
      onEnd: () => {
        this.#length = 0;
        this.#scanner.clear();
        listener.onEnd();
      },
    });
  }

  /** Takes what has come, as {@linkcode AnswerReader.push} has it. */
  push(bytes: Uint8Array<ArrayBuffer>, end: number): void {
    this.#answers.push(bytes, end);
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
