// This module is browser compatible.
import type { ServerSentEvent } from "../../../sse/event.ts";
import type {
  Ending,
  EndingReader,
  SaidEnding,
  TruncatedEnding,
} from "../ending.ts";
import {
  bareError,
  errorIn,
  type Fields,
  hasContent,
  isDone,
  isFields,
  parseData,
} from "../event_data.ts";
import {
  endingOfStop,
  STOP_REASONS,
  type StopReasons,
} from "../stop_reason.ts";
import { BARE_ERROR, ERROR_FIELD, telling } from "../telling.ts";

/**
 * The ending that each `finish_reason` means, in lower case; any other one means
 * `incomplete`, for that reason. OpenRouter sends `error` before the error itself.
 *
 * - An error means `failed`, wherever it comes before `[DONE]`, and whatever else
 *   is said: an event with the name `error`, a chunk that is an error, or the field
 *   `error` of a chunk, of a choice or of `x_groq`.
 * - `[DONE]` means `completed` for a choice without a `finish_reason`, as some
 *   servers leave out the one, and some the other. Without a choice before it, it
 *   means nothing.
 * - The last `finish_reason` of a choice counts, and an empty one says nothing:
 *   OpenRouter gives one with every chunk, and then some with none.
 */
export const FINISH_REASONS: StopReasons = new Map([
  ...STOP_REASONS,
  ["error", "failed"],
]);

/** The ending of a stream that was over before anything told its ending. */
export const CHAT_CUT: TruncatedEnding = {
  kind: "truncated",
  missing: "[DONE] or a finish_reason",
};

/** Providers allow 128 at most; what is beyond is no choice, but an attack on memory. */
const MOST_CHOICES = 1_024;

/** The choices of a stream that are read. */
export type ReadChoices =
  /** The one that was asked for, whatever number its provider gives it. */
  | "only"
  /** The first of several: that with the index 0. */
  | "first"
  | "all";

const NONE: readonly unknown[] = [];

/**
 * Returns the choices of a chunk.
 *
 * @param chunk The chunk.
 * @returns Its choices; one that is in no list counts too.
 */
export function choicesOf({ choices }: Fields): readonly unknown[] {
  if (Array.isArray(choices)) return choices;
  return isFields(choices) ? [choices] : NONE;
}

/**
 * Returns the place of the choice that a client reads.
 *
 * Where one answer was asked for, it may have any index: providers count chunks,
 * or the parts of a message, or begin at 1. Of several in one chunk it is then the
 * one with the index 0, or else the first.
 *
 * @param choices The choices of a chunk.
 * @param read The choices that are read.
 * @returns The place; -1 if the chunk has no such choice.
 */
export function placeOfAnswer(
  choices: readonly unknown[],
  read: "only" | "first",
): number {
  let first = -1;
  for (let place = 0; place < choices.length; place++) {
    const choice = choices[place];
    if (!isFields(choice)) continue;
    if (indexOf(choice, place) === 0) return place;
    if (first < 0) first = place;
  }
  return read === "only" ? first : -1;
}

/** The index of a choice: its place in the chunk, where the chunk does not say it. */
function indexOf({ index }: Fields, place: number): number {
  return typeof index === "number" ? index : place;
}

/**
 * The ending of a Chat, as far as its chunks have told it: known once every choice
 * that has begun has a `finish_reason`, or with `[DONE]`. A chat with choices that
 * end differently fails if one has failed, and is incomplete if one is.
 */
export class ChatEnding {
  readonly #read: ReadChoices;
  #failure: SaidEnding | undefined;
  #isOver = false;
  /** The `finish_reason` of each choice; `""` while it has none. */
  readonly #finishes = new Map<number, string>();
  #ending: SaidEnding | undefined;
  /** Whether `#ending` has to be found out anew. */
  #isStale = false;

  /**
   * Begins with a stream that has said nothing yet.
   *
   * @param read The choices that count.
   */
  constructor(read: ReadChoices) {
    this.#read = read;
  }

  /** Whether `[DONE]` has come: what follows counts no more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether a choice has begun. */
  get hasBegun(): boolean {
    return this.#finishes.size > 0;
  }

  /** The ending that was told so far; `undefined` if none was. */
  get ending(): SaidEnding | undefined {
    if (this.#isStale) {
      this.#isStale = false;
      this.#ending = this.#failure ?? this.#ofChoices();
    }
    return this.#ending;
  }

  /** The `finish_reason` of the answer, which has the index 0; `""` if it has none. */
  get firstFinish(): string {
    return this.#finishes.get(0) ?? "";
  }

  /** Takes a chunk in. */
  takeChunk(chunk: Fields): void {
    const { error, x_groq: groq } = chunk;
    const choices = choicesOf(chunk);
    const hasFailed = error != null && hasContent(error);
    if (!hasFailed) {
      if (chunk.object === "error") this.fail(chunk);
      else if (choices.length === 0) this.takeOther(chunk);
    }
    if (this.#read === "all") {
      for (let place = 0; place < choices.length; place++) {
        const choice = choices[place];
        if (isFields(choice)) this.#takeChoice(choice, indexOf(choice, place));
      }
    } else {
      const answer = choices[placeOfAnswer(choices, this.#read)];
      if (isFields(answer)) this.#takeChoice(answer, 0);
    }
    if (hasFailed) this.fail(error);
    if (groq != null && isFields(groq) && hasContent(groq.error)) {
      this.fail(groq.error);
    }
  }

  /**
   * Takes data in that is no chunk with choices.
   *
   * @param value The data, parsed.
   * @returns Whether it is an error.
   */
  takeOther(value: unknown): boolean {
    const error = bareError(value);
    if (error !== undefined) this.fail(error);
    return error !== undefined;
  }

  /** Takes an error in: the first counts. */
  fail(details: unknown): void {
    this.#failure ??= { kind: "failed", details };
    this.#isStale = true;
  }

  /** Takes `[DONE]` in. */
  done(): void {
    this.#isOver = true;
    this.#isStale = true;
  }

  /** Returns the ending of a stream whose body is over. */
  close(): Ending {
    return this.ending ?? CHAT_CUT;
  }

  #takeChoice(choice: Fields, index: number): void {
    const { finish_reason: given, error } = choice;
    const finish = typeof given === "string" ? given : "";
    const before = this.#finishes.get(index);
    if (
      before === undefined
        ? this.#finishes.size < MOST_CHOICES
        : finish !== "" && finish !== before
    ) {
      this.#finishes.set(index, finish);
      this.#isStale = true;
    }
    if (error != null && hasContent(error)) this.fail(error);
  }

  #ofChoices(): SaidEnding | undefined {
    if (this.#finishes.size === 0) return undefined;
    let isDone = true;
    let worst: SaidEnding = { kind: "completed" };
    for (const finish of this.#finishes.values()) {
      if (finish === "") {
        isDone = false;
        continue;
      }
      const ending = endingOfStop(FINISH_REASONS, "finish_reason", finish);
      if (ending.kind === "failed") return ending;
      if (worst.kind === "completed") worst = ending;
    }
    return isDone || this.#isOver ? worst : undefined;
  }
}

/**
 * A reason to finish, an error, or the index of a choice other than the first:
 * that of a tool call looks the same. Where a chunk has several choices without
 * any index, those after the first count once they finish.
 */
const TELLING = telling(
  String.raw`"finish_reason"\s*:\s*"[^"]`,
  ERROR_FIELD,
  BARE_ERROR,
  String.raw`"index"(?!\s*:\s*0)`,
);

/**
 * Reads how a stream of the Chat Completions API ends, or of the Completions API
 * before it. All choices count, where the client, which asks for one, looks at the
 * first only.
 */
export class ChatEndingReader implements EndingReader {
  readonly #chat = new ChatEnding("all");

  get ending(): SaidEnding | undefined {
    return this.#chat.ending;
  }

  get isOver(): boolean {
    return this.#chat.isOver;
  }

  take({ event: name, data }: ServerSentEvent): void {
    const chat = this.#chat;
    if (chat.isOver) return;
    if (name === "error") chat.fail(errorIn(data));
    else if (isDone(data)) chat.done();
    else if (!chat.hasBegun || TELLING.test(data)) {
      const chunk = parseData(data);
      if (isFields(chunk)) chat.takeChunk(chunk);
      else if (chunk !== undefined) chat.takeOther(chunk);
    }
  }

  close(): Ending {
    return this.#chat.close();
  }
}
