import { eventData, readEventData } from "../fanout/event.ts";

/** The path that is asked for, below a provider's URL. */
export const PATH = "/v1/chat/completions";

/** The bytes of what an event says, of 209 in all: a word or two, and the time. */
const CONTENT = 40;

const BEFORE_CONTENT = `"content":"`;

function chunk(delta: string, finishReason: string): string {
  return `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk",` +
    `"created":1700000000,"model":"bench","choices":[{"index":0,` +
    `"delta":${delta},"finish_reason":${finishReason}}]}\n\n`;
}

/** One event of an answer, which says when it was written, and its number. */
export function contentEvent(sent: number, sequence: number): string {
  const content = eventData(sent, sequence, CONTENT);
  return chunk(`{${BEFORE_CONTENT}${content}"}`, "null");
}

/** The end of an answer: two events. */
export const LAST_EVENTS: string = chunk("{}", `"stop"`) + "data: [DONE]\n\n";

/** Reads the data of an event; `undefined` for those that end an answer. */
export function readContent(
  data: string,
): { readonly sent: number; readonly sequence: number } | undefined {
  const at = data.indexOf(BEFORE_CONTENT);
  return at < 0
    ? undefined
    : readEventData(data.slice(at + BEFORE_CONTENT.length));
}
