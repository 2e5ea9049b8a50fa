import { z } from "zod";
import { saysDone } from "../../../src/model/wires/stop_reason.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { failed } from "./failed.ts";
import type { Judge, Redact, Verdict } from "./judge.ts";
import { namedError } from "./named_error.ts";
import { reason } from "./reason.ts";
import { telling } from "./telling.ts";
import { truncated } from "./truncated.ts";
import { parseData, typeOf, wireEvent } from "./wire_event.ts";

const schema = wireEvent.extend({
  delta: z.object({
    stop_reason: z.string().optional().catch(undefined),
  }).optional().catch(undefined),
});

const TELLING = telling(
  `"message_stop"`,
  String.raw`"stop_reason"\s*:\s*"`,
  String.raw`"error"(?!\s*:\s*null)`,
);

/**
 * Judges a stream of Anthropic's Messages API: `message_stop` ends it, and the
 * `stop_reason` before says why. Without `message_stop` it is truncated, as it is
 * to Anthropic's own client.
 */
export class AnthropicJudge implements Judge {
  readonly responseId = undefined;
  readonly sequenceNumber = undefined;
  readonly background = false;
  readonly #redact: Redact;
  #verdict: Verdict | undefined;
  #isOver = false;
  #stopReason = "";

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
    if (name === "error") {
      this.#fail(namedError(data));
    } else if (name === "message_stop" || TELLING.test(data)) {
      this.#read(name, data);
    }
  }

  end(how: "clean" | "broken", error?: unknown): Verdict {
    const missing = this.#stopReason === ""
      ? "message_stop"
      : `message_stop (stop_reason: ${this.#stopReason})`;
    return this.#verdict ?? truncated(missing, how, error, this.#redact);
  }

  #read(name: string, data: string): void {
    const json = parseData(data);
    const wire = schema.safeParse(json).data ?? {};
    switch (typeOf(name, wire)) {
      case "message_delta":
        // Some send it once more, for the usage, without the reason.
        this.#stopReason = wire.delta?.stop_reason || this.#stopReason;
        return;
      case "message_stop":
        this.#isOver = true;
        this.#verdict ??= this.#complete();
        return;
      case "error":
        this.#fail(wire.error ?? json);
    }
  }

  #complete(): Verdict {
    const stop = this.#stopReason;
    if (stop === "" || saysDone(stop)) return { status: "complete" };
    return {
      status: "complete",
      reason: reason(`stop_reason: ${stop}`, this.#redact),
    };
  }

  #fail(details: unknown): void {
    this.#verdict ??= failed(details, this.#redact);
  }
}
