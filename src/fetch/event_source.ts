// This module is browser compatible.
import type { ServerSentEvent } from "../sse/event.ts";
import type { EventReader } from "../sse/event_reader.ts";
import { readEvents } from "../sse/read_events.ts";
import { HttpStatusError } from "./errors.ts";
import type { EventStream } from "./event_stream.ts";
import type {
  ReconnectContext,
  ReconnectDecision,
  ReconnectPolicy,
} from "./reconnect.ts";
import {
  type CompleteRetryPolicy,
  completeRetryPolicy,
  retryDelay,
} from "./retry.ts";
import { streamEvents } from "./stream_events.ts";
import type { StreamEventsOptions } from "./stream_options.ts";

/** The options of a {@linkcode FetchEventSource}. */
export interface FetchEventSourceInit extends
  Pick<
    StreamEventsOptions,
    | "method"
    | "headers"
    | "body"
    | "sendBody"
    | "contentType"
    | "signal"
    | "fetch"
    | "lastEventId"
    | "connectTimeout"
    | "idleTimeout"
    | "eventTimeout"
    | "heartbeat"
    | "heartbeatFloor"
    | "maxEventSize"
    | "onComment"
    | "onDiagnostic"
    | "clock"
  > {
  /**
   * Whether cookies go to other origins too.
   *
   * @default {false}
   */
  withCredentials?: boolean | undefined;
  /**
   * The policy for reconnection; `false` for none. By default, a GET without a
   * body is repeated when the connection breaks or the server ends it. An
   * answer that is not an event stream ends the source, as the standard has it,
   * unless `decide` says otherwise. Without `minTimeout`, the server may ask for
   * a wait of less than a second (`retry:`).
   *
   * @default {undefined}
   */
  reconnect?: false | ReconnectPolicy | undefined;
}

/**
 * The `error` event of a {@linkcode FetchEventSource} whose connection failed
 * or ended. An event of type `error` that the server sends is a `MessageEvent`
 * instead.
 *
 * @example Tell it from an event that the server calls "error"
 * ```ts
 * import { ConnectionErrorEvent } from "@rivulet/rivulet/fetch";
 *
 * function onerror(event: Event): string {
 *   return event instanceof ConnectionErrorEvent
 *     ? `connection: ${event.error}`
 *     : `server: ${(event as MessageEvent).data}`;
 * }
 * onerror(new ConnectionErrorEvent(undefined));
 * ```
 */
export class ConnectionErrorEvent extends Event {
  /** The cause; `undefined` if the server has ended the connection. */
  readonly error: unknown;

  /**
   * Makes an `error` event.
   *
   * @param error The error.
   */
  constructor(error: unknown) {
    super("error");
    this.error = error;
  }
}

/** The URL of a source that was made from a stream (whatwg/html#12272). */
const STREAM_URL = "about:event-stream";

/** The URLs that are worth asking for; the standard fails all others at once. */
const FETCHABLE = /^(?:https?|data|blob):/;

/** Says that there is nothing to be fetched. */
const FROM_STREAM: FetchEventSourceInit = {};

/** The value of the getter before a server has said anything, in milliseconds. */
const DEFAULT_RECONNECTION_TIME = 1_000;

/**
 * `EventSource` as the standard has it, on top of {@linkcode streamEvents}: with
 * a method, headers, a body, a signal, a policy for reconnection, and errors
 * that say what went wrong.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#the-eventsource-interface | HTML Standard, section 9.2.2}
 *
 * @example Instead of EventSource
 * ```ts
 * import { FetchEventSource } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 *
 * const source = new FetchEventSource("https://example.com/events", {
 *   headers: { Authorization: "Bearer secret" },
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("id: 7\ndata: hello\n\n", {
 *         headers: { "Content-Type": "text/event-stream" },
 *       }),
 *     ),
 * });
 * const data = await new Promise((resolve) => {
 *   source.onmessage = (event) => resolve(event.data);
 * });
 * source.close();
 * assertEquals(data, "hello");
 * assertEquals(source.lastEventId, "7");
 * ```
 */
export class FetchEventSource extends EventTarget {
  /** The source is connecting, for the first time or again. */
  static readonly CONNECTING = 0;
  /** The connection is open. */
  static readonly OPEN = 1;
  /** There is no connection, and there will be none. */
  static readonly CLOSED = 2;
  /** The source is connecting, for the first time or again. */
  readonly CONNECTING = 0;
  /** The connection is open. */
  readonly OPEN = 1;
  /** There is no connection, and there will be none. */
  readonly CLOSED = 2;

  readonly #url: string;
  readonly #withCredentials: boolean;
  #readyState: 0 | 1 | 2 = 0;
  #stream: EventStream | undefined;
  #reader: EventReader | undefined;
  #origin = "null";
  /** The id of the event that is being dispatched; those after it have come too. */
  #dispatchedId: string | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.close();
  readonly #handlers = new Map<string, (event: Event) => unknown>();

  /**
   * Makes a source, and connects.
   *
   * @param url The URL; relative to the page, if there is one.
   * @param init The other options.
   * @throws {DOMException} A `SyntaxError` if the URL is none.
   * @throws {TypeError} If `fetch` would not take the request.
   * @throws {RangeError} If a number is out of its range.
   */
  constructor(url: string | URL, init: FetchEventSourceInit = {}) {
    super();
    const { withCredentials = false, signal } = init;
    this.#withCredentials = withCredentials;
    this.#signal = signal;
    if (init === FROM_STREAM) {
      this.#url = STREAM_URL;
      return;
    }
    this.#url = resolve(url);
    if (signal?.aborted) {
      this.#readyState = 2;
      return;
    }
    if (!FETCHABLE.test(this.#url)) {
      // Not left to `fetch`: Bun's asks the network for a host named "mailto".
      queueMicrotask(() =>
        this.#fail(
          new TypeError(
            `Cannot stream events from a URL whose scheme is not http or https: ${
              this.#url.split(":", 1)[0]
            }`,
          ),
        )
      );
      return;
    }
    this.#stream = streamEvents(this.#url, {
      ...init,
      reconnect: policyOf(init, () => this.#stream?.reconnectionTime),
      ...(withCredentials && { credentials: "include" }),
      signal: undefined,
      onOpen: ({ url }) => {
        this.#origin = url === "" ? originOf(this.#url) : originOf(url);
        this.#opened();
      },
      onRetry: ({ reason }) => {
        this.#readyState = 0;
        const error = reason.kind === "error" ? reason.error : undefined;
        this.dispatchEvent(new ConnectionErrorEvent(error));
      },
    });
    signal?.addEventListener("abort", this.#onAbort);
    void this.#run(this.#stream);
  }

  /**
   * Makes a source of a stream of bytes, wherever they come from. It ends with
   * the stream, and does not reconnect; its `url` is `about:event-stream`.
   *
   * @see {@link https://github.com/whatwg/html/pull/12272 | whatwg/html#12272}
   *
   * @param stream The bytes of an event stream.
   * @returns The source, which has locked the stream.
   * @throws {TypeError} If the stream is locked.
   *
   * @example From a response
   * ```ts
   * import { FetchEventSource } from "@rivulet/rivulet/fetch";
   * import { assertEquals } from "@std/assert";
   *
   * const { body } = new Response("data: hello\n\n");
   * const source = FetchEventSource.fromReadableStream(body!);
   * const data = await new Promise((resolve) => {
   *   source.onmessage = (event) => resolve(event.data);
   * });
   * assertEquals(data, "hello");
   * ```
   */
  static fromReadableStream(
    stream: ReadableStream<Uint8Array>,
  ): FetchEventSource {
    const source = new FetchEventSource(STREAM_URL, FROM_STREAM);
    const reader = readEvents(stream);
    source.#reader = reader;
    // Whoever made the source has still to say what listens to it.
    queueMicrotask(() => source.#opened());
    void source.#run(reader);
    return source;
  }

  /** One of `CONNECTING`, `OPEN` and `CLOSED`. */
  get readyState(): 0 | 1 | 2 {
    return this.#readyState;
  }

  /** The URL that was asked for. */
  get url(): string {
    return this.#url;
  }

  /** Whether cookies go to other origins too. */
  get withCredentials(): boolean {
    return this.#withCredentials;
  }

  /** The last event id; `""` for none. */
  get lastEventId(): string {
    return this.#dispatchedId ??
      (this.#stream ?? this.#reader)?.lastEventId ?? "";
  }

  /** The wait before a reconnection that the server has asked for, in milliseconds. */
  get reconnectionTime(): number {
    return (this.#stream ?? this.#reader)?.reconnectionTime ??
      DEFAULT_RECONNECTION_TIME;
  }

  /** Called for every `open` event. */
  get onopen(): ((event: Event) => unknown) | null {
    return this.#handlers.get("open") ?? null;
  }

  set onopen(handler: ((event: Event) => unknown) | null) {
    this.#handle("open", handler);
  }

  /** Called for every `message` event. */
  get onmessage(): ((event: MessageEvent<string>) => unknown) | null {
    return this.#handlers.get("message") ?? null;
  }

  set onmessage(handler: ((event: MessageEvent<string>) => unknown) | null) {
    this.#handle("message", handler);
  }

  /**
   * Called for every `error` event: a {@linkcode ConnectionErrorEvent}, or a
   * `MessageEvent` that the server calls so.
   */
  get onerror():
    | ((event: ConnectionErrorEvent | MessageEvent<string>) => unknown)
    | null {
    return this.#handlers.get("error") ?? null;
  }

  set onerror(
    handler:
      | ((event: ConnectionErrorEvent | MessageEvent<string>) => unknown)
      | null,
  ) {
    this.#handle("error", handler);
  }

  /** Ends the source, without an event. */
  close(): void {
    this.#readyState = 2;
    this.#signal?.removeEventListener("abort", this.#onAbort);
    void this.#stream?.cancel();
    void this.#reader?.return();
  }

  /**
   * Drops the event that is unfinished, so that another stream of events can be
   * piped into the one that this source was made from. A source with a URL
   * begins each connection anew by itself.
   */
  reset(): void {
    this.#reader?.reset();
  }

  /**
   * Listens to a type of event.
   *
   * @param type `open`, `error`, `message`, or what a server may call an event.
   * @param listener The function to call.
   * @param options As for any `EventTarget`.
   */
  override addEventListener(
    type: "open",
    listener: ((event: Event) => unknown) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** Listens to errors. */
  override addEventListener(
    type: "error",
    listener:
      | ((event: ConnectionErrorEvent | MessageEvent<string>) => unknown)
      | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** Listens to what the server sends. */
  override addEventListener(
    type: string,
    listener: ((event: MessageEvent<string>) => unknown) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** Listens with an object. */
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener:
      | EventListenerOrEventListenerObject
      | ((event: MessageEvent<string>) => unknown)
      | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    // Events of a type have the class that its overload says.
    super.addEventListener(
      type,
      listener as EventListenerOrEventListenerObject | null,
      options,
    );
  }

  #opened(): void {
    if (this.#readyState === 2) return;
    this.#readyState = 1;
    this.dispatchEvent(new Event("open"));
  }

  async #run(
    events: EventStream | EventReader,
  ): Promise<void> {
    let error: unknown;
    try {
      for (;;) {
        const batch = await events.nextBatch();
        if (!batch) break;
        for (const event of batch) {
          if (this.#readyState === 2) return;
          this.#dispatch(event);
        }
        this.#dispatchedId = undefined;
      }
    } catch (thrown) {
      error = thrown;
    }
    this.#fail(error);
  }

  #fail(error: unknown): void {
    if (this.#readyState === 2) return;
    this.close();
    this.dispatchEvent(new ConnectionErrorEvent(error));
  }

  #dispatch({ event, data, id }: ServerSentEvent): void {
    this.#dispatchedId = id;
    this.dispatchEvent(
      new MessageEvent(event, {
        data,
        lastEventId: id,
        origin: this.#origin,
      }),
    );
  }

  /** An `on` attribute is a listener, in the place where it was first set. */
  #handle<E extends Event>(
    type: string,
    handler: ((event: E) => unknown) | null,
  ): void {
    const wasSet = this.#handlers.has(type);
    if (typeof handler !== "function") {
      this.#handlers.delete(type);
      if (wasSet) super.removeEventListener(type, this.#onEvent);
      return;
    }
    // Events of a type have the class that its attribute says.
    this.#handlers.set(type, handler as (event: Event) => unknown);
    if (!wasSet) super.addEventListener(type, this.#onEvent);
  }

  readonly #onEvent = (event: Event): void => {
    this.#handlers.get(event.type)?.call(this, event);
  };
}

function resolve(url: string | URL): string {
  const { location } = globalThis as { location?: { href: string } };
  try {
    return new URL(url, location?.href).href;
  } catch (cause) {
    throw new DOMException(
      `Cannot make an event source as its URL is none: ${cause}`,
      "SyntaxError",
    );
  }
}

function originOf(url: string): string {
  return new URL(url).origin;
}

function policyOf(
  { reconnect, method = "GET", body }: FetchEventSourceInit,
  asked: () => number | undefined,
): ReconnectPolicy | false {
  const isRepeatable = method.toUpperCase() === "GET" && !body;
  if (reconnect === false || (!reconnect && !isRepeatable)) return false;
  const decide = reconnect?.decide;
  // The default is for servers that ask for no wait.
  const policy = reconnect?.minTimeout === undefined
    ? completeRetryPolicy({ ...reconnect, minTimeout: 0 }, "reconnect")
    : undefined;
  return {
    ...reconnect,
    decide: (context) =>
      decide?.(context) ?? decideByStandard(context) ??
        comeBackSooner(context, asked(), policy),
  };
}

/** Shortens a wait where the server has asked for a shorter one. */
function comeBackSooner(
  { decision, failures }: ReconnectContext,
  asked: number | undefined,
  policy: CompleteRetryPolicy | undefined,
): ReconnectDecision | undefined {
  if (decision.action !== "retry" || asked === undefined || !policy) {
    return undefined;
  }
  const delay = retryDelay(failures, asked, policy);
  return delay < decision.delay ? { action: "retry", delay } : undefined;
}

/** An answer of another status fails the connection for good (section 9.2.3). */
function decideByStandard(
  { reason }: ReconnectContext,
): ReconnectDecision | undefined {
  return reason.kind === "error" && reason.error instanceof HttpStatusError
    ? { action: "fail" }
    : undefined;
}
