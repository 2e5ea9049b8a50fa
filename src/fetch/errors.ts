// This module is browser compatible.
import { messageOf } from "./message_of.ts";
import { isRuntimeTimeout } from "./runtime_timeout.ts";
import { beginsLikeEvents } from "./sniff.ts";

/** The `code` of an {@linkcode EventStreamError}. */
export type EventStreamErrorCode =
  | "http_status"
  | "not_an_event_stream"
  | "no_body_stream"
  | "connection"
  | "connect_timeout"
  | "idle_timeout"
  | "one_shot_body"
  | "invalid_event";

/**
 * An event stream could not be opened, or broke off.
 *
 * This is the base class of this module's errors: `code` names the error, and
 * each class has the facts needed to act on it. No error contains a key: the
 * URL has no user name, password or values of its query, the headers have no
 * cookies, and other copies of the request's secrets are masked.
 *
 * @example Tell a failed stream from a mistake
 * ```ts
 * import { EventStreamError, streamEvents } from "@rivulet/rivulet/fetch";
 * import { assert, assertEquals, assertRejects } from "@std/assert";
 *
 * const events = streamEvents("https://example.com/?token=hush-hush", {
 *   reconnect: false,
 *   fetch: () => Promise.resolve(new Response("busy", { status: 503 })),
 * });
 * const error = await assertRejects(() => events.next());
 * assert(error instanceof EventStreamError);
 * assertEquals(error.code, "http_status");
 * assertEquals(error.url, "https://example.com/?token=[redacted]");
 * ```
 */
export abstract class EventStreamError extends Error {
  /** The error's code, for programs. */
  abstract readonly code: EventStreamErrorCode;
  /** The URL of the request, or of the answer after redirects; fit to be shown. */
  readonly url: string;

  /**
   * Makes an error.
   *
   * @param message The message: what was expected, what came, and what to do.
   * @param url The URL, fit to be shown.
   * @param options The cause, fit to be shown.
   */
  constructor(message: string, url: string, options?: ErrorOptions) {
    super(message, options);
    this.url = url;
  }
}

/** The end of the message about an answer whose body is not empty. */
export const BODY_HINT = " (its start is in 'body')";

/** The facts of an answer that is not an event stream. */
export interface UnexpectedResponse {
  /** The URL that answered, fit to be shown. */
  readonly url: string;
  /** The status code; 0 for a redirect that was not to be followed, in browsers. */
  readonly status: number;
  /** The reason phrase; `""` if none. */
  readonly statusText: string;
  /** The headers, without cookies. */
  readonly headers: Headers;
  /** The first 64 KiB of the body as text, or what came of it in 5 seconds. */
  readonly body: string;
  /** Whether the body was longer, or broke off. */
  readonly truncated: boolean;
}

/**
 * The answer is not an event stream.
 *
 * This is the base class of {@linkcode HttpStatusError} and
 * {@linkcode NotAnEventStreamError}, which show the answer.
 *
 * @example Show what a server says, whatever is wrong with it
 * ```ts
 * import { streamEvents, UnexpectedResponseError } from "@rivulet/rivulet/fetch";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const events = streamEvents("https://example.com/", {
 *   reconnect: false,
 *   fetch: () => Promise.resolve(Response.json({ error: "overloaded" })),
 * });
 * const error = await assertRejects(() => events.next());
 * if (!(error instanceof UnexpectedResponseError)) throw error;
 * assertEquals(JSON.parse(error.body), { error: "overloaded" });
 * ```
 */
export abstract class UnexpectedResponseError extends EventStreamError
  implements UnexpectedResponse {
  /** The status code; 0 for a redirect that was not to be followed, in browsers. */
  readonly status: number;
  /** The reason phrase; `""` if none. */
  readonly statusText: string;
  /** The headers, without cookies. */
  readonly headers: Headers;
  /** The first 64 KiB of the body as text, or what came of it in 5 seconds. */
  readonly body: string;
  /** Whether the body was longer, or broke off. */
  readonly truncated: boolean;

  /**
   * Makes an error.
   *
   * @param message The message: what was expected, and what came.
   * @param response The answer.
   */
  constructor(message: string, response: UnexpectedResponse) {
    super(message + (response.body === "" ? "" : BODY_HINT), response.url);
    this.status = response.status;
    this.statusText = response.statusText;
    this.headers = response.headers;
    this.body = response.body;
    this.truncated = response.truncated;
  }
}

/**
 * The answer's status was not 200.
 *
 * By the standard, every other status ends an event stream for good. With 204,
 * a server asks for no reconnection.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#dom-eventsource | HTML Standard, section 9.2.2}
 *
 * @example Show why a server refused
 * ```ts
 * import { HttpStatusError, streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const events = streamEvents("https://example.com/", {
 *   reconnect: false,
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("busy", { status: 503, headers: { "Retry-After": "7" } }),
 *     ),
 * });
 * const error = await assertRejects(() => events.next(), HttpStatusError);
 * assertEquals(error.status, 503);
 * assertEquals(error.headers.get("Retry-After"), "7");
 * assertEquals(error.body, "busy");
 * ```
 */
export class HttpStatusError extends UnexpectedResponseError {
  /** The error's code, for programs. */
  readonly code = "http_status";

  /**
   * Makes an error.
   *
   * @param response The answer.
   */
  constructor(response: UnexpectedResponse) {
    const { status, statusText, url } = response;
    const got = statusText ? `${status} ${statusText}` : `${status}`;
    super(
      `Cannot stream events from ${url} as the status must be 200: got ${got}`,
      response,
    );
    this.name = "HttpStatusError";
  }
}

/**
 * The answer's status was 200, but its content type not `text/event-stream`.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#dom-eventsource | HTML Standard, section 9.2.2}
 *
 * @example A login page instead of events
 * ```ts
 * import { NotAnEventStreamError, streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const events = streamEvents("https://example.com/", {
 *   reconnect: false,
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("<h1>Log in", { headers: { "Content-Type": "text/html" } }),
 *     ),
 * });
 * const error = await assertRejects(() => events.next(), NotAnEventStreamError);
 * assertEquals(error.contentType, "text/html");
 * assertEquals(error.body, "<h1>Log in");
 * ```
 */
export class NotAnEventStreamError extends UnexpectedResponseError {
  /** The error's code, for programs. */
  readonly code = "not_an_event_stream";
  /** The value of the `Content-Type` header; `undefined` if there was none. */
  readonly contentType: string | undefined;

  /**
   * Makes an error.
   *
   * @param response The answer.
   * @param encoding The content encoding, if that is what is wrong.
   */
  constructor(response: UnexpectedResponse, encoding?: string) {
    const contentType = response.headers.get("content-type") ?? undefined;
    const problem = encoding === undefined
      ? `the content type must be text/event-stream: got ${
        contentType ?? "none"
      }`
      : `the content encoding must be one that 'fetch' decodes: got ${encoding}`;
    const hint = encoding === undefined && beginsLikeEvents(response.body)
      ? `, whose body begins like an event stream: set the option 'contentType' to "any" to read it`
      : "";
    super(
      `Cannot stream events from ${response.url} as ${problem}${hint}`,
      response,
    );
    this.name = "NotAnEventStreamError";
    this.contentType = contentType;
  }
}

/**
 * The answer is an event stream, but its `fetch` gives no body to read. React
 * Native's `fetch` only gives the whole text once the stream has ended.
 *
 * @example A fetch without streams
 * ```ts
 * import { BodyStreamError, streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertRejects } from "@std/assert";
 *
 * const answer = new Response("data: a\n\n", {
 *   headers: { "Content-Type": "text/event-stream" },
 * });
 * Object.defineProperty(answer, "body", { value: undefined });
 * const events = streamEvents("https://example.com/", {
 *   fetch: () => Promise.resolve(answer),
 * });
 * await assertRejects(() => events.next(), BodyStreamError);
 * ```
 */
export class BodyStreamError extends EventStreamError {
  /** The error's code, for programs. */
  readonly code = "no_body_stream";

  /**
   * Makes an error.
   *
   * @param url The URL, fit to be shown.
   */
  constructor(url: string) {
    super(
      `Cannot stream events from ${url} as ${NO_BODY_STREAM}`,
      url,
    );
    this.name = "BodyStreamError";
  }
}

/** Says why a `fetch` does not stream, and what to do. */
export const NO_BODY_STREAM =
  "the 'body' of the answer must be a stream: 'fetch' gives none, as in React Native. Set the option 'fetch' to one that streams, such as that of the package expo/fetch";

/**
 * The network failed: before there was an answer, or in the middle of it.
 *
 * @example A connection that drops
 * ```ts
 * import { ConnectionError, streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const events = streamEvents("https://example.com/", {
 *   reconnect: false,
 *   fetch: () => Promise.reject(new TypeError("refused")),
 * });
 * const error = await assertRejects(() => events.next(), ConnectionError);
 * assertEquals(error.phase, "connect");
 * ```
 */
export class ConnectionError extends EventStreamError {
  /** The error's code, for programs. */
  readonly code = "connection";
  /** Whether it was before the answer's headers, or after. */
  readonly phase: "connect" | "body";

  /**
   * Makes an error.
   *
   * @param url The URL, fit to be shown.
   * @param phase Whether it was before the answer's headers, or after.
   * @param cause The error that `fetch` threw, fit to be shown.
   */
  constructor(url: string, phase: "connect" | "body", cause: unknown) {
    const hint = isRuntimeTimeout(cause)
      ? ". The runtime's own fetch gives up there, whatever the timeouts here say: set the option 'fetch' to one without that limit, such as one with a 'dispatcher' on Node"
      : "";
    const why = `${messageOf(cause)}${hint}`;
    super(
      phase === "connect"
        ? `Cannot stream events from ${url} as there was no answer: ${why}`
        : `The event stream from ${url} broke off before its end: ${why}`,
      url,
      { cause },
    );
    this.name = "ConnectionError";
    this.phase = phase;
  }
}

/**
 * There was no answer within `connectTimeout`.
 *
 * @example A server that accepts and says nothing
 * ```ts
 * import { ConnectTimeoutError, streamEvents } from "@rivulet/rivulet/fetch";
 * import { FakeClock } from "@rivulet/rivulet/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const clock = new FakeClock();
 * const events = streamEvents("https://example.com/", {
 *   reconnect: false,
 *   fetch: () => new Promise(() => {}),
 *   connectTimeout: 10_000,
 *   clock,
 * });
 * const failed = assertRejects(() => events.next(), ConnectTimeoutError);
 * await clock.advance(10_000);
 * assertEquals((await failed).timeout, 10_000);
 * ```
 */
export class ConnectTimeoutError extends EventStreamError {
  /** The error's code, for programs. */
  readonly code = "connect_timeout";
  /** The limit that was reached, in milliseconds. */
  readonly timeout: number;

  /**
   * Makes an error.
   *
   * @param url The URL, fit to be shown.
   * @param timeout The limit that was reached, in milliseconds.
   */
  constructor(url: string, timeout: number) {
    super(
      `Cannot stream events from ${url} as the answer's headers must come within ${timeout} ms ('connectTimeout'): got none`,
      url,
    );
    this.name = "ConnectTimeoutError";
    this.timeout = timeout;
  }
}

/** The facts of an {@linkcode IdleTimeoutError}. */
export interface IdleTimeout {
  /**
   * The clock that ran out: `"bytes"` is `idleTimeout`, `"events"` is
   * `eventTimeout`, `"heartbeat"` is the rhythm that was learned.
   */
  readonly clock: "bytes" | "events" | "heartbeat";
  /** The limit that was reached, in milliseconds. */
  readonly timeout: number;
  /**
   * The last thing that came: nothing after the headers; or bytes that made no
   * event, such as a comment; or an event.
   */
  readonly lastSeen: "nothing" | "bytes" | "event";
}

/**
 * The stream was open, and silent for longer than `idleTimeout` or
 * `eventTimeout` allows.
 *
 * `clock` distinguishes the two: a peer that is gone sends no bytes; a peer
 * that sends comments but no event is alive, and stuck.
 *
 * @example A server that has gone silent
 * ```ts
 * import { IdleTimeoutError, streamEvents } from "@rivulet/rivulet/fetch";
 * import { FakeClock } from "@rivulet/rivulet/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const clock = new FakeClock();
 * const events = streamEvents("https://example.com/", {
 *   reconnect: false,
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response(new ReadableStream(), {
 *         headers: { "Content-Type": "text/event-stream" },
 *       }),
 *     ),
 *   idleTimeout: 60_000,
 *   clock,
 * });
 * const failed = assertRejects(() => events.next(), IdleTimeoutError);
 * await clock.advance(60_000);
 * const error = await failed;
 * assertEquals(error.clock, "bytes");
 * assertEquals(error.timeout, 60_000);
 * assertEquals(error.lastSeen, "nothing");
 * ```
 */
export class IdleTimeoutError extends EventStreamError implements IdleTimeout {
  /** The error's code, for programs. */
  readonly code = "idle_timeout";
  /**
   * The clock that ran out: `"bytes"` is `idleTimeout`, `"events"` is
   * `eventTimeout`, `"heartbeat"` is the rhythm that was learned.
   */
  readonly clock: "bytes" | "events" | "heartbeat";
  /** The limit that was reached, in milliseconds. */
  readonly timeout: number;
  /**
   * The last thing that came: nothing after the headers; or bytes that made no
   * event, such as a comment; or an event.
   */
  readonly lastSeen: "nothing" | "bytes" | "event";

  /**
   * Makes an error.
   *
   * @param url The URL, fit to be shown.
   * @param facts The facts.
   */
  constructor(url: string, facts: IdleTimeout) {
    const [what, option] = {
      bytes: ["a byte", "idleTimeout"],
      events: ["an event", "eventTimeout"],
      heartbeat: ["a comment or an event", "heartbeat"],
    }[facts.clock];
    super(
      `Cannot go on streaming events from ${url} as ${what} must come every ${facts.timeout} ms ('${option}'): last seen was ${
        facts.lastSeen === "event" ? "an event" : facts.lastSeen
      }`,
      url,
    );
    this.name = "IdleTimeoutError";
    this.clock = facts.clock;
    this.timeout = facts.timeout;
    this.lastSeen = facts.lastSeen;
  }
}

/**
 * A stream cannot reconnect, because the body of its request was a stream,
 * which can be read only once.
 *
 * @example Give the body as a function instead
 * ```ts
 * import { OneShotBodyError, streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const events = streamEvents("https://example.com/", {
 *   method: "POST",
 *   body: new Blob(["question"]).stream(),
 *   reconnect: { minTimeout: 0 },
 *   fetch: () => Promise.reject(new TypeError("no network")),
 * });
 * const error = await assertRejects(() => events.next(), OneShotBodyError);
 * assertEquals(error.code, "one_shot_body");
 * ```
 */
export class OneShotBodyError extends EventStreamError {
  /** The error's code, for programs. */
  readonly code = "one_shot_body";

  /**
   * Makes an error.
   *
   * @param url The URL, fit to be shown.
   * @param cause The reason why the stream has to reconnect.
   */
  constructor(url: string, cause: unknown) {
    super(
      `Cannot connect again to ${url} as its body is a stream, which was sent: give the body as a function that makes it anew, or turn 'reconnect' off`,
      url,
      { cause },
    );
    this.name = "OneShotBodyError";
  }
}
