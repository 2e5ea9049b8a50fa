// This module is browser compatible.
import type { ServerSentEvent } from "../../../sse/event.ts";
import type { Ending, EndingReader, SaidEnding } from "../ending.ts";
import {
  errorIn,
  hasContent,
  isDone,
  isFields,
  parseData,
  textOf,
} from "../event_data.ts";
import { endingOfStop, STOP_REASONS } from "../stop_reason.ts";
import { telling } from "../telling.ts";

/** The role of a chunk in the ending of a message. */
export type UiRole =
  /** The message ends, as its `finishReason` says; it is complete without one. */
  | "finish"
  /** Whoever made the message has stopped it. */
  | "abort"
  /** The message has failed, whatever comes after. */
  | "error";

/**
 * The chunks that tell how a stream of UI messages ends, by type. A `finish` counts
 * unless an `error` follows it: where streams are merged, each may have its own.
 */
export const UI_ROLES: ReadonlyMap<string, UiRole> = new Map([
  ["finish", "finish"],
  ["abort", "abort"],
  ["error", "error"],
]);

/** The ending of a stream with neither such a chunk nor `[DONE]`. */
export const UI_CUT = {
  kind: "truncated",
  missing: "finish or [DONE]",
} as const satisfies Ending;

/** The value of `finishReason` that says that the message has failed. */
const ERROR_REASON = "error";

const TELLING = telling('"finish"', '"abort"', '"error"');

/**
 * Reads how a stream of UI messages ends, as the AI SDK sends them to a chat (UI
 * message stream, version 1).
 */
export class UiEndingReader implements EndingReader {
  #ending: SaidEnding | undefined;
  #isOver = false;

  get ending(): SaidEnding | undefined {
    return this.#ending;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  take({ event: name, data }: ServerSentEvent): void {
    // The protocol has no names: this is the server's own error, as in other formats.
    if (name === "error") this.#fail(errorIn(data));
    else if (isDone(data)) {
      this.#isOver = true;
      this.#ending ??= { kind: "completed" };
    } else if (TELLING.test(data)) {
      const chunk = parseData(data);
      if (!isFields(chunk)) return;
      if (chunk.type === undefined && hasContent(chunk.error)) {
        this.#fail(chunk.error);
      } else this.#take(textOf(chunk.type), chunk);
    }
  }

  close(): Ending {
    return this.#ending ?? UI_CUT;
  }

  #take(
    type: string,
    { finishReason, errorText }: {
      readonly finishReason?: unknown;
      readonly errorText?: unknown;
    },
  ): void {
    switch (UI_ROLES.get(type)) {
      case "finish":
        this.#ending ??= endingOfFinish(textOf(finishReason));
        return;
      case "abort":
        this.#ending ??= { kind: "cancelled" };
        return;
      case "error":
        this.#fail({ message: textOf(errorText) });
    }
  }

  /** Takes an error in: the first counts. */
  #fail(details: unknown): void {
    if (this.#ending?.kind === "failed") return;
    this.#ending = { kind: "failed", details };
  }
}

function endingOfFinish(reason: string): SaidEnding {
  if (reason === "") return { kind: "completed" };
  if (reason === ERROR_REASON) return { kind: "failed", details: null };
  // The SDK writes with a dash what APIs write with an underscore.
  return endingOfStop(STOP_REASONS, "finishReason", reason.replace("-", "_"));
}
