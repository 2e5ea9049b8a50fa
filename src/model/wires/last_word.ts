// This module is browser compatible.
import type { WireFormat } from "./format.ts";

/** The facts in the last event of a cancelled stream. */
export interface LastWord {
  /** The reason why there is no more, in words for people. */
  readonly message: string;
  /** The id of the response, if it has told one. Default: none. */
  readonly responseId?: string | undefined;
  /** The number of the last event that has one. Default: the last word is the first. */
  readonly sequenceNumber?: number | undefined;
}

/** An event that ends a stream. */
export interface LastEvent {
  /** The type of the event. Default: `message`. */
  readonly event?: string;
  /** The data. */
  readonly data: string;
}

/** The type of errors that clients do not ask again after. */
const TYPE = "invalid_request_error";

/** The code of a response that is not asked for again: Codex stops at it, and at no other. */
const STOPS_CODEX = "invalid_prompt";

/**
 * Returns the last events of a stream that was cancelled, in its format: without them,
 * clients take the cut for a bad network, and ask again.
 *
 * @param format The format of the stream.
 * @param word The facts of the last event.
 * @returns The events; none in a format that has no word for it.
 */
export function lastWord(
  format: WireFormat,
  { message, responseId, sequenceNumber }: LastWord,
): readonly LastEvent[] {
  switch (format) {
    case "responses":
      return [named("response.failed", {
        type: "response.failed",
        sequence_number: (sequenceNumber ?? -1) + 1,
        response: {
          ...(responseId !== undefined && { id: responseId }),
          object: "response",
          status: "failed",
          error: { code: STOPS_CODEX, message },
          output: [],
        },
      })];
    case "chat":
      return [{
        data: JSON.stringify({
          error: { message, type: TYPE, code: "cancelled", param: null },
        }),
      }];
    case "messages":
      return [named("error", {
        type: "error",
        error: { type: TYPE, message },
      })];
    case "ui":
      return [
        { data: JSON.stringify({ type: "abort", reason: message }) },
        { data: "[DONE]" },
      ];
    case "plain":
      return [];
  }
}

function named(event: string, data: unknown): LastEvent {
  return { event, data: JSON.stringify(data) };
}
