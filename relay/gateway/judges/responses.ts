import { z } from "zod";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { failed } from "./failed.ts";
import type { Judge, Redact, Verdict } from "./judge.ts";
import { reason } from "./reason.ts";
import { telling } from "./telling.ts";
import { truncated } from "./truncated.ts";
import { isDone, parseData, typeOf, wireEvent } from "./wire_event.ts";

const text = z.string().optional().catch(undefined);

const schema = wireEvent.extend({
  sequence_number: z.number().optional().catch(undefined),
  response: z.object({
    id: text,
    status: text,
    background: z.boolean().optional().catch(undefined),
    error: z.unknown().optional(),
    incomplete_details: z.object({ reason: text }).optional().catch(undefined),
  }).optional().catch(undefined),
});

type ResponsesEvent = z.infer<typeof schema>;

/** What says how a response ends, by its data or, where that has no type, by its name. */
const ENDS: ReadonlySet<string> = new Set([
  "response.completed",
  "response.incomplete",
  "response.failed",
  "response.cancelled",
  "error",
]);

/** What has the response with it while it has not ended. */
const BEGINS: ReadonlySet<string> = new Set([
  "response.created",
  "response.queued",
  "response.in_progress",
]);

const TELLING = telling(
  String
    .raw`"(?:response(?:\.(?:completed|incomplete|failed|cancelled))?|error)"`,
);

/** A number at any depth; it is parsed to see whether it is the event's own. */
const NUMBERED = /"sequence_number"\s*:\s*-?\d/;

/**
 * Judges a stream of the Responses API: one event says how it ends, and `[DONE]`
 * may follow. It agrees with what the model client makes of the same events.
 */
export class ResponsesJudge implements Judge {
  readonly #redact: Redact;
  #verdict: Verdict | undefined;
  #isOver = false;
  #responseId: string | undefined;
  #background = false;
  /** The data of the last event that has a number. */
  #numbered: string | undefined;

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

  get responseId(): string | undefined {
    return this.#responseId;
  }

  get background(): boolean {
    return this.#background;
  }

  get sequenceNumber(): number | undefined {
    return this.#numbered === undefined
      ? undefined
      : schema.safeParse(parseData(this.#numbered)).data?.sequence_number;
  }

  take({ event: name, data }: ServerSentEvent): void {
    if (this.#verdict !== undefined) {
      // The first word stands: OpenAI sends `error`, and then `response.failed`,
      // which knows no more. Before the end, `[DONE]` says nothing.
      if (isDone(data)) this.#isOver = true;
      return;
    }
    if (NUMBERED.test(data)) this.#numbered = data;
    if (ENDS.has(name) || TELLING.test(data)) this.#read(name, data);
  }

  end(how: "clean" | "broken", error?: unknown): Verdict {
    return this.#verdict ??
      truncated("response.completed", how, error, this.#redact);
  }

  #read(name: string, data: string): void {
    const json = parseData(data);
    if (typeof json !== "object" || json === null) {
      const isPing = data.trim() === "" || isDone(data);
      if (name === "error" && !isPing) this.#fail(json ?? data);
      return;
    }
    const wire = schema.safeParse(json).data ?? {};
    if (wire.sequence_number !== undefined) this.#numbered = data;
    const type = typeOf(name, wire);
    if (type === "error") {
      // Nested, as OpenAI sends it, or flat, as OpenAI describes it.
      this.#fail(wire.error ?? json);
    } else if (ENDS.has(type)) {
      this.#learn(wire);
      this.#end(type, wire);
    } else if (BEGINS.has(type)) {
      this.#learn(wire);
    }
  }

  #learn({ response }: ResponsesEvent): void {
    this.#responseId = response?.id || this.#responseId;
    this.#background = response?.background ?? this.#background;
  }

  /** What the response says of itself counts for more than the event's name: gateways call every end completed. */
  #end(type: string, { response }: ResponsesEvent): void {
    const status = response?.status;
    if (status === "cancelled" || type === "response.cancelled") {
      this.#verdict = { status: "cancelled" };
    } else if (status === "failed" || type === "response.failed") {
      this.#fail(response?.error ?? null);
    } else if (status === "incomplete" || type === "response.incomplete") {
      const why = response?.incomplete_details?.reason || "unknown";
      this.#verdict = {
        status: "complete",
        reason: reason(`incomplete: ${why}`, this.#redact),
      };
    } else {
      this.#verdict = { status: "complete" };
    }
  }

  #fail(details: unknown): void {
    this.#verdict = failed(details, this.#redact);
  }
}
