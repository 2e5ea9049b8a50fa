import { hasContent } from "../../../src/model/wires/fields.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { failed } from "./failed.ts";
import type { Judge, Redact, Verdict } from "./judge.ts";
import { namedError } from "./named_error.ts";
import { telling } from "./telling.ts";
import { truncated } from "./truncated.ts";
import { isDone, parseData, wireEvent } from "./wire_event.ts";

const TELLING = telling(String.raw`"error"(?!\s*:\s*null)`);

/**
 * Judges a stream whose format is not known: `[DONE]` and the end of the body both
 * complete it, unless an event was an error.
 */
export class PlainJudge implements Judge {
  readonly responseId = undefined;
  readonly sequenceNumber = undefined;
  readonly background = false;
  readonly #redact: Redact;
  #verdict: Verdict | undefined;
  #isOver = false;

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
    } else if (isDone(data)) {
      this.#isOver = true;
      this.#verdict ??= { status: "complete" };
    } else if (TELLING.test(data)) {
      this.#read(data);
    }
  }

  end(how: "clean" | "broken", error?: unknown): Verdict {
    if (this.#verdict !== undefined) return this.#verdict;
    return how === "clean"
      ? { status: "complete" }
      : truncated("the end of the body", how, error, this.#redact);
  }

  #read(data: string): void {
    const json = parseData(data);
    const wire = wireEvent.safeParse(json).data;
    if (wire === undefined) return;
    if (hasContent(wire.error)) this.#fail(wire.error);
    else if (wire.type === "error" || wire.object === "error") this.#fail(json);
  }

  #fail(details: unknown): void {
    this.#verdict ??= failed(details, this.#redact);
  }
}
