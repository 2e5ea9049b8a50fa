import { type ClientRequest, request } from "node:http";
import type { Clock } from "../../src/fetch/clock.ts";
import { joinSmallChunks } from "../limits/body_chunks.ts";
import { toResponse } from "./answer.ts";
import { MAX_HEAD, MAX_HEADERS } from "./head_limits.ts";
import { headerPairs } from "./header_pairs.ts";
import type { AgentOptions, UpstreamAgents } from "./upstream_agents.ts";
import { UpstreamConnectionError } from "./upstream_connection_error.ts";
import type { UpstreamRequest } from "./upstream_request.ts";

/** The time for connecting, in milliseconds: there may be another address. */
const CONNECT_TIMEOUT = 10_000;

/** The informational answers that any client may get, and pass over. */
const PASSED_OVER: ReadonlySet<number> = new Set([100, 103]);

/** Settings for upstreams that the operator has named. */
const LENIENT = {
  maxHeaderSize: MAX_HEAD,
  // Takes an answer that has a length and chunks, of which the chunks count (RFC
  // 9112, section 6.3). What the caller gets is framed anew.
  insecureHTTPParser: true,
} as const;

/** No connection came about in time. */
class ConnectTimeoutError extends Error {
  /** As Node has it. */
  readonly code = "ETIMEDOUT";
}

/** What requests over HTTP/1.1 share. */
export interface AskContext {
  /** The connections. */
  readonly agents: UpstreamAgents;
  /** The clock. */
  readonly clock: Clock;
}

/**
 * Asks an upstream once over HTTP/1.1, with the bytes of headers and the length of
 * the body as they are.
 *
 * `fetch` of Deno 2.9.6 sends a body of bytes a second time if a connection
 * breaks, and any other body without its length, and it takes at most 100 headers.
 *
 * @returns The answer, as it comes. A redirect is not followed.
 * @throws {UpstreamConnectionError} If there is none.
 */
export function askOverHttp1(
  url: URL,
  { method, headers, body, length, isKept, address, signal }: UpstreamRequest,
  { agents, clock }: AskContext,
): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  let isSent = false;
  let made: ClientRequest | undefined;
  const gone = new AbortController();
  const fail = (cause: unknown): void => {
    gone.abort();
    made?.destroy();
    reject(
      signal.aborted
        ? signal.reason
        : new UpstreamConnectionError(cause, !isSent),
    );
  };
  try {
    const options: AgentOptions = {
      agent: agents.for(url),
      protocol: url.protocol,
      host: address ?? url.hostname,
      port: url.port,
      path: url.pathname + url.search,
      method,
      headers: {
        ...Object.fromEntries(headerPairs(headers)),
        ...(address !== undefined && { host: url.host }),
      },
      tls: { name: url.hostname, signal: gone.signal },
      isUntrusted: address !== undefined,
      ...(address === undefined && LENIENT),
    };
    made = request(options);
  } catch (cause) {
    fail(cause); // such as a permission that is missing
    return promise;
  }
  const outgoing = made;
  outgoing.maxHeadersCount = MAX_HEADERS + 1; // the rest is left out
  if (!isKept) outgoing.shouldKeepAlive = false;
  frame(outgoing, body, length);
  const stopWaiting = clock.setTimeout(
    () => fail(new ConnectTimeoutError()),
    CONNECT_TIMEOUT,
  );
  const begin = (): void => {
    stopWaiting();
    if (outgoing.destroyed) return;
    isSent = true;
    send(outgoing, body).catch(fail);
  };
  // Nothing is read of the body before: the upstream may be asked in another way.
  outgoing.on("socket", (socket) => {
    if (socket.connecting) socket.once("connect", begin);
    // After this event `node:http` of Deno 2.9.6 flushes a request, and then holds
    // back parts that were written before.
    else queueMicrotask(begin);
  });
  const abort = (): void => fail(signal.reason);
  signal.addEventListener("abort", abort);
  outgoing.on("close", () => {
    stopWaiting();
    signal.removeEventListener("abort", abort);
  });
  outgoing.on("error", fail);
  const unasked = (status: number | undefined): void =>
    fail(new Error(`it has answered ${status}, which nobody asked for`));
  // No other protocol was asked for.
  outgoing.on("upgrade", ({ statusCode }, socket) => {
    socket.destroy();
    unasked(statusCode);
  });
  outgoing.on("information", ({ statusCode }) => {
    if (!PASSED_OVER.has(statusCode)) unasked(statusCode);
  });
  outgoing.on("response", (incoming) => {
    const { headers } = incoming;
    if (headers["transfer-encoding"] && headers["content-length"]) {
      // The upstream may have meant the next answer to begin elsewhere.
      outgoing.shouldKeepAlive = false;
    }
    try {
      joinSmallChunks(incoming);
      resolve(toResponse(incoming, outgoing, method, signal));
    } catch (cause) {
      fail(cause);
    }
  });
  return promise;
}

/** Says in the head how long the body is, and nothing of a body that there is not. */
function frame(
  outgoing: ClientRequest,
  body: UpstreamRequest["body"],
  length: number | undefined,
): void {
  if (body === null) {
    // `node:http` adds a length of 0 to a POST without a body.
    outgoing.removeHeader("content-length");
    outgoing.removeHeader("transfer-encoding");
  } else if (length !== undefined) {
    outgoing.setHeader("content-length", length);
  } else outgoing.setHeader("transfer-encoding", "chunked");
}

/** Writes the body as fast as the upstream takes it. */
async function send(
  outgoing: ClientRequest,
  body: UpstreamRequest["body"],
): Promise<void> {
  if (body instanceof ReadableStream) {
    // The head at once: the upstream may refuse before the body has come.
    // `flushHeaders` would encode the bytes of headers once more.
    outgoing.write(new Uint8Array());
    for await (const part of body) {
      if (outgoing.destroyed) return;
      if (!outgoing.write(part)) await drained(outgoing);
    }
    outgoing.end();
  } else outgoing.end(body ?? undefined);
}

/** Resolves when there is room for more, or nothing more is taken. */
function drained(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off("drain", done);
      outgoing.off("close", done);
      resolve();
    };
    outgoing.on("drain", done);
    outgoing.on("close", done);
  });
}
