// This module is browser compatible.
import type { SseDiagnostic } from "../sse/diagnostic.ts";
import { EventTooLargeError } from "../sse/errors.ts";
import type { EventReader } from "../sse/event_reader.ts";
import type { ServerSentEvent } from "../sse/event.ts";
import { SseParser } from "../sse/parser.ts";
import { readEvents, type ReadEventsOptions } from "../sse/read_events.ts";
import { readBoundedBody } from "./bounded_body.ts";
import { type Clock, systemClock } from "./clock.ts";
import {
  ConnectionError,
  ConnectTimeoutError,
  HttpStatusError,
  IdleTimeoutError,
  NotAnEventStreamError,
} from "./errors.ts";
import { isEventStreamType } from "./media_type.ts";
import { Redactor, redactUrl } from "./redact.ts";
import { prepareRequest } from "./request.ts";
import { Watchdog } from "./watchdog.ts";

/** The most that is read of the body of an answer that is not an event stream. */
const MAX_ERROR_BODY = 64 * 1024;

/** How long reading it may take, in milliseconds. */
const ERROR_BODY_TIMEOUT = 5_000;

/** Options for {@linkcode streamEvents}. */
export interface StreamEventsOptions {
  /**
   * The method of the request.
   *
   * @default {"GET"}
   */
  method?: string | undefined;
  /**
   * The headers of the request, in place of those of a `Request`. An `Accept` or
   * `Cache-Control` among them is sent in place of `text/event-stream` and
   * `no-cache`.
   *
   * @default {undefined}
   */
  headers?: HeadersInit | undefined;
  /**
   * The body of the request, in place of that of a `Request`.
   *
   * Except in browsers it is sent as a stream, so chunked, whatever it is. A
   * runtime can send a stream only once, while it may send other bodies again
   * when a connection breaks. For the same reason it doesn't follow a redirect
   * of status 307 or 308: that is a {@linkcode ConnectionError}.
   *
   * @default {undefined}
   */
  body?: BodyInit | null | undefined;
  /**
   * Ends the stream: whatever is waiting for it, or else the next call, throws
   * the signal's reason. The signal of a `Request` does the same.
   *
   * @default {undefined}
   */
  signal?: AbortSignal | undefined;
  /**
   * The id of the last event that was seen of this stream, to go on after it. It
   * is sent as `Last-Event-ID`, unless it is empty or has control characters,
   * and is in force until the stream gives another.
   *
   * @default {""}
   */
  lastEventId?: string | undefined;
  /**
   * How long the answer's headers may take to come, in milliseconds; 0 or
   * `Infinity` for no limit. Servers of language models may think for long
   * before they answer: give those more.
   *
   * @default {30_000}
   */
  connectTimeout?: number | undefined;
  /**
   * How long the stream may be silent, in milliseconds; 0 or `Infinity` for no
   * limit. Any byte counts, so a server's comments keep the stream alive. Only
   * the time counts in which an event is waited for.
   *
   * @default {Infinity}
   */
  idleTimeout?: number | undefined;
  /**
   * How long the stream may be without an event, in milliseconds; 0 or
   * `Infinity` for no limit. Comments do not count. Only the time counts in
   * which an event is waited for.
   *
   * @default {Infinity}
   */
  eventTimeout?: number | undefined;
  /**
   * What `fetch` is to do about redirects.
   *
   * @default {"follow"}
   */
  redirect?: RequestRedirect | undefined;
  /**
   * Whether `fetch` is to send cookies.
   *
   * @default {"same-origin"}
   */
  credentials?: RequestCredentials | undefined;
  /**
   * The most that one event may accumulate, in UTF-16 code units, as
   * `readEvents` has it.
   *
   * @default {67_108_864}
   */
  maxEventSize?: number | undefined;
  /**
   * What to do at an event over `maxEventSize`: throw an `EventTooLargeError`,
   * or pass over it and go on.
   *
   * @default {"throw"}
   */
  onTooLarge?: "throw" | "skip" | undefined;
  /**
   * Called for every comment.
   *
   * @default {undefined}
   */
  onComment?: ((comment: string) => void) | undefined;
  /**
   * Called for every reconnection time that the stream asks for, in
   * milliseconds.
   *
   * @default {undefined}
   */
  onRetryTime?: ((reconnectionTime: number) => void) | undefined;
  /**
   * Called for what the standard tells a parser to pass over in silence.
   *
   * @default {undefined}
   */
  onDiagnostic?: ((diagnostic: SseDiagnostic) => void) | undefined;
  /**
   * What makes the request.
   *
   * @default {globalThis.fetch}
   */
  fetch?:
    | ((
      input: string | URL | Request,
      init?: RequestInit,
    ) => Promise<Response>)
    | undefined;
  /**
   * Whose milliseconds the timeouts are in.
   *
   * @default {systemClock}
   */
  clock?: Clock | undefined;
}

/** The answer that an {@linkcode EventStream} is the body of. */
export interface StreamResponse {
  /** The status code, which is 200. */
  readonly status: number;
  /** The headers. */
  readonly headers: Headers;
  /** The URL that answered, after redirects; whole, so it may hold a key. */
  readonly url: string;
}

/**
 * The events that answer one request, as {@linkcode streamEvents} returns them.
 *
 * The stream is pulled, by one consumer: it connects when it is first asked for
 * something, and reads on only when every event that has come was taken, so a
 * consumer that is slow slows the server down. Leaving a `for await` loop,
 * {@linkcode EventStream.cancel} and `await using` close the connection.
 *
 * It ends once. At the end of the body, or when it is cancelled, every further
 * call is answered with `done`; after an error, every further call throws that
 * same error, so that no failure can pass for an end.
 *
 * @example Look at the answer first
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 *
 * await using events = streamEvents("https://example.com/events", {
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("id: 1\ndata: a\n\ndata: b\n\n", {
 *         headers: { "Content-Type": "text/event-stream", "X-Request-Id": "r1" },
 *       }),
 *     ),
 * });
 * assertEquals(events.state, "idle");
 * const { headers } = await events.open();
 * assertEquals(events.state, "open");
 * assertEquals(headers.get("X-Request-Id"), "r1");
 *
 * assertEquals((await events.next()).value?.data, "a");
 * assertEquals(events.lastEventId, "1");
 * assertEquals((await events.nextBatch())?.length, 1);
 * assertEquals(await events.nextBatch(), undefined);
 * assertEquals(events.state, "closed");
 * ```
 */
export interface EventStream
  extends AsyncIterableIterator<ServerSentEvent, undefined, undefined> {
  /**
   * How far the stream is: `"idle"` until it is asked for something,
   * `"connecting"` until an event stream was accepted, `"closed"` once it has
   * ended, whyever.
   */
  readonly state: "idle" | "connecting" | "open" | "closed";
  /**
   * The last event id as of the events that were taken: what a request that
   * goes on from there sends as `Last-Event-ID`, `""` for none.
   */
  readonly lastEventId: string;
  /**
   * The reconnection time that the stream has asked for last, in milliseconds
   * from 0 to 2^31-1; `undefined` if it never has.
   */
  readonly reconnectionTime: number | undefined;
  /**
   * Connects, if that has not been done.
   *
   * @returns The answer, once it turned out to be an event stream.
   * @throws {EventStreamError} If there was no answer, or another.
   * @throws {unknown} The reason of the signal, or of `cancel`, if it came first.
   */
  open(): Promise<StreamResponse>;
  /**
   * Takes the next event, connecting first if need be.
   *
   * @returns The event, or `done` at the end.
   * @throws {EventStreamError} If there was no answer, or another, or the
   * stream broke off or fell silent.
   * @throws {EventTooLargeError} If an event is over `maxEventSize`.
   * @throws {unknown} The signal's reason, or what a callback threw.
   */
  next(): Promise<IteratorResult<ServerSentEvent, undefined>>;
  /**
   * Takes every event that has come, waiting until there is at least one.
   *
   * For whoever handles many events at once, this saves a promise for each. It
   * throws what {@linkcode EventStream.next} does.
   *
   * @returns One event or more, or `undefined` at the end.
   */
  nextBatch(): Promise<ServerSentEvent[] | undefined>;
  /**
   * Ends the stream, and closes the connection. Calls that are waiting for an
   * event are answered with `done`; a call to {@linkcode EventStream.open} that
   * is waiting throws the reason. Does nothing once the stream has ended.
   *
   * @param reason Why. Default: an `AbortError`.
   * @returns Resolves when nothing of the stream is left.
   */
  cancel(reason?: unknown): Promise<void>;
  /**
   * Ends the stream, as {@linkcode EventStream.cancel} does.
   *
   * @returns `done`.
   */
  return(): Promise<IteratorReturnResult<undefined>>;
  /** Ends the stream, as {@linkcode EventStream.cancel} does. */
  [Symbol.asyncDispose](): Promise<void>;
  /**
   * For `for await`.
   *
   * @returns This stream.
   */
  [Symbol.asyncIterator](): EventStream;
}

/**
 * Requests an event stream: one request, without reconnection.
 *
 * Nothing is sent before the first call to `next`, `nextBatch` or `open`. The
 * answer is an event stream if its status is 200 and its type
 * `text/event-stream`; any other is an error that shows what it was.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#the-eventsource-interface | HTML Standard, section 9.2.2}
 *
 * @param input The URL to ask, or a request for it.
 * @param options The rest of the request, limits, callbacks.
 * @returns The events, to be iterated.
 * @throws {TypeError} If the URL, the method, a header or `onTooLarge` is
 * invalid, or a body is given with the method GET.
 * @throws {RangeError} If a timeout is negative or no number, or `maxEventSize`
 * is not a positive integer.
 *
 * @example Iterate over events
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, () =>
 *   new Response("data: hello\n\nevent: bye\ndata: 1\n\n", {
 *     headers: { "Content-Type": "text/event-stream" },
 *   }));
 *
 * const events = [];
 * for await (
 *   const event of streamEvents(`http://localhost:${server.addr.port}/`)
 * ) {
 *   events.push(event);
 * }
 * assertEquals(events, [
 *   { event: "message", data: "hello", id: "" },
 *   { event: "bye", data: "1", id: "" },
 * ]);
 * ```
 *
 * @example Post a question, and give up when nothing comes for a minute
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 *
 * const events = streamEvents("https://example.com/ask", {
 *   method: "POST",
 *   headers: { "Content-Type": "application/json" },
 *   body: JSON.stringify({ question: "Why is the sky blue?" }),
 *   idleTimeout: 60_000,
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("data: Rayleigh\n\n", {
 *         headers: { "Content-Type": "text/event-stream" },
 *       }),
 *     ),
 * });
 * assertEquals((await events.next()).value?.data, "Rayleigh");
 * assertEquals((await events.next()).done, true);
 * ```
 */
export function streamEvents(
  input: string | URL | Request,
  options: StreamEventsOptions = {},
): EventStream {
  return new FetchEventStream(input, options);
}

/** How a stream has ended: well, or with an error. */
type End = { readonly ok: true } | {
  readonly ok: false;
  readonly error: unknown;
};

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

class FetchEventStream implements EventStream {
  readonly #input: string | URL | Request;
  readonly #init: RequestInit;
  readonly #fetch: StreamEventsOptions["fetch"];
  readonly #clock: Clock;
  readonly #redactor: Redactor;
  readonly #readOptions: ReadEventsOptions;
  readonly #signals: AbortSignal[] = [];
  readonly #onAbort = (): void =>
    this.#fail(this.#signals.find((signal) => signal.aborted)?.reason);

  /** Aborted with what has ended the stream, unless that was its own end. */
  readonly #controller = new AbortController();
  readonly #connectWatch: Watchdog;
  readonly #byteWatch: Watchdog;
  readonly #eventWatch: Watchdog;

  /** Who answers. Holds secrets: errors get it redacted. */
  #url: string;
  #state: EventStream["state"] = "idle";
  #end: End | undefined;
  #opening: Promise<StreamResponse> | undefined;
  #reader: EventReader | undefined;
  #lastEventId: string;
  #lastSeen: IdleTimeoutError["lastSeen"] = "nothing";
  /** How many calls wait for an event. */
  #waiting = 0;
  /** What a callback has thrown. */
  #thrown: { readonly error: unknown } | undefined;

  constructor(input: string | URL | Request, options: StreamEventsOptions) {
    const { clock = systemClock, lastEventId = "", signal } = options;
    const { maxEventSize, onTooLarge } = options;
    const connectTimeout = checkTimeout(options, "connectTimeout", 30_000);
    const idleTimeout = checkTimeout(options, "idleTimeout", Infinity);
    const eventTimeout = checkTimeout(options, "eventTimeout", Infinity);
    // Refuses invalid limits now, rather than when there is an answer.
    new SseParser({ onEvent() {}, maxEventSize, onTooLarge });
    const { url, headers, init } = prepareRequest(input, options);

    this.#input = input;
    this.#init = { ...init, signal: this.#controller.signal };
    this.#fetch = options.fetch;
    this.#clock = clock;
    this.#redactor = new Redactor(url, headers);
    this.#url = url;
    this.#lastEventId = lastEventId;
    if (signal) this.#signals.push(signal);
    if (input instanceof Request) this.#signals.push(input.signal);
    this.#readOptions = {
      lastEventId,
      maxEventSize,
      onTooLarge,
      onComment: this.#remembering(options.onComment),
      onRetry: this.#remembering(options.onRetryTime),
      onDiagnostic: this.#remembering(options.onDiagnostic),
      onChunk: (bytes) => {
        if (bytes === 0) return;
        this.#lastSeen = "bytes";
        this.#byteWatch.touch();
      },
      signal: this.#controller.signal,
    };
    this.#connectWatch = new Watchdog(connectTimeout, () => {
      this.#fail(new ConnectTimeoutError(redactUrl(this.#url), connectTimeout));
    }, clock);
    this.#byteWatch = new Watchdog(idleTimeout, () => {
      this.#failIdle("bytes", idleTimeout);
    }, clock);
    this.#eventWatch = new Watchdog(eventTimeout, () => {
      this.#failIdle("events", eventTimeout);
    }, clock);
  }

  get state(): EventStream["state"] {
    return this.#state;
  }

  get lastEventId(): string {
    // A reader that is stopped drops what has come, and counts it as taken.
    if (this.#end || !this.#reader) return this.#lastEventId;
    return this.#reader.lastEventId;
  }

  get reconnectionTime(): number | undefined {
    return this.#reader?.reconnectionTime;
  }

  open(): Promise<StreamResponse> {
    return this.#opening ??= this.#open();
  }

  async next(): Promise<IteratorResult<ServerSentEvent, undefined>> {
    const take = (reader: EventReader) => reader.next();
    return await this.#take(take, ({ done }) => done === true) ?? DONE;
  }

  nextBatch(): Promise<ServerSentEvent[] | undefined> {
    const take = (reader: EventReader) => reader.nextBatch();
    return this.#take(take, (events) => events === undefined);
  }

  async cancel(reason?: unknown): Promise<void> {
    this.#finish({ ok: true }, {
      reason: reason ??
        new DOMException("The event stream was cancelled", "AbortError"),
    });
    await this.#opening?.catch(() => {});
    await this.#reader?.return();
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.cancel();
    return DONE;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cancel();
  }

  [Symbol.asyncIterator](): EventStream {
    return this;
  }

  /** Takes something from the reader while the clocks run; nothing at the end. */
  async #take<T>(
    take: (reader: EventReader) => Promise<T>,
    isEnd: (result: T) => boolean,
  ): Promise<T | undefined> {
    // What it rejects with has ended the stream, and is dealt with below.
    if (!this.#end && !this.#reader) await this.open().catch(() => {});
    if (this.#end || !this.#reader) return this.#ended();
    if (this.#waiting++ === 0) this.#startClocks();
    try {
      const result = await take(this.#reader);
      if (!isEnd(result)) {
        this.#lastSeen = "event";
        return result;
      }
      this.#finish({ ok: true });
    } catch (error) {
      this.#fail(this.#explain(error));
    } finally {
      // A call that is still waiting waits for another event than this one.
      if (--this.#waiting === 0) this.#stopClocks();
      else this.#startClocks();
    }
    return this.#ended();
  }

  /** Connects, and finds out whether the answer is an event stream. */
  async #open(): Promise<StreamResponse> {
    const { signal } = this.#controller;
    if (this.#signals.some((signal) => signal.aborted)) this.#onAbort();
    signal.throwIfAborted();
    this.#state = "connecting";
    for (const signal of this.#signals) {
      signal.addEventListener("abort", this.#onAbort);
    }
    this.#connectWatch.start();
    let response: Response;
    try {
      // Called as a function: browsers' fetch refuses to be another's method.
      const fetch = this.#fetch ?? globalThis.fetch;
      response = await settledBefore(signal, fetch(this.#input, this.#init));
    } catch (error) {
      signal.throwIfAborted();
      const cause = this.#redactor.thrown(error);
      const url = redactUrl(this.#url);
      throw this.#fail(new ConnectionError(url, "connect", cause));
    }
    if (signal.aborted) {
      // By someone who was quicker to hear of the answer.
      response.body?.cancel().catch(() => {});
      signal.throwIfAborted();
    }
    this.#connectWatch.close();
    const { status, headers } = response;
    const url = this.#url = response.url || this.#url;
    if (status !== 200) await this.#refuse(response, HttpStatusError);
    if (!isEventStreamType(headers.get("content-type"))) {
      await this.#refuse(response, NotAnEventStreamError);
    }
    try {
      const body = response.body ?? new Blob([]).stream();
      this.#reader = readEvents(body, this.#readOptions);
    } catch (error) {
      throw this.#fail(error);
    }
    this.#state = "open";
    return { status, headers, url };
  }

  /** Fails with the answer that is no event stream. */
  async #refuse(
    response: Response,
    Refusal: typeof HttpStatusError | typeof NotAnEventStreamError,
  ): Promise<never> {
    const { signal } = this.#controller;
    const { text, truncated } = await readBoundedBody(response.body, {
      maxBytes: MAX_ERROR_BODY,
      timeout: ERROR_BODY_TIMEOUT,
      clock: this.#clock,
      signal,
    });
    signal.throwIfAborted();
    throw this.#fail(
      new Refusal({
        url: redactUrl(this.#url),
        status: response.status,
        statusText: this.#redactor.text(response.statusText),
        headers: this.#redactor.headers(response.headers),
        body: this.#redactor.text(text),
        truncated,
      }),
    );
  }

  /** What the reader threw, as the consumer is to see it. */
  #explain(error: unknown): unknown {
    if (this.#thrown?.error === error) return error;
    if (error instanceof EventTooLargeError) return error;
    const cause = this.#redactor.thrown(error);
    return new ConnectionError(redactUrl(this.#url), "body", cause);
  }

  /** Ends the stream with an error, unless it has ended. Returns the error. */
  #fail<T>(error: T): T {
    this.#finish({ ok: false, error }, { reason: error });
    return error;
  }

  #failIdle(clock: IdleTimeoutError["clock"], timeout: number): void {
    const lastSeen = this.#lastSeen;
    const url = redactUrl(this.#url);
    this.#fail(new IdleTimeoutError(url, { clock, timeout, lastSeen }));
  }

  /** Ends the stream, unless it has ended; nothing of it stays behind. */
  #finish(end: End, abort?: { readonly reason: unknown }): void {
    if (this.#end) return;
    this.#lastEventId = this.lastEventId;
    this.#end = end;
    this.#state = "closed";
    this.#connectWatch.close();
    this.#byteWatch.close();
    this.#eventWatch.close();
    for (const signal of this.#signals) {
      signal.removeEventListener("abort", this.#onAbort);
    }
    if (abort) this.#controller.abort(abort.reason);
  }

  /** Answers a call when the stream has ended. */
  #ended(): undefined {
    if (this.#end && !this.#end.ok) throw this.#end.error;
  }

  #startClocks(): void {
    // Not after the end: a timer would stay behind.
    if (this.#end) return;
    this.#byteWatch.start();
    this.#eventWatch.start();
  }

  #stopClocks(): void {
    this.#byteWatch.stop();
    this.#eventWatch.stop();
  }

  /** Remembers what a callback throws, to tell it from what the network does. */
  #remembering<T>(
    callback: ((value: T) => void) | undefined,
  ): ((value: T) => void) | undefined {
    return callback && ((value) => {
      try {
        callback(value);
      } catch (error) {
        this.#thrown = { error };
        throw error;
      }
    });
  }
}

function checkTimeout(
  options: StreamEventsOptions,
  name: "connectTimeout" | "idleTimeout" | "eventTimeout",
  byDefault: number,
): number {
  const value = options[name] ?? byDefault;
  if (typeof value === "number" && value >= 0) return value;
  throw new RangeError(
    `Cannot stream events as '${name}' must be a number of milliseconds, 0 or more: current value is ${value}`,
  );
}

/**
 * What `fetch` answers, if the signal leaves it the time; a `fetch` that pays no
 * heed to the signal is not waited for, and its answer is closed unread.
 */
function settledBefore(
  signal: AbortSignal,
  answer: Promise<Response>,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason);
      answer.then((response) => response.body?.cancel()).catch(() => {});
    };
    signal.addEventListener("abort", onAbort);
    answer.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", onAbort);
    });
  });
}
