import { Buffer } from "node:buffer";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { messageOf } from "../../src/fetch/message_of.ts";
import { hasEnvironmentProxy } from "./environment_proxy.ts";
import { headerPairs } from "./headers.ts";
import type { ProviderAgents } from "./provider_agents.ts";

/** A request to a provider, as it is written. */
export interface WrittenRequest {
  /** The URL. */
  readonly url: string;
  /** The method. */
  readonly method: string;
  /** The headers, without those that frame the body. */
  readonly headers: Headers;
  /** The body; `null` for a request that says nothing about a body. */
  readonly body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null;
  /** The number of bytes of the body, if it is known. */
  readonly length: number | undefined;
  /** Stops the request, and the body of its answer. */
  readonly signal: AbortSignal;
}

/**
 * The largest head of an answer, in bytes, and the most headers in it. curl takes
 * 300 KB; Node by default 16 KiB and, like it, `fetch` of Deno 100 headers.
 */
const MAX_HEAD = 300 * 1024;
const MAX_HEADERS = 5_000;

/** An answer with one of these statuses has no body (Fetch, section 2.2.3). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** The informational answers that any client may get, and pass over. */
const PASSED_OVER: ReadonlySet<number> = new Set([100, 103]);

/** Messages for the codes of connections that fail. */
const FAILURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was closed before its answer was whole",
  EHOSTUNREACH: "the host cannot be reached",
  ENOTFOUND: "there is no host of this name",
  EPIPE: "the connection was closed before its answer was whole",
  ETIMEDOUT: "the connection was not answered",
  HPE_HEADER_OVERFLOW:
    `the head of the answer is larger than ${MAX_HEAD} bytes`,
};

/** The connection to a provider has failed. */
export class ProviderConnectionError extends Error {
  /** Whether no byte of the request can have reached the provider. */
  readonly isUnsent: boolean;

  /** Makes it of what was thrown. */
  constructor(cause: unknown, isUnsent: boolean) {
    const code = codeOf(cause);
    const known = FAILURES[code];
    super(known ? `${known} (${code})` : messageOf(cause), { cause });
    this.name = "ProviderConnectionError";
    this.isUnsent = isUnsent;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/**
 * Asks a provider once over HTTP/1.1, with the bytes of headers and the length of
 * the body as they are. A provider that speaks HTTP/2 alone, or is reached through a
 * proxy of the environment, is asked by `fetch`.
 *
 * `fetch` of Deno 2.9.6 sends a body of bytes a second time if a connection
 * breaks, and any other body without its length, and it takes at most 100 headers.
 *
 * @returns The answer, as it comes. A redirect is not followed.
 * @throws {ProviderConnectionError} If there is none.
 */
export async function askProvider(
  asked: WrittenRequest,
  agents: ProviderAgents,
): Promise<Response> {
  const url = new URL(asked.url);
  asked.signal.throwIfAborted();
  if (!agents.isHttp2Only(url) && !hasEnvironmentProxy(url)) {
    try {
      return await askOnce(url, asked, agents);
    } catch (error) {
      if (!isWrongVersion(error)) throw error;
      agents.addHttp2Only(url);
    }
  }
  return await fetchOnce(asked);
}

/** Whether a provider has refused to speak HTTP/1.1, in the handshake of TLS. */
function isWrongVersion(error: unknown): boolean {
  return error instanceof ProviderConnectionError && error.isUnsent &&
    error.message.includes("NoApplicationProtocol");
}

async function fetchOnce(
  { url, method, headers, body, signal }: WrittenRequest,
): Promise<Response> {
  // `duplex` is in the Fetch Standard, and not in the types.
  const init: RequestInit & { duplex?: "half" } = {
    method,
    headers,
    signal,
    redirect: "manual",
    ...(body !== null && method !== "GET" && method !== "HEAD" && {
      // As a stream, so that the runtime cannot send it twice by itself.
      body: body instanceof Uint8Array ? ReadableStream.from([body]) : body,
      duplex: "half",
    }),
  };
  try {
    return await fetch(url, init);
  } catch (error) {
    if (signal.aborted) throw error;
    const cause = error instanceof Error && error.cause instanceof Error
      ? error.cause
      : error;
    // Deno has no other sign of it.
    throw new ProviderConnectionError(
      cause,
      messageOf(cause).includes("(Connect)"),
    );
  }
}

function askOnce(
  url: URL,
  { method, headers, body, length, signal }: WrittenRequest,
  agents: ProviderAgents,
): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  let isSent = false;
  let made: ClientRequest | undefined;
  const fail = (cause: unknown): void => {
    made?.destroy();
    reject(
      signal.aborted
        ? signal.reason
        : new ProviderConnectionError(cause, !isSent),
    );
  };
  try {
    made = request({
      agent: agents.for(url),
      protocol: url.protocol,
      host: url.hostname,
      port: url.port,
      path: url.pathname + url.search,
      method,
      headers: Object.fromEntries(headerPairs(headers)),
      maxHeaderSize: MAX_HEAD,
      // Takes an answer that has a length and chunks, of which the chunks count (RFC
      // 9112, section 6.3). What the caller gets is framed anew.
      insecureHTTPParser: true,
    });
  } catch (cause) {
    fail(cause); // such as a permission that is missing
    return promise;
  }
  const outgoing = made;
  outgoing.maxHeadersCount = MAX_HEADERS + 1; // the rest is left out
  frame(outgoing, body, length);
  const begin = (): void => {
    isSent = true;
    send(outgoing, body).catch(fail);
  };
  // Nothing is read of the body before: the provider may be asked in another way.
  outgoing.on("socket", (socket) => {
    if (socket.connecting) socket.once("connect", begin);
    // After this event `node:http` of Deno 2.9.6 flushes a request, and then holds
    // back parts that were written before.
    else queueMicrotask(begin);
  });
  const abort = (): void => fail(signal.reason);
  signal.addEventListener("abort", abort);
  outgoing.on("close", () => signal.removeEventListener("abort", abort));
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
      // The provider may have meant the next answer to begin elsewhere.
      outgoing.shouldKeepAlive = false;
    }
    try {
      resolve(toResponse(incoming, outgoing, method));
    } catch (cause) {
      fail(cause);
    }
  });
  return promise;
}

/** Says in the head how long the body is, and nothing of a body that there is not. */
function frame(
  outgoing: ClientRequest,
  body: WrittenRequest["body"],
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

/** Writes the body as fast as the provider takes it. */
async function send(
  outgoing: ClientRequest,
  body: WrittenRequest["body"],
): Promise<void> {
  if (body instanceof ReadableStream) {
    // The head at once: the provider may refuse before the body has come.
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

function toResponse(
  incoming: IncomingMessage,
  outgoing: ClientRequest,
  method: string,
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
  if (hasBody) return new Response(bodyOf(incoming, outgoing), init);
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
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let parts: Uint8Array[] = [];
  let unread = 0;
  let end: { readonly error?: ProviderConnectionError } | undefined;
  let wake = (): void => {};
  const finish = (result: typeof end): void => {
    end ??= result;
    wake();
  };
  const fail = (cause: unknown): void =>
    finish({ error: new ProviderConnectionError(cause, false) });
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
      } else if (end?.error) throw end.error;
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
