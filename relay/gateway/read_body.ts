import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import {
  assertLength,
  type BodyLimits,
  wholeBody,
} from "../limits/bounded_body.ts";
import { contentCodings, decodeBody } from "../limits/content_coding.ts";
import { IncomingReader } from "../limits/incoming_reader.ts";
import { atOnce, slices, type Steps } from "../slices.ts";
import { readContent, SMALL } from "./content.ts";
import type { ProviderRequest } from "./provider_request.ts";
import type { GatewayCall } from "./request.ts";
import { Upload } from "./upload.ts";

/** The limits of the bodies of requests. */
export interface BodiesLimits {
  /** The limits of a JSON body. */
  readonly bodyLimits: BodyLimits;
  /** The most bytes of any other body. */
  readonly maxUpload: number;
}

/** A body as far as the relay has read it. */
export type ReadBody = Pick<ProviderRequest, "body" | "content">;

/** Longer bodies are read one after the other: nothing counts what they are meanwhile. In bytes. */
const LONG = 1024 * 1024;

/** Returns the body of a request as a stream. */
function bodyOf(
  request: Request,
  response: ServerResponse,
): ReadableStream<Uint8Array> {
  // A `Request` with the method GET or HEAD has no body, whatever came.
  return request.body ??
    Readable.toWeb(response.req) as ReadableStream<Uint8Array>; // other types
}

/** Does work on a body in steps, after what the client has asked for before. */
export function inSteps<T>(
  client: string,
  { length }: Uint8Array,
  steps: Steps<T>,
): T | Promise<T> {
  // A small body keeps its place among the requests.
  if (length <= SMALL) return atOnce(steps);
  const lane = length > LONG ? "long requests" : `requests of ${client}`;
  return slices.run(lane, steps);
}

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\b/i;

/**
 * Reads the body of a request as far as the relay has to: JSON it reads whole, and any other
 * body as it is forwarded.
 *
 * @param call The request.
 * @param isRun Whether the request makes a run: it may name files and the like.
 * @param limits The limits of bodies.
 * @throws {Problem} If it is JSON in a coding that cannot be read, or takes too long to be
 * read.
 * @throws {BodyLimitError} If it is too long, or too slow.
 */
export async function readBody(
  { request, response, headers, client, incoming }: GatewayCall,
  isRun: boolean,
  { bodyLimits: given, maxUpload }: BodiesLimits,
): Promise<ReadBody> {
  const length = headers.get("content-length");
  if (length === null && !headers.has("transfer-encoding")) {
    return { body: null, content: undefined };
  }
  // The length came, and is passed on.
  if (length === "0") return { body: new Uint8Array(), content: undefined };
  const bodyLimits = { ...given, incoming };
  if (!JSON_TYPE.test(headers.get("content-type") ?? "")) {
    const limits = { ...bodyLimits, maxBytes: maxUpload };
    assertLength(length, limits);
    const size = length === null ? undefined : Number(length);
    const body = bodyOf(request, response);
    return { body: new Upload(body, limits, size), content: undefined };
  }
  const coding = headers.get("content-encoding");
  contentCodings(coding);
  assertLength(length, bodyLimits);
  // Of a client that has left, the server's stream has what came before.
  const body = response.req.destroyed
    ? bodyOf(request, response)
    : new IncomingReader(response.req);
  const bytes = await wholeBody(body, bodyLimits);
  const decoded = await decodeBody(bytes, coding, bodyLimits.maxBytes);
  const isCoded = decoded !== bytes;
  if (isCoded) incoming.add(decoded.byteLength);
  const content = await inSteps(
    client,
    decoded,
    readContent(decoded, { isRun, isCoded }),
  );
  // It is kept for as long as the run lasts.
  incoming.whole();
  return { body: bytes, content };
}
