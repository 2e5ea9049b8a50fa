// This module is browser compatible.
import type { ServerSentEvent } from "../../../sse/event.ts";
import type { BodyEnd, Ending, EndingReader, SaidEnding } from "../ending.ts";
import {
  errorIn,
  hasContent,
  isDone,
  isFields,
  parseData,
} from "../event_data.ts";
import { ERROR_FIELD, telling } from "../telling.ts";

/**
 * The endings of a stream of unknown format. `[DONE]` completes the stream. The end
 * of its body completes it too, as there may be no other sign, but a body that
 * breaks off does not. An error before that means `failed`: an event with the name
 * or the type `error`, an object `error`, or a field `error`.
 */
export const PLAIN_ENDINGS = {
  done: { kind: "completed" },
  clean: { kind: "completed" },
  broken: { kind: "truncated", missing: "the end of the body" },
} as const satisfies Record<"done" | BodyEnd, Ending>;

const TELLING = telling(ERROR_FIELD);

/** Reads how a stream ends whose format is not known. */
export class PlainEndingReader implements EndingReader {
  #ending: SaidEnding | undefined;
  #isOver = false;

  get ending(): SaidEnding | undefined {
    return this.#ending;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  take({ event: name, data }: ServerSentEvent): void {
    if (name === "error") this.#fail(errorIn(data));
    else if (isDone(data)) {
      this.#isOver = true;
      this.#ending ??= PLAIN_ENDINGS.done;
    } else if (TELLING.test(data)) this.#read(data);
  }

  close(how: BodyEnd): Ending {
    return this.#ending ?? PLAIN_ENDINGS[how];
  }

  #read(data: string): void {
    const wire = parseData(data);
    if (!isFields(wire)) return;
    if (hasContent(wire.error)) this.#fail(wire.error);
    else if (wire.type === "error" || wire.object === "error") this.#fail(wire);
  }

  #fail(details: unknown): void {
    this.#ending ??= { kind: "failed", details };
  }
}
