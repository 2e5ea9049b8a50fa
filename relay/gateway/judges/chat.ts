import { z } from "zod";
import { hasContent } from "../../../src/model/wires/fields.ts";
import { saysDone } from "../../../src/model/wires/stop_reason.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { failed } from "./failed.ts";
import type { Judge, Redact, Verdict } from "./judge.ts";
import { namedError } from "./named_error.ts";
import { reason } from "./reason.ts";
import { telling } from "./telling.ts";
import { truncated } from "./truncated.ts";
import { isDone, parseData, wireEvent } from "./wire_event.ts";

const schema = wireEvent.extend({
  choices: z.array(
    z.object({
      index: z.number().optional().catch(undefined),
      finish_reason: z.string().optional().catch(undefined),
      error: z.unknown().optional(),
    }).optional().catch(undefined),
  ).catch([]),
  x_groq: z.object({ error: z.unknown().optional() }).optional()
    .catch(undefined),
});

type ChatChunk = z.infer<typeof schema>;

/**
 * A reason to finish, an error, or the index of a choice other than the first:
 * that of a tool call looks the same. Where a chunk has several choices without
 * any index, those after the first count once they finish.
 */
const TELLING = telling(
  String.raw`"finish_reason"\s*:\s*"[^"]`,
  String.raw`"error"(?!\s*:\s*null)`,
  String.raw`"index"(?!\s*:\s*0)`,
);

/** Providers allow 128 at most; what is beyond is no choice, but an attack on memory. */
const MOST_CHOICES = 1_024;

/**
 * Judges a stream of the Chat Completions API, or of the Completions API before it.
 *
 * The end is known once every choice that has begun has a `finish_reason`, or with
 * `[DONE]`: some servers leave out the one, and some the other. It agrees with what
 * the model client makes of the same chunks, which looks at the first choice only.
 */
export class ChatJudge implements Judge {
  readonly responseId = undefined;
  readonly sequenceNumber = undefined;
  readonly background = false;
  readonly #redact: Redact;
  #verdict: Verdict | undefined;
  #isOver = false;
  #hasFailed = false;
  /** What each choice has finished with; `""` while it has not. */
  readonly #finishes = new Map<number, string>();

  /** Begins with a stream that has said nothing yet. */
  constructor(redact: Redact) {
    this.#redact = redact;
  }

  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  take({ event: name, data }: ServerSentEvent): void {
    if (this.#isOver) return;
    if (name === "error") {
      this.#fail(namedError(data));
    } else if (isDone(data)) {
      this.#isOver = true;
      this.#settle();
    } else if (
      this.#finishes.size === 0 || TELLING.test(data)
    ) {
      this.#read(data);
    }
  }

  end(how: "clean" | "broken", error?: unknown): Verdict {
    return this.#verdict ??
      truncated("[DONE] or a finish_reason", how, error, this.#redact);
  }

  #read(data: string): void {
    const json = parseData(data);
    const chunk = schema.safeParse(json).data;
    if (chunk === undefined) return;
    if (chunk.object === "error" && !hasContent(chunk.error)) {
      this.#fail(json);
    }
    this.#takeChoices(chunk);
    if (hasContent(chunk.error)) this.#fail(chunk.error);
    if (hasContent(chunk.x_groq?.error)) this.#fail(chunk.x_groq?.error);
    this.#settle();
  }

  #takeChoices({ choices }: ChatChunk): void {
    const finishes = this.#finishes;
    for (const [place, choice] of choices.entries()) {
      if (choice === undefined) continue;
      const { index = place, finish_reason: finish, error } = choice;
      if (finishes.has(index) || finishes.size < MOST_CHOICES) {
        // OpenRouter gives one with every chunk, and then some with none.
        finishes.set(index, finish || (finishes.get(index) ?? ""));
      }
      if (hasContent(error)) this.#fail(error);
    }
  }

  #fail(details: unknown): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#verdict = failed(details, this.#redact);
  }

  #settle(): void {
    if (this.#hasFailed || this.#finishes.size === 0) return;
    const finishes = [...this.#finishes.values()];
    const error = finishes.find((finish) => finish.toLowerCase() === "error");
    const isEnd = this.#isOver || !finishes.includes("");
    const cut = finishes.find((finish) => finish !== "" && !saysDone(finish));
    if (error !== undefined) {
      this.#verdict = failed({ code: error }, this.#redact);
    } else if (!isEnd) {
      this.#verdict = undefined;
    } else if (cut === undefined) {
      this.#verdict = { status: "complete" };
    } else {
      this.#verdict = {
        status: "complete",
        reason: reason(`finish_reason: ${cut}`, this.#redact),
      };
    }
  }
}
