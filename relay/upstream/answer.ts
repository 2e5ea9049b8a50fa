import { Buffer } from "node:buffer";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { MAX_HEADERS } from "./head_limits.ts";
import { UpstreamConnectionError } from "./upstream_connection_error.ts";

/** An answer with one of these statuses has no body (Fetch, section 2.2.3). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** Whether an answer has no body. */
export function isBodiless(status: number, method: string): boolean {
  return BODILESS.has(status) || method === "HEAD";
}

/**
 * Returns an answer of `node:http` as one of `fetch`.
 *
 * @throws {Error} If it has too many headers, or one that HTTP does not allow.
 */
export function toResponse(
  incoming: IncomingMessage,
  outgoing: ClientRequest,
  method: string,
  signal: AbortSignal,
): Response {
  if (incoming.rawHeaders.length > 2 * MAX_HEADERS) {
    throw new Error(`the answer has more than ${MAX_HEADERS} headers`);
  }
  const headers = new Headers();
  const { rawHeaders, statusCode: status = 0, statusMessage = "" } = incoming;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at]!, rawHeaders[at + 1]!); // names and values by turns
  }
  const hasBody = !isBodiless(status, method);
  const init = { status, statusText: statusMessage, headers };
  if (hasBody) {
    const body = bodyOf(incoming, {
      isWhole: () => incoming.complete,
      cancel: () => outgoing.destroy(),
      request: outgoing,
      signal,
    });
    return new Response(body, init);
  }
  incoming.resume();
  return new Response(null, init);
}

/** Options of a body that is read. */
export interface BodyOptions {
  /** Whether a body that has ended is whole. */
  isWhole(): boolean;
  /** Stops the body. */
  cancel(): void;
  /** The request, if it hears of errors before the answer does. */
  readonly request?: ClientRequest;
  /** Stops the request, and the body of its answer. */
  readonly signal: AbortSignal;
}

/** The most bytes of an answer that wait to be read. */
const MAX_UNREAD = 64 * 1024;

/**
 * Returns the body of an answer as a stream that is read as fast as it is asked for.
 *
 * A `ReadableStream` and a stream of Node both drop what they hold when they break
 * off. What came before is kept here, and read first.
 */
export function bodyOf(
  incoming: Readable,
  { isWhole, cancel, request, signal }: BodyOptions,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let parts: Uint8Array[] = [];
  let unread = 0;
  let end: { readonly error?: unknown } | undefined;
  let wake = (): void => {};
  const finish = (result: typeof end): void => {
    end ??= result;
    wake();
  };
  const fail = (cause: unknown): void =>
    finish({
      error: signal.aborted
        ? signal.reason
        : new UpstreamConnectionError(cause),
    });
  incoming.on("data", (part: Uint8Array) => {
    parts.push(part);
    unread += part.length;
    if (unread >= MAX_UNREAD) incoming.pause();
    wake();
  });
  // The connection tells the request first: an answer without a length would seem
  // whole.
  request?.on("error", fail);
  incoming.on("error", fail);
  const isBroken = (): Error => new Error("the answer has broken off");
  incoming.on(
    "end",
    () => isWhole() ? finish({}) : fail(isBroken()),
  );
  incoming.on("close", () => fail(isBroken()));
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      while (parts.length === 0 && !end) {
        await new Promise<void>((resolve) => wake = resolve);
      }
      if (parts.length > 0) {
        // A copy: the stream takes over the buffer, which may hold other parts.
        const bytes = new Uint8Array(Buffer.concat(parts));
        parts = [];
        unread = 0;
        controller.enqueue(bytes);
        incoming.resume();
      } else if (end && "error" in end) throw end.error;
      else {
        controller.close();
        controller.byobRequest?.respond(0);
      }
    },
    cancel() {
      cancel();
      finish({});
    },
  });
}
