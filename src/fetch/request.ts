// This module is browser compatible.
import { described } from "../sse/described.ts";

/** The result of {@linkcode prepareRequest}. */
export interface PreparedRequest {
  /** The URL, whole: not to be shown. */
  readonly url: string;
  /** The headers that are sent. */
  readonly headers: Headers;
  /** The second parameter of `fetch`, without the signal. */
  readonly init: RequestInit;
  /**
   * The same with the body whole, and so with its length, for a server that wants
   * one; `undefined` where the body is sent whole anyway, or cannot be.
   */
  readonly wholeInit: RequestInit | undefined;
}

/**
 * The form in which a body is sent: `"whole"`, with its length, or `"stream"`, in chunks, which
 * no runtime can send again behind the caller's back.
 */
export type BodyForm = "whole" | "stream";

/** The part of the options of a stream that makes its request. */
export interface RequestOptions {
  /** The method. */
  readonly method?: string | undefined;
  /** The headers, in place of those of a `Request`. */
  readonly headers?: HeadersInit | undefined;
  /** The body, in place of that of a `Request`. */
  readonly body?: BodyInit | null | undefined;
  /** The form in which the body is sent. */
  readonly sendBody?: BodyForm | undefined;
  /** The id to resume after. */
  readonly lastEventId?: string | undefined;
  /** The redirect mode. */
  readonly redirect?: RequestRedirect | undefined;
  /** Whether cookies are sent. */
  readonly credentials?: RequestCredentials | undefined;
}

/** `duplex` is in the Fetch Standard, and not in every runtime's types. */
interface StreamingRequestInit extends RequestInit {
  duplex?: "half";
}

/**
 * Bytes that a header's value may have: visible ones, spaces and tabs inside.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9110#section-5.5 | RFC 9110, section 5.5}
 */
const LEGAL_HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Makes the request for an event stream, as the standard has it.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#dom-eventsource | HTML Standard, section 9.2.2}
 *
 * @param input The URL, or a request.
 * @param options The other options.
 * @returns The request.
 * @throws {TypeError} If `fetch` would not take it.
 */
export function prepareRequest(
  input: string | URL | Request,
  options: RequestOptions,
): PreparedRequest {
  const request = input instanceof Request ? input : undefined;
  const browser = isBrowser();
  const headers = copyHeaders(options.headers ?? request?.headers);
  if (!headers.has("accept")) headers.set("accept", "text/event-stream");
  const init: StreamingRequestInit = { headers };
  // A Cache-Control header of our own would make a browser ask the server for
  // permission first (a CORS preflight), which "no-store" does not; it sends
  // the same. Other runtimes have no cache, and send nothing for "no-store".
  if (browser) init.cache = "no-store";
  else if (!headers.has("cache-control")) {
    headers.set("cache-control", "no-cache");
  }
  const id = headerFromId(options.lastEventId ?? "");
  if (id !== "") headers.set("last-event-id", id);
  if (options.method !== undefined) init.method = options.method;
  if (options.redirect !== undefined) init.redirect = options.redirect;
  if (options.credentials !== undefined) init.credentials = options.credentials;
  const wholeBody = setBody(init, headers, request, options, browser);
  return {
    url: request?.url ?? resolve(input, init.method),
    headers,
    init,
    wholeInit: wholeBody === undefined
      ? undefined
      : { ...init, body: wholeBody },
  };
}

/**
 * Whether `fetch` may send a POST again on its own, when a connection that it had
 * kept is closed under the request: the server may then see it twice. Deno does (2.9.6);
 * Node (20, 24) and Bun (1.4) do not. Asked by the name that a runtime gives
 * itself, as tools define `Deno` elsewhere.
 */
function repeatsRequests(): boolean {
  const { navigator } = globalThis as { navigator?: { userAgent?: string } };
  return navigator?.userAgent?.startsWith("Deno/") ?? false;
}

/**
 * Whether `fetch` follows the rules for web pages. Asked by what they do, which
 * holds in workers too: they drop headers whose names start with `Sec-`.
 */
function isBrowser(): boolean {
  const headers = { "Sec-Probe": "1" };
  return !new Request("http://localhost/", { headers }).headers
    .has("sec-probe");
}

/**
 * Whether `fetch` would send this method. Bun has no error for those that it
 * does not know: it sends GET in their place; and it does send TRACE.
 */
function isMethod(request: Request, method: string): boolean {
  if (/^(?:connect|trace|track)$/i.test(method)) return false;
  try {
    const sent = new Request(request, { method }).method;
    return sent.toUpperCase() === method.toUpperCase();
  } catch {
    return false;
  }
}

/** Protocols of URLs that somebody might take for streams, and no `fetch` speaks. */
const UNFETCHED: ReadonlySet<string> = new Set([
  "ftp:",
  "mailto:",
  "ws:",
  "wss:",
]);

/** Resolves a URL as `fetch` would, and refuses what it would. */
function resolve(input: string | URL | Request, method = "GET"): string {
  let request: Request;
  try {
    request = new Request(input);
  } catch {
    // Without the cause: runtimes quote the URL, password included.
    throw new TypeError(
      `Cannot stream events as 'input' must be an absolute URL, such as "https://example.com/events": current value is ${
        described(input)
      } that fetch does not accept, as it is relative to nothing, malformed, or has a password`,
    );
  }
  const { protocol } = new URL(request.url);
  if (UNFETCHED.has(protocol)) {
    throw new TypeError(
      `Cannot stream events as 'input' must be a URL of http or https: current value is one of ${
        protocol.slice(0, -1)
      }`,
    );
  }
  if (!isMethod(request, method)) {
    throw new TypeError(
      `Cannot stream events as 'method' must be one that fetch accepts: current value is ${method}`,
    );
  }
  return request.url;
}

function copyHeaders(init: HeadersInit | undefined): Headers {
  const headers = new Headers();
  if (!init) return headers;
  const entries = Symbol.iterator in init
    ? [...init]
    : Object.entries<string>(init);
  for (const [name = "", value = ""] of entries) {
    try {
      headers.append(name, value);
    } catch {
      // Without the cause: runtimes quote the value, which may be a key.
      throw new TypeError(
        `Cannot stream events as 'headers' must have names and values that HTTP allows: the one named ${
          JSON.stringify(name)
        } does not`,
      );
    }
  }
  return headers;
}

/**
 * The value that stands for an id: its UTF-8 bytes. A header has none for an id
 * with other controls than a tab: then the stream is asked for from its start.
 * Spaces and tabs around an id are not part of a header's value, whoever sends
 * it, so servers don't get to see them.
 */
function headerFromId(id: string): string {
  let value = "";
  for (const byte of new TextEncoder().encode(id)) {
    value += String.fromCharCode(byte);
  }
  return LEGAL_HEADER_VALUE.test(value)
    ? value.replace(/^[\t ]+|[\t ]+$/g, "")
    : "";
}

/**
 * Sets the body. A runtime can send a stream only once, so a body is one where the
 * runtime would send another again. Elsewhere a body goes out as it is, with its
 * length: some servers refuse chunks, and so do functions in place of `fetch` that
 * read `init.body`. Browsers send streams over HTTP/2 only.
 *
 * @returns The body to send if the server wants a length.
 */
function setBody(
  init: StreamingRequestInit,
  headers: Headers,
  request: Request | undefined,
  options: RequestOptions,
  browser: boolean,
): BodyInit | undefined {
  const given = options.body ?? undefined;
  const method = (options.method ?? request?.method ?? "GET").toUpperCase();
  const { sendBody } = options;
  const streams = !browser &&
    (sendBody === undefined ? repeatsRequests() : sendBody === "stream");
  if (given === undefined) {
    if (!request?.body || browser) return undefined;
    if (request.bodyUsed) {
      throw new TypeError(
        "Cannot stream events as the body of 'input' must be unread: it was sent or read before, pass a clone",
      );
    }
    if (streams) setStream(init, request.body);
    return undefined;
  }
  if (method === "GET" || method === "HEAD") {
    throw new TypeError(
      `Cannot stream events as 'body' must be left out with the method ${method}: set 'method'`,
    );
  }
  if (given instanceof ReadableStream) {
    // A stream that was read before is empty now: `fetch` would send it without
    // complaint.
    try {
      new Response(given);
    } catch {
      throw new TypeError(
        "Cannot stream events as 'body' must be a stream that is unread: it was sent or read before, make a new one for every request",
      );
    }
    setStream(init, given);
    return undefined;
  }
  // Bun does not know the type of a string.
  if (
    typeof given === "string" && !browser && !headers.has("content-type")
  ) headers.set("content-type", "text/plain;charset=UTF-8");
  if (!streams) {
    init.body = given;
    return undefined;
  }
  const response = new Response(given);
  const type = response.headers.get("content-type");
  if (type !== null && !headers.has("content-type")) {
    headers.set("content-type", type);
  }
  if (!response.body) {
    init.body = given;
    return undefined;
  }
  setStream(init, response.body);
  if (typeof given === "string") {
    // For functions in place of `fetch` that take the body for a string.
    Object.defineProperty(init.body, "toString", { value: () => given });
  }
  // The boundary of a form is another every time, and not that of the headers.
  return sendBody !== undefined || given instanceof FormData
    ? undefined
    : given;
}

/** Runtimes know what their own streams were made of, but not what passed another. */
function setStream(
  init: StreamingRequestInit,
  body: ReadableStream<Uint8Array>,
): void {
  init.body = body.pipeThrough(new TransformStream());
  init.duplex = "half";
}

/** The statuses of servers that refuse a body without a length. */
const REFUSALS: ReadonlySet<number> = new Set([400, 411, 422, 501]);

/** Their words, and those of servers that took the body for empty. */
const LENGTH_WORDS = new RegExp(
  [
    "content-?\\s?length|length required|transfer-?\\s?encoding|chunked",
    "(?:empty|missing|no) (?:request |json )?body|body (?:is|was) (?:empty|missing|required)",
    "unexpected end of (?:json )?input|unexpected eof|^\\W*eof\\W*$",
    'expecting value: line 1 column 1|"loc":\\s*\\[\\s*"body"\\s*\\]',
  ].join("|"),
  "i",
);

/**
 * Whether an answer refuses a body for want of a length, before anything was done.
 *
 * @param status The status code.
 * @param body The start of the answer's body.
 * @returns Whether it does.
 */
export function wantsLength(status: number, body: string): boolean {
  return status === 411 || REFUSALS.has(status) && LENGTH_WORDS.test(body);
}
