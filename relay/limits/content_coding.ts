import { Buffer } from "node:buffer";
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, zstdDecompress } from "node:zlib";
import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";
import {
  BodyLimitError,
  type BodyLimits,
  boundedBody,
} from "./bounded_body.ts";
import {
  CodingError,
  CutBodyError,
  decodedParts,
  STREAMED,
} from "./decoded_parts.ts";
import { zstdFrames } from "./zstd_frames.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Decodes a whole body into `maxOutputLength` bytes at most. */
type Decode = (
  body: Bytes,
  options: { readonly maxOutputLength: number },
) => Promise<Uint8Array>;

const decodeBrotli: Decode = async (body, options) => {
  const decoded = await promisify(brotliDecompress)(body, options);
  // `node:zlib` of Deno 2.9.6 takes a part for the whole. This stream does not, but
  // has no bound.
  const stream = ReadableStream.from([body]);
  // The types of Deno do not know this format yet.
  const format = "brotli" as CompressionFormat;
  for await (const _ of stream.pipeThrough(new DecompressionStream(format)));
  return decoded;
};

const decodeZstd: Decode = async (body, { maxOutputLength }) => {
  const parts: Uint8Array[] = [];
  let room = maxOutputLength;
  // `node:zlib` of Deno 2.9.6 takes a part for the whole, and reads one frame.
  for (const frame of zstdFrames(body)) {
    const options = { maxOutputLength: room };
    const part = await promisify(zstdDecompress)(frame, options);
    parts.push(part);
    room -= part.length;
  }
  return Buffer.concat(parts);
};

/** The codings that are understood (RFC 9110, section 8.4.1; RFC 7932; RFC 9659). */
const CODINGS: Readonly<Record<string, Decode>> = {
  br: decodeBrotli,
  deflate: promisify(inflate),
  gzip: promisify(gunzip),
  "x-gzip": promisify(gunzip),
  zstd: decodeZstd,
};

/** The most codings of one body. */
const MAX_CODINGS = 2;

/**
 * Returns the codings of a `Content-Encoding`, in the order in which they were applied.
 *
 * @param header The header.
 * @throws {Problem} 415 `unsupported_media_type` If one is not understood.
 */
export function contentCodings(header: string | null): string[] {
  const codings = (header ?? "").toLowerCase().split(",")
    .map((coding) => coding.trim())
    .filter((coding) => coding !== "" && coding !== "identity");
  const isKnown = codings.length <= MAX_CODINGS &&
    codings.every((coding) => Object.hasOwn(CODINGS, coding));
  if (isKnown) return codings;
  const names = Object.keys(CODINGS).filter((name) => !name.startsWith("x-"))
    .join(", ");
  throw new Problem(
    STATUS_CODE.UnsupportedMediaType,
    "unsupported_media_type",
    `Expected a Content-Encoding of ${names}: got '${header}'`,
    {},
    { "Accept-Encoding": names },
  );
}

/**
 * Decodes a body.
 *
 * @param body The body, as it came.
 * @param header Its `Content-Encoding`.
 * @param maxBytes The most bytes, once decoded.
 * @throws {Problem} 415 If a coding is not understood, and 400 `invalid_body` if the
 * body is not in it.
 * @throws {BodyLimitError} If the body is longer than it may be.
 */
export async function decodeBody(
  body: Bytes,
  header: string | null,
  maxBytes: number,
): Promise<Uint8Array> {
  let decoded: Uint8Array = body;
  for (const coding of contentCodings(header).reverse()) {
    try {
      decoded = await CODINGS[coding]!(new Uint8Array(decoded), { // one of these
        maxOutputLength: maxBytes,
      });
    } catch (error) {
      throw failure(error, coding, maxBytes);
    }
  }
  return decoded;
}

function failure(error: unknown, coding: string, maxBytes: number): Error {
  if (
    error instanceof Error && "code" in error &&
    error.code === "ERR_BUFFER_TOO_LARGE"
  ) {
    return new BodyLimitError(
      "body_too_large",
      `Expected a body of at most ${maxBytes} bytes, once it is decoded`,
    );
  }
  return notInCoding(coding);
}

function notInCoding(coding: string): Problem {
  return new Problem(
    STATUS_CODE.BadRequest,
    "invalid_body",
    `Expected a whole body in '${coding}', as its Content-Encoding says`,
  );
}

/**
 * Returns a body without its codings, which is decoded once all of it has come.
 *
 * @param body The body.
 * @param header Its `Content-Encoding`.
 * @param limits The limits on its size, before and after it is decoded, and its pace.
 * @returns A body that errors as {@linkcode decodeBody} and {@linkcode boundedBody} do.
 * @throws {Problem} 415 `unsupported_media_type` If a coding is not understood.
 */
export function decodedBody(
  body: ReadableStream<Uint8Array> | null,
  header: string | null,
  limits: BodyLimits,
): ReadableStream<Uint8Array> | null {
  if (contentCodings(header).length === 0 || !body) return body;
  return ReadableStream.from(decodedOnce(body, header, limits));
}

async function* decodedOnce(
  body: ReadableStream<Uint8Array>,
  header: string | null,
  limits: BodyLimits,
): AsyncGenerator<Uint8Array, void> {
  const parts: Uint8Array[] = [];
  for await (const part of boundedBody(body, limits)) {
    parts.push(part);
    yield new Uint8Array(); // a sign of life
  }
  yield await decodeBody(Buffer.concat(parts), header, limits.maxBytes);
}

/**
 * Decodes a body as it comes.
 *
 * @param body The body.
 * @param header Its `Content-Encoding`.
 * @returns A body that fails with 400 `invalid_body` if it is not in its coding, and
 * with a {@linkcode CutBodyError} if it breaks off.
 * @throws {Problem} 415 `unsupported_media_type` If a coding is not understood.
 */
export function decodedStream(
  body: ReadableStream<Uint8Array> | null,
  header: string | null,
): ReadableStream<Uint8Array> | null {
  const codings = contentCodings(header);
  if (codings.length === 0 || !body) return body;
  return ReadableStream.from(decodedInTurn(body, codings));
}

async function* decodedInTurn(
  body: ReadableStream<Uint8Array>,
  codings: readonly string[],
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* codings.reduceRight<AsyncIterable<Uint8Array>>(
      (body, coding) => decodedParts(body, STREAMED[coding]!), // one of these
      body,
    );
  } catch (error) {
    const isWrong = error instanceof CodingError &&
      !(error instanceof CutBodyError);
    if (!isWrong) throw error;
    throw notInCoding(codings.join(", "));
  }
}
