// This module is browser compatible.
import type { ServerSentEvent } from "../../../sse/event.ts";
import type {
  Ending,
  EndingReader,
  SaidEnding,
  TruncatedEnding,
} from "../ending.ts";
import {
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
import { ERROR_FIELD, telling } from "../telling.ts";

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

/**
 * Returns the index of a choice: its place in the chunk, where the chunk does not
 * say it.
 *
 * @param choice The choice.
 * @param place The place of the choice in its chunk.
 * @returns The index.
 */
export function indexOf({ index }: Fields, place: number): number {
  return typeof index === "number" ? index : place;
}

/**
 * The ending of a Chat, as far as its chunks have told it: known once every choice
 * that has begun has a `finish_reason`, or with `[DONE]`. A chat with choices that
 * end differently fails if one has failed, and is incomplete if one is.
 */
export class ChatEnding {
  readonly #choices: "first" | "all";
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
   * @param choices The choices that count.
   */
  constructor(choices: "first" | "all") {
    this.#choices = choices;
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

  /** The `finish_reason` of the first choice; `""` if it has none. */
  get firstFinish(): string {
    return this.#finishes.get(0) ?? "";
  }

  /** Takes a chunk in. */
  takeChunk(chunk: Fields): void {
    const { choices, error, x_groq: groq } = chunk;
    const hasFailed = error != null && hasContent(error);
    if (chunk.object === "error" && !hasFailed) this.fail(chunk);
    if (Array.isArray(choices)) {
      for (let place = 0; place < choices.length; place++) {
        const choice: unknown = choices[place];
        if (isFields(choice)) this.#takeChoice(choice, place);
      }
    }
    if (hasFailed) this.fail(error);
    if (groq != null && isFields(groq) && hasContent(groq.error)) {
      this.fail(groq.error);
    }
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

  #takeChoice(choice: Fields, place: number): void {
    const index = indexOf(choice, place);
    if (index !== 0 && this.#choices === "first") return;
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
    }
  }

  close(): Ending {
    return this.#chat.close();
  }
}
