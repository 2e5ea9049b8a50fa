/** The beginning of a chunk of Chat. */
function chunk(run: string, delta: string, finish: string): string {
  return `{"id":"chatcmpl-${run}","object":"chat.completion.chunk","created":1800000000,"model":"${run}","system_fingerprint":"fp_load","choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finish}}]}`;
}

/** Stands where an event has its number and its time. */
const MARK = "@";

/**
 * The number of events after the deltas: the reason to finish, and `[DONE]`.
 */
const LAST_WORDS = 2;

/**
 * The events of a run of the load. Each delta says its number, and when it was
 * made: nothing else in it is left to chance.
 */
export class LoadRun {
  /** The number of events. */
  readonly length: number;
  readonly #deltas: number;
  readonly #before: string;
  readonly #after: string;
  readonly #finish: string;
  readonly #done: string;

  /**
   * Makes a run.
   *
   * @param name What it is called.
   * @param deltas How many deltas it has.
   * @param encode How data is written where it is looked for. Default: as it is.
   */
  constructor(
    name: string,
    deltas: number,
    encode: (data: string) => string = (data) => data,
  ) {
    this.length = deltas + LAST_WORDS;
    this.#deltas = deltas;
    const delta = encode(chunk(name, `{"content":"${MARK}"}`, "null"));
    const at = delta.indexOf(MARK);
    this.#before = delta.slice(0, at);
    this.#after = delta.slice(at + MARK.length);
    this.#finish = encode(chunk(name, "{}", `"stop"`));
    this.#done = encode("[DONE]");
  }

  /**
   * Writes an event.
   *
   * @param number Which one, from 1.
   * @param time When, in milliseconds.
   */
  data(number: number, time: number): string {
    if (number === this.length) return this.#done;
    if (number > this.#deltas) return this.#finish;
    return `${this.#before}${number} ${time.toFixed(3)}${this.#after}`;
  }

  /**
   * Looks whether an event is in a text, to the letter.
   *
   * @param number Which one, from 1.
   * @param text The text.
   * @param at Where in the text.
   * @param onTime Is told when the event was made, if it says so.
   * @returns Where it ends; -1 if something else is there.
   */
  match(
    number: number,
    text: string,
    at: number,
    onTime: (time: number) => void,
  ): number {
    if (number > this.#deltas) {
      const last = number === this.length ? this.#done : this.#finish;
      return text.startsWith(last, at) ? at + last.length : -1;
    }
    if (!text.startsWith(this.#before, at)) return -1;
    const begin = at + this.#before.length;
    const end = text.indexOf(this.#after, begin);
    if (end < 0) return -1;
    const [said, time] = text.slice(begin, end).split(" ");
    if (said !== `${number}` || !/^[0-9]+\.[0-9]{3}$/.test(time ?? "")) {
      return -1;
    }
    onTime(Number(time));
    return end + this.#after.length;
  }
}
