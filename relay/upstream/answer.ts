import { Buffer } from "node:buffer";
import type { ClientRequest, IncomingMessage } from "node:http";
import { MAX_HEADERS } from "./head_limits.ts";
import { UpstreamConnectionError } from "./upstream_connection_error.ts";

/** An answer with one of these statuses has no body (Fetch, section 2.2.3). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

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
  const hasBody = !BODILESS.has(status) && method !== "HEAD";
  const init = { status, statusText: statusMessage, headers };
  if (hasBody) return new Response(bodyOf(incoming, outgoing, signal), init);
  incoming.resume();
  return new Response(null, init);
}

/** The most bytes of an answer that wait to be read. */
const MAX_UNREAD = 64 * 1024;

/**
 * Returns the body of an answer as a stream that is read as fast as it is asked for.
 *
 * A `ReadableStream` and a stream of Node both drop what they hold when they break
 * off. What came before is kept here, and read first.
 */
function bodyOf(
  incoming: IncomingMessage,
  outgoing: ClientRequest,
  signal: AbortSignal,
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
  outgoing.on("error", fail);
  incoming.on("error", fail);
  const isBroken = (): Error => new Error("the answer has broken off");
  incoming.on(
    "end",
    () => incoming.complete ? finish({}) : fail(isBroken()),
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
      outgoing.destroy();
      finish({});
    },
  });
}
