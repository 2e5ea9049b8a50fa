import {
  type IncomingMessage,
  request as requestHttp,
  type RequestOptions,
} from "node:http";
import { request as requestHttps } from "node:https";
import { addAbortSignal, Readable } from "node:stream";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../src/fetch/clock.ts";
import { joinSmallChunks } from "../../limits/body_chunks.ts";
import { ReadPacer } from "../../limits/read_pacer.ts";

/** What a request is made with. */
export interface RequestOnceOptions {
  /** Its headers. */
  readonly headers: Headers;
  /** The address to connect to. */
  readonly address: string;
  /** Ends the request, and the body of its answer. */
  readonly signal: AbortSignal;
  /** Where time comes from. */
  readonly clock: Clock;
}

const logger = getLogger(["rivulet", "relay", "source"]);

/** One for all sources: they share the time of the process. It has no timer while nothing is read. */
const pacer = new ReadPacer();

/** How long connecting may take, in milliseconds: there may be another address. */
const CONNECT_TIMEOUT = 10_000;

/** An answer with one of these has no body (Fetch, section 2.2.3). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * What went wrong, without the message: that has the address in it, which those
 * who may name a host need not know.
 */
function connectionFailed(
  { host }: URL,
  address: string,
  cause: unknown,
): TypeError {
  const reason = cause instanceof Error ? cause.message : "it was closed";
  logger.info("No answer from {host} at {address}: {reason}", {
    host,
    address,
    reason,
  });
  const code = cause instanceof Error && "code" in cause ? cause.code : "";
  const detail = typeof code === "string" && code !== "" ? ` (${code})` : "";
  return new TypeError(`the connection failed${detail}`, { cause });
}

/**
 * Passes a body on, and fails at its end if its connection did: a body without a
 * length or chunks ends for `node:http` when its connection is reset, too.
 */
function failingWith(
  body: ReadableStream<Uint8Array>,
  failure: () => unknown,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (!done) return controller.enqueue(value);
      const error = failure();
      if (error === undefined) controller.close();
      else controller.error(error);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

function toResponse(
  message: IncomingMessage,
  failure: () => unknown,
): Response {
  const headers = new Headers();
  const { rawHeaders, statusCode: status = 0, statusMessage = "" } = message;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at]!, rawHeaders[at + 1]!); // names and values by turns
  }
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") {
    throw new TypeError(`Expected no compression: got '${encoding}'`);
  }
  const init = { status, statusText: statusMessage, headers };
  if (BODILESS.has(status)) {
    message.destroy();
    return new Response(null, init);
  }
  // Node's type for it is not the web's, while the object is.
  const body = Readable.toWeb(message) as ReadableStream<Uint8Array>;
  return new Response(failingWith(body, failure), init);
}

/**
 * Makes a GET request, as `fetch` does, but connects to an address that is given:
 * the host is not resolved, so nobody can answer differently from when it was
 * checked. It still is what the server is asked for, and what its certificate has
 * to be for. No redirect is followed, no connection kept, no proxy used, and no
 * head of more than 16 KiB read, which is the most by default.
 *
 * @param url The URL.
 * @param options The rest of the request.
 * @returns The answer.
 * @throws {TypeError} If there is none; the message names no address.
 */
export function requestOnce(
  url: URL,
  { headers, address, signal, clock }: RequestOnceOptions,
): Promise<Response> {
  const isSecure = url.protocol === "https:";
  const options: RequestOptions = {
    host: address,
    port: url.port,
    path: url.pathname + url.search,
    headers: {
      ...Object.fromEntries(headers),
      host: url.host, // whose name the certificate has to be for, too
      "accept-encoding": "identity",
    },
    agent: false,
    signal,
  };
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(
        signal.aborted ? signal.reason : connectionFailed(url, address, cause),
      );
    let request: ReturnType<typeof requestHttp>;
    try {
      request = isSecure ? requestHttps(options) : requestHttp(options);
    } catch (cause) {
      return fail(cause); // such as a permission that is missing
    }
    const cancel = clock.setTimeout(
      () => request.destroy(new Error("Expected a connection sooner")),
      CONNECT_TIMEOUT,
    );
    request.on("socket", (socket) => {
      pacer.pace(socket);
      socket.once(isSecure ? "secureConnect" : "connect", cancel);
    });
    let isAnswered = false;
    let failure: unknown;
    request.on("error", (cause) => void (failure = cause)); // `close` follows
    // An answer of another protocol comes without an error.
    request.on("upgrade", (_message, socket) => socket.destroy());
    request.on("close", () => {
      cancel();
      if (!isAnswered) fail(failure);
    });
    request.on("response", (message) => {
      isAnswered = true;
      joinSmallChunks(message);
      // A body may be whole when its connection is closed, this one would seem to be.
      addAbortSignal(signal, message);
      try {
        const broken = (): unknown =>
          failure && connectionFailed(url, address, failure);
        resolve(toResponse(message, broken));
      } catch (cause) {
        message.destroy();
        reject(
          new TypeError(
            "the answer is compressed, which nobody has asked for, or not as HTTP has it",
            { cause },
          ),
        );
      }
    });
    request.end();
  });
}
