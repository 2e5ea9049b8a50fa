/**
 * The content of a run's topics: event `k` of a log depends on the seed, the
 * log's name and `k`, and on nothing else.
 *
 * @module
 */
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { Random } from "../support/random.ts";

/**
 * The kind of content: events of any shape, deltas of either API, events larger
 * than a message, or many that are all of one size.
 */
export type ContentKind = "plain" | "responses" | "chat" | "large" | "fixed";

/** The length of a number in the data of `fixed` content, in digits. */
export const DIGITS = 12;

/** The length of the rest of the data. */
const MARK = 8;

/** The length of an event of `fixed` content in a frame, with the comma after it. */
export const FIXED_LENGTH = `{"data":""},`.length + DIGITS + MARK;

const WORDS = [
  "rivulet",
  " of",
  " é",
  " \u{1F600}",
  "\n",
  '"',
  "\\",
  "",
  "日本",
];

/** A number of 32 bits that differs for different texts (FNV-1a). */
function hashOf(text: string): number {
  let hash = 0x811C9DC5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

function wordsOf(random: Random, most: number): string {
  let text = "";
  for (let left = random.integer(0, most); left > 0; left--) {
    text += random.pick(WORDS);
  }
  return text;
}

/** The events of one log, from the first on. */
export class Content {
  readonly kind: ContentKind;
  readonly #random: Random;
  readonly #mark: string;
  readonly #made: ServerSentEvent[] = [];
  /**
   * The number of deltas left in a run, and the fields that all of them have.
   */
  #left = 0;
  #item = 0;
  #field = 0;

  /** Makes the content of a log with this name, in a run with this seed. */
  constructor(kind: ContentKind, seed: number, name: string) {
    this.kind = kind;
    const hash = hashOf(`${seed}/${name}`);
    this.#random = new Random(hash);
    this.#mark = hash.toString(16).padStart(MARK, "0");
  }

  /** The event with this offset. */
  at(offset: number): ServerSentEvent {
    if (this.kind === "fixed") {
      const data = String(offset).padStart(DIGITS, "0") + this.#mark;
      return { event: "message", data, id: "" };
    }
    while (this.#made.length < offset) {
      this.#made.push(this.#make(this.#made.length + 1));
    }
    return this.#made[offset - 1]!; // made above
  }

  #make(offset: number): ServerSentEvent {
    switch (this.kind) {
      case "responses":
        return this.#response(offset);
      case "chat":
        return this.#chunk(offset);
      case "large":
        return {
          event: "message",
          data: `${offset} `.repeat(this.#random.integer(20, 7_000)),
          id: "",
        };
      default:
        return this.#plain(offset);
    }
  }

  #plain(offset: number): ServerSentEvent {
    const random = this.#random;
    return {
      event: random.pick(["message", "message", "note", "naïve"]),
      data: `${offset} ${wordsOf(random, random.pick([0, 3, 30, 300]))}`,
      id: random.chance(0.3) ? `id-${offset}` : "",
    };
  }

  #nextOfRun(fields: number): void {
    if (this.#left-- > 0) return;
    this.#left = this.#random.pick([0, 1, 5, 20, 60]);
    this.#item = this.#random.integer(0, 3);
    this.#field = this.#random.integer(0, fields - 1);
  }

  #response(offset: number): ServerSentEvent {
    const random = this.#random;
    this.#nextOfRun(DELTAS.length);
    const item = {
      item_id: `item_${this.#item}`,
      output_index: this.#item,
      content_index: 0,
    };
    const [name = "", isText = false] = DELTAS[this.#field] ?? [];
    const type = random.chance(0.02) ? "response.in_progress" : name;
    const data = type === name
      ? {
        type,
        ...item,
        delta: wordsOf(random, 4),
        ...(isText && { logprobs: [{ token: "a", logprob: -offset }] }),
        sequence_number: offset,
        ...(random.chance(0.5) && { obfuscation: "x".repeat(offset % 9) }),
      }
      : { type, sequence_number: offset };
    return { event: type, data: JSON.stringify(data), id: "" };
  }

  #chunk(offset: number): ServerSentEvent {
    const random = this.#random;
    this.#nextOfRun(4);
    const text = wordsOf(random, 4);
    const delta = [
      { content: text },
      { reasoning_content: text },
      { refusal: text },
      { tool_calls: [{ index: this.#item, function: { arguments: text } }] },
    ][this.#field];
    const isLast = random.chance(0.01);
    const data = JSON.stringify({
      id: `chatcmpl-${this.#item}`,
      object: "chat.completion.chunk",
      created: 1_700_000_000 + Math.floor(offset / 10),
      model: "m",
      choices: [{
        index: 0,
        delta: isLast ? {} : delta,
        finish_reason: isLast ? "stop" : null,
      }],
    });
    return {
      event: "message",
      data: random.chance(0.005) ? "[DONE]" : data,
      id: random.chance(0.02) ? `id-${offset}` : "",
    };
  }
}

const DELTAS: readonly [type: string, hasLogprobs: boolean][] = [
  ["response.output_text.delta", true],
  ["response.output_text.delta", false],
  ["response.refusal.delta", false],
  ["response.reasoning_text.delta", false],
  ["response.function_call_arguments.delta", false],
];
