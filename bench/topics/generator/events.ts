import { chunk } from "../../net/http_request.ts";

const encoder = new TextEncoder();

/** The bytes of an event on its way from a provider, with its name and its blank line. */
const SIZE = 210;

const TIME_DIGITS = 12;
const SEQUENCE_DIGITS = 7;

/** Begins a stamp, and stands nowhere else in an event. */
export const STAMP = 0x40; // @

/** The number of the first event: all have as many digits. */
export const FIRST = 1_000_000;

function sse(type: string, rest: string): string {
  return `event: ${type}\ndata: {"type":"${type}",${rest}}\n\n`;
}

function delta(fill: string): string {
  return sse(
    "response.output_text.delta",
    `"sequence_number":${"0".repeat(SEQUENCE_DIGITS)},"item_id":"msg_1",` +
      `"output_index":0,"content_index":0,"delta":"@${
        "0".repeat(TIME_DIGITS)
      } ${"0".repeat(SEQUENCE_DIGITS)} ${fill}"`,
  );
}

/** The first event of a run of the Responses API. */
export const CREATED: string = sse(
  "response.created",
  `"sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","output":[]}`,
);

/** The last event of a run of the Responses API. */
export const COMPLETED: string = sse(
  "response.completed",
  `"sequence_number":9999999,"response":{"id":"resp_1","object":"response","status":"completed","output":[]}`,
);

/** One event in a chunk of its own, which can be stamped again and again. */
export class StampedEvent {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #time: number;
  readonly #sequences: readonly number[];

  /** Makes one without a stamp. */
  constructor() {
    const text = chunk(delta(".".repeat(SIZE - delta("").length)));
    this.bytes = encoder.encode(text);
    this.#time = text.indexOf("@") + 1;
    this.#sequences = [
      text.indexOf(`"sequence_number":`) + `"sequence_number":`.length,
      this.#time + TIME_DIGITS + 1,
    ];
  }

  /**
   * Writes when it is sent, and its number.
   *
   * @param time In whole microseconds.
   */
  stamp(time: number, sequence: number): void {
    this.#digits(time, this.#time, TIME_DIGITS);
    for (const at of this.#sequences) {
      this.#digits(sequence, at, SEQUENCE_DIGITS);
    }
  }

  #digits(value: number, at: number, count: number): void {
    for (let i = at + count - 1; i >= at; i--) {
      const rest = Math.floor(value / 10);
      this.bytes[i] = 0x30 + value - rest * 10;
      value = rest;
    }
  }
}
