// This module is browser compatible.
import { abortable } from "./abortable.ts";
import type { Clock } from "./clock.ts";

/** The start of a body, as text. */
export interface ErrorBody {
  /** The text. */
  readonly text: string;
  /** Whether the body had more, or may have had. */
  readonly truncated: boolean;
}

/** Options of {@linkcode readErrorBody}. */
export interface ErrorBodyOptions {
  /** The most bytes that are read. */
  readonly maxBytes: number;
  /** The longest time that reading may take, in milliseconds. */
  readonly timeout: number;
  /** The clock that the timeout is measured with. */
  readonly clock: Clock;
  /** Stops the reading. */
  readonly signal: AbortSignal;
}

/**
 * Reads the start of the body of an unexpected response, to show it in an error.
 *
 * A body that is long, stalls or fails gives the text that came before that, and
 * the rest of it is cancelled. This function never throws.
 *
 * Written out, rather than made from `@std/streams`: its
 * `LimitedBytesTransformStream` drops the whole chunk that goes over the limit,
 * and its `toText` what came before a failure.
 *
 * @param body The body, if there is one.
 * @param options Its limits.
 * @returns The start of it.
 */
export async function readErrorBody(
  body: ReadableStream<Uint8Array> | null,
  options: ErrorBodyOptions,
): Promise<ErrorBody> {
  if (!body) return { text: "", truncated: false };
  const { maxBytes, timeout, clock, signal } = options;
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let truncated = true;
  const read = async (): Promise<void> => {
    for (let room = maxBytes; room >= 0;) {
      const { done, value } = await reader.read();
      if (done) {
        truncated = false;
        text += decoder.decode();
        return;
      }
      text += decoder.decode(value.subarray(0, room), { stream: true });
      room -= value.byteLength;
    }
  };
  let disarm = (): void => {};
  const late = new Promise<void>((resolve) => {
    disarm = clock.setTimeout(resolve, timeout);
  });
  try {
    await abortable(Promise.race([read(), late]), signal);
  } catch {
    // The connection broke, or the signal was aborted: show what came before.
  }
  const start = { text, truncated };
  disarm();
  reader.cancel().catch(() => {});
  return start;
}
