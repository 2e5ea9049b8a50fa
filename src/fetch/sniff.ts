// This module is browser compatible.
import { abortable } from "./abortable.ts";

/** The start of an event stream: a field of the standard, or a comment. */
const BEGINNING = /^(?::|(?:data|event|id|retry)(?::|[\r\n]))/;

/** The start of what may become one. */
const UNDECIDED =
  /^(?:d(?:a(?:ta?)?)?|e(?:v(?:e(?:nt?)?)?)?|id?|r(?:e(?:t(?:ry?)?)?)?)?$/;

/** The most blank lines that are passed over, in characters. */
const MOST_BLANK = 1_024;

/**
 * Whether a text begins like an event stream.
 *
 * @param text The start of a body, without a BOM.
 * @returns Whether it does; `undefined` if that takes more of it.
 */
export function beginsLikeEvents(text: string): boolean | undefined {
  const start = text.replace(/^[\r\n]+/, "");
  if (BEGINNING.test(start)) return true;
  const isOpen = UNDECIDED.test(start) && text.length <= MOST_BLANK;
  return isOpen ? undefined : false;
}

/** A body whose start was looked at. */
export interface SniffedBody {
  /** The body, from its start. */
  readonly body: ReadableStream<Uint8Array>;
  /** Whether it begins like an event stream. */
  readonly isEvents: boolean;
}

/**
 * Looks at the start of a body.
 *
 * @param body The body.
 * @param signal Ends the wait for it.
 * @returns The body, to be read in its place.
 */
export async function sniff(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): Promise<SniffedBody> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const chunks: Uint8Array[] = [];
  let text = "";
  let isEvents: boolean | undefined;
  let isOver = false;
  try {
    while (isEvents === undefined && !isOver) {
      const { done, value } = await abortable(reader.read(), signal);
      if (done) isOver = true;
      else {
        chunks.push(value);
        text += decoder.decode(value.subarray(0, MOST_BLANK), { stream: true });
        isEvents = beginsLikeEvents(text);
      }
    }
  } catch (error) {
    reader.cancel(error).catch(() => {});
    throw error;
  }
  const rest = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const chunk = chunks.shift();
      if (chunk) return controller.enqueue(chunk);
      const result = isOver ? undefined : await reader.read();
      if (result?.value) controller.enqueue(result.value);
      else controller.close();
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  return { body: rest, isEvents: isEvents ?? false };
}
