// This module is browser compatible.
import type { Clock } from "./clock.ts";

/** The start of a body, as text. */
export interface BoundedBody {
  /** The text. */
  readonly text: string;
  /** Whether there was more of it, or may have been. */
  readonly truncated: boolean;
}

/** Options of {@linkcode readBoundedBody}. */
export interface BoundedBodyOptions {
  /** How many bytes are read at most. */
  readonly maxBytes: number;
  /** How long it may take, in milliseconds. */
  readonly timeout: number;
  /** Whose milliseconds they are. */
  readonly clock: Clock;
  /** Stops the reading. */
  readonly signal: AbortSignal;
}

/**
 * Reads the start of the body of an answer that is not what was asked for, to
 * show it in an error. A body that is long, stalls or fails gives what came of
 * it until then; the rest is cancelled. Never fails itself.
 *
 * Written out, rather than made from `@std/streams`: its
 * `LimitedBytesTransformStream` drops the whole chunk that goes over the limit,
 * and its `toText` what came before a failure.
 *
 * @param body The body, if there is one.
 * @param options Its limits.
 * @returns The start of it.
 */
export async function readBoundedBody(
  body: ReadableStream<Uint8Array> | null,
  options: BoundedBodyOptions,
): Promise<BoundedBody> {
  if (!body) return { text: "", truncated: false };
  const { maxBytes, timeout, clock, signal } = options;
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let room = maxBytes;
  let truncated = true;
  let giveUp = () => {};
  const stopped = new Promise<undefined>((resolve) => {
    giveUp = () => resolve(undefined);
  });
  const disarm = clock.setTimeout(giveUp, timeout);
  signal.addEventListener("abort", giveUp);
  try {
    for (;;) {
      const result = await Promise.race([stopped, reader.read()]);
      if (!result) break;
      if (result.done) {
        truncated = false;
        text += decoder.decode();
        break;
      }
      const { value } = result;
      text += decoder.decode(value.subarray(0, room), { stream: true });
      if (value.byteLength > room) break;
      room -= value.byteLength;
    }
  } catch {
    // The connection broke: what came until then is what there is to show.
  } finally {
    disarm();
    signal.removeEventListener("abort", giveUp);
    reader.cancel().catch(() => {});
  }
  return { text, truncated };
}
