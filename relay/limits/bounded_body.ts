import { STATUS_CODE } from "@std/http/status";
import type { Clock } from "../../src/fetch/clock.ts";
import { Problem } from "../problem.ts";
import type { IncomingBody } from "./incoming_body.ts";
import { Buffer } from "node:buffer";
import {
  IncomingReader,
  type Part,
  type PartReader,
} from "./incoming_reader.ts";

/** The bounds of a body: its size, and the time that it may take. */
export interface BodyLimits {
  /** The most bytes. */
  readonly maxBytes: number;
  /** The longest time without a byte, in milliseconds. */
  readonly idleTimeout: number;
  /** The clock to use. */
  readonly clock: Clock;
  /** Counts the body among all of its client. Default: nothing does. */
  readonly incoming?: IncomingBody | undefined;
}

/** A body was too long, or too slow. */
export class BodyLimitError extends Error {
  /** The limit that was exceeded. */
  readonly code: "body_too_large" | "body_timeout";

  /** Names the limit. */
  constructor(code: BodyLimitError["code"], message: string) {
    super(message);
    this.name = "BodyLimitError";
    this.code = code;
  }
}

/**
 * Refuses a body that is too long by what its head says, before any of it is read.
 *
 * @param length The `Content-Length`, if there is one.
 * @param limits The limits.
 * @throws {BodyLimitError} If it is longer than it may be.
 */
export function assertLength(
  length: string | null,
  { maxBytes }: BodyLimits,
): void {
  if (Number(length) > maxBytes) throw tooLarge(maxBytes);
}

function tooLarge(maxBytes: number): BodyLimitError {
  return new BodyLimitError(
    "body_too_large",
    `Expected a body of at most ${maxBytes} bytes`,
  );
}

/**
 * Passes on the parts of a body.
 *
 * @throws {BodyLimitError} If it is longer or slower than it may be.
 * @throws {Problem} If too much is held of bodies.
 */
export async function* boundedBody(
  body: ReadableStream<Uint8Array> | PartReader,
  { maxBytes, idleTimeout, clock, incoming }: BodyLimits,
): AsyncGenerator<Uint8Array, void> {
  const reader: PartReader = body instanceof ReadableStream
    ? body.getReader()
    : body;
  let bytes = 0;
  let isWhole = false;
  try {
    for (;;) {
      const next = Promise.withResolvers<Part>();
      const cancel = clock.setTimeout(() =>
        next.reject(
          new BodyLimitError(
            "body_timeout",
            `Expected the next part of the body within ${idleTimeout} ms`,
          ),
        ), idleTimeout);
      let part: Part;
      if (incoming) incoming.onRefused = next.reject;
      try {
        reader.read().then(next.resolve, next.reject);
        part = await next.promise;
      } finally {
        cancel();
        if (incoming) incoming.onRefused = undefined;
      }
      isWhole = part.done;
      if (part.done) return;
      bytes += part.value.byteLength;
      if (bytes > maxBytes) {
        throw tooLarge(maxBytes);
      }
      const delay = incoming?.took(part.value.byteLength) ?? 0;
      yield part.value;
      // The sender's silence is not counted meanwhile.
      if (delay > 0) {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, delay));
      }
    }
  } finally {
    // An error in discarding the rest does not matter.
    if (!isWhole) void reader.cancel().catch(() => {});
  }
}

/**
 * Reads a body to its end, at once if it has come whole.
 *
 * @throws {BodyLimitError} If it is longer or slower than it may be.
 * @throws {Problem} If too much is held of bodies.
 */
export async function wholeBody(
  body: ReadableStream<Uint8Array> | IncomingReader,
  limits: BodyLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const { maxBytes, incoming, clock } = limits;
  const whole = body instanceof IncomingReader ? body.takeWhole() : undefined;
  if (!whole) {
    const parts: Uint8Array[] = [];
    for await (const part of boundedBody(body, limits)) parts.push(part);
    return Buffer.concat(parts);
  }
  if (whole.byteLength > maxBytes) throw tooLarge(maxBytes);
  const delay = incoming?.took(whole.byteLength) ?? 0;
  if (delay > 0) {
    await new Promise<void>((resolve) => clock.setTimeout(resolve, delay));
  }
  return Buffer.from(whole);
}

/**
 * Reads a body to its end, as UTF-8 text.
 *
 * @throws {BodyLimitError} If it is longer or slower than it may be.
 * @throws {Problem} 400 `invalid_body` if it is in another encoding: what a decoder
 * puts in place of its characters is not what was sent.
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | PartReader | null,
  limits: BodyLimits,
): Promise<string> {
  return (await readBodyPieces(body, limits)).join("");
}

/**
 * Reads a body as {@linkcode readBody} does, and leaves its text in the pieces in which
 * it has come: to join 16 MiB takes some 20 ms.
 */
export async function readBodyPieces(
  body: ReadableStream<Uint8Array> | PartReader | null,
  limits: BodyLimits,
): Promise<string[]> {
  if (!body) return [];
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const pieces: string[] = [];
  for await (const part of boundedBody(body, limits)) {
    pieces.push(decoded(decoder, part));
  }
  pieces.push(decoded(decoder));
  return pieces;
}

function decoded(decoder: TextDecoder, part?: Uint8Array): string {
  try {
    return decoder.decode(part, { stream: part !== undefined });
  } catch {
    throw new Problem(
      STATUS_CODE.BadRequest,
      "invalid_body",
      "Expected a body in UTF-8: got other bytes",
    );
  }
}
