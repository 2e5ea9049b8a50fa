import { type ClientRequest, request } from "node:http";
import type { Clock } from "../../src/fetch/clock.ts";
import { joinSmallChunks } from "../limits/body_chunks.ts";
import { HeaderList } from "../header_list.ts";
import { PARSERS_PUSH } from "../runtime.ts";
import { answerOf, toAnswer, type UpstreamAnswer } from "./answer.ts";
import { proxyAuthorization } from "./environment_proxy.ts";
import { CONNECT_TIMEOUT, ConnectTimeoutError } from "./connect_timeout.ts";
import { MAX_HEAD, MAX_HEADERS } from "./head_limits.ts";
import { InformationalAnswers, unaskedAnswer } from "./informational.ts";
import type { AgentOptions, UpstreamAgents } from "./upstream_agents.ts";
import { UpstreamConnectionError } from "./upstream_connection_error.ts";
import type { UpstreamRequest } from "./upstream_request.ts";
import { writeBody } from "./write_body.ts";

/** Settings for upstreams that the operator has named. */
const LENIENT = {
  maxHeaderSize: MAX_HEAD,
  // Takes an answer that has a length and chunks, of which the chunks count (RFC
  // 9112, section 6.3). What the caller gets is framed anew.
  insecureHTTPParser: true,
} as const;

/** The connections and the clock of requests over HTTP/1.1. */
export interface AskContext {
  /** The proxy through which the upstream is asked. Default: none. */
  readonly proxy: URL | undefined;
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
  {
    method,
    headers,
    body,
    length,
    isKept,
    address,
    signal,
    onUpgrade,
  }: UpstreamRequest,
  { agents, proxy, clock }: AskContext,
): Promise<UpstreamAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>();
  let isSent = false;
  let isAnswered = false;
  let made: ClientRequest | undefined;
  // Stops a handshake of TLS.
  const gone = url.protocol === "https:" || proxy?.protocol === "https:"
    ? new AbortController()
    : undefined;
  const fail = (cause: unknown): void => {
    gone?.abort();
    made?.destroy();
    reject(
      signal.aborted ? signal.reason : new UpstreamConnectionError(cause, {
        isUnsent: !isSent,
        isStale: !isAnswered && made !== undefined && agents.isReusing(made),
      }),
    );
  };
  try {
    // A proxy is asked in place of an upstream without TLS.
    const asked = proxy && url.protocol === "http:" ? proxy : url;
    const path = url.pathname + url.search;
    const options: AgentOptions = {
      agent: agents.for(asked),
      protocol: asked.protocol,
      host: address ?? asked.hostname,
      port: asked.port,
      path: asked === url ? path : `${url.origin}${path}`,
      method,
      headers: {
        ...Object.fromEntries(headers),
        ...((address !== undefined || asked !== url) && { host: url.host }),
        ...(asked !== url && proxyHeaders(asked)),
      },
      ...(gone && {
        tls: {
          name: asked.hostname,
          proxy: asked === url ? proxy : undefined,
          signal: gone.signal,
        },
      }),
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
  const stopWaiting = agents.isReusing(outgoing)
    ? () => {}
    : clock.setTimeout(() => fail(new ConnectTimeoutError()), CONNECT_TIMEOUT);
  const begin = (): void => {
    stopWaiting();
    if (outgoing.destroyed) return;
    isSent = true;
    // The head at once: the upstream may refuse before the body has come.
    // `flushHeaders` would encode the bytes of headers once more.
    if (body instanceof ReadableStream) outgoing.write(new Uint8Array());
    writeBody(outgoing, body).catch(fail);
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
  outgoing.on("upgrade", (incoming, socket, head) => {
    const { statusCode } = incoming;
    if (onUpgrade && statusCode === 101) {
      stopWaiting();
      signal.removeEventListener("abort", abort);
      onUpgrade(socket, head);
      const headers = HeaderList.fromRaw(incoming.rawHeaders);
      return resolve(answerOf(101, "", headers, null));
    }
    // No other protocol was asked for.
    socket.destroy();
    fail(unaskedAnswer(statusCode));
  });
  const informational = new InformationalAnswers();
  outgoing.on("information", ({ statusCode }) => {
    isAnswered = true;
    const failure = informational.add(statusCode);
    if (failure) fail(failure);
  });
  outgoing.on("response", (incoming) => {
    isAnswered = true;
    const { headers } = incoming;
    if (headers["transfer-encoding"] && headers["content-length"]) {
      // The upstream may have meant the next answer to begin elsewhere.
      outgoing.shouldKeepAlive = false;
    }
    try {
      if (!PARSERS_PUSH) joinSmallChunks(incoming);
      resolve(toAnswer(incoming, outgoing, method, signal));
    } catch (cause) {
      fail(cause);
    }
  });
  return promise;
}

function proxyHeaders(proxy: URL): Record<string, string> {
  const credentials = proxyAuthorization(proxy);
  return credentials === undefined
    ? {}
    : { "proxy-authorization": credentials };
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
