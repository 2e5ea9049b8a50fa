import type { Clock } from "../../src/fetch/clock.ts";

/** How much of a body is waited for, and how long. */
export interface BodyLimits {
  /** The most bytes. */
  readonly maxBytes: number;
  /** How long may pass without a byte, in milliseconds. */
  readonly idleTimeout: number;
  /** Where time comes from. */
  readonly clock: Clock;
}

/** A body was too long, or too slow. */
export class BodyLimitError extends Error {
  /** Which limit was met. */
  readonly code: "body_too_large" | "body_timeout";

  /** Names the limit. */
  constructor(code: BodyLimitError["code"], message: string) {
    super(message);
    this.name = "BodyLimitError";
    this.code = code;
  }
}

/**
 * Reads a body to its end, as UTF-8 text.
 *
 * @throws {BodyLimitError} If it is longer or slower than it may be.
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  { maxBytes, idleTimeout, clock }: BodyLimits,
): Promise<string> {
  if (!body) return "";
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let text = "";
  let bytes = 0;
  for (;;) {
    const late = Promise.withResolvers<never>();
    const cancel = clock.setTimeout(() =>
      late.reject(
        new BodyLimitError(
          "body_timeout",
          `Expected the next part of the body within ${idleTimeout} ms`,
        ),
      ), idleTimeout);
    try {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) return text + decoder.decode();
      bytes += value.byteLength;
      if (bytes > maxBytes) {
        throw new BodyLimitError(
          "body_too_large",
          `Expected a body of at most ${maxBytes} bytes`,
        );
      }
      text += decoder.decode(value, { stream: true });
    } catch (error) {
      // Why the rest cannot be discarded is of no interest beside `error`.
      void reader.cancel(error).catch(() => {});
      throw error;
    } finally {
      cancel();
    }
  }
}
