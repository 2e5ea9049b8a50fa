import {
  type LastEvent,
  lastWord,
} from "../../../src/model/wires/last_word.ts";
import { brokeOff } from "../../../src/model/wires/ui/broke_off.ts";
import { encodeEvent } from "../../../src/sse/encode.ts";
import type { TopicEnd } from "../../topics/end.ts";

/** The headers of an event stream of UI messages that the relay begins itself. */
export const UI_STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache",
  "x-vercel-ai-ui-message-stream": "v1",
} as const;

function errorPart(errorText: string): LastEvent {
  return { data: JSON.stringify({ type: "error", errorText }) };
}

const DONE: LastEvent = { data: "[DONE]" };

/** The last events of the relay in place of the application's, by how the turn has ended. */
function lastEvents({ status, reason }: TopicEnd): readonly LastEvent[] {
  switch (status) {
    case "complete":
      return [DONE];
    case "cancelled":
      return lastWord("ui", { message: reason ?? "The answer was stopped" });
    case "failed": {
      const words = "There is no answer";
      const text = reason === undefined ? words : `${words}: ${reason}`;
      return [errorPart(text), DONE];
    }
    case "truncated":
    case "expired":
      return [errorPart(brokeOff(reason)), DONE];
  }
}

/**
 * Returns the end of an event stream of UI messages that its application has not ended:
 * a chat shows these words in place of a network error.
 *
 * @param end The end of the turn.
 */
export function lastWords(end: TopicEnd): string {
  return lastEvents(end).map((event) => encodeEvent(event)).join("");
}
