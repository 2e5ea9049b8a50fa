// This module is browser compatible.
import type { SseDiagnostic } from "../sse/diagnostic.ts";
import type { ServerSentEvent } from "../sse/event.ts";
import { SseParser } from "../sse/parser.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Connection, type StreamResponse } from "./connection.ts";
import { OneShotBodyError } from "./errors.ts";
import { AdaptiveTimeout } from "./heartbeat.ts";
import {
  type CompleteReconnectPolicy,
  completeReconnectPolicy,
  decideReconnection,
  type DisconnectReason,
  type ReconnectDecision,
  type ReconnectPolicy,
} from "./reconnect.ts";
import { wait } from "./retry.ts";
import {
  type EventSchemas,
  EventValidationError,
  type InvalidEvent,
  validateEvent,
  type ValidEvent,
} from "./typed_event.ts";

/**
 * What a request is made for.
 *
 * @example The id goes into the URL
 * ```ts
 * import type { RequestContext } from "@rivulet/rivulet/fetch";
 *
 * const url = ({ lastEventId }: RequestContext): string =>
 *   `https://example.com/events?after=${encodeURIComponent(lastEventId)}`;
 * url({ attempt: 1, lastEventId: "7" });
 * ```
 */
export interface RequestContext {
  /** 1 for a first request, and one more for each that follows a failure. */
  readonly attempt: number;
  /** The last event id; `""` for none. */
  readonly lastEventId: string;
}

/**
 * Something, or a function that makes it anew for every request.
 *
 * @typeParam T What it is.
 *
 * @example A fresh token for every request
 * ```ts
 * import { streamEvents, type Varying } from "@rivulet/rivulet/fetch";
 *
 * const newToken = () => Promise.resolve("secret");
 * const headers: Varying<HeadersInit> = async () => ({
 *   Authorization: `Bearer ${await newToken()}`,
 * });
 * streamEvents("https://example.com/", { headers });
 * ```
 */
export type Varying<T> =
  | T
  | ((context: RequestContext) => T | Promise<T>);

/**
 * What a stream is about to do, and why.
 *
 * @example One line for a log
 * ```ts
 * import type { RetryNotice } from "@rivulet/rivulet/fetch";
 *
 * const line = ({ attempt, delay }: RetryNotice): string =>
 *   `attempt ${attempt} in ${Math.round(delay)} ms`;
 * line({ attempt: 2, delay: 1_000, reason: { kind: "end" } });
 * ```
 */
export interface RetryNotice {
  /** The `attempt` of the request that follows: 2 after a first failure. */
  readonly attempt: number;
  /** In how many milliseconds. */
  readonly delay: number;
  /** Why the connection before is over. */
  readonly reason: DisconnectReason;
}

/**
 * How much has come, over all connections of a stream.
 *
 * @example Events for each request
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 *
 * const { counters } = streamEvents("https://example.com/");
 * assertEquals(counters, { bytes: 0, events: 0, comments: 0, attempts: 0 });
 * ```
 */
export interface StreamCounters {
  /** Bytes of bodies. */
  readonly bytes: number;
  /** Events that were taken. */
  readonly events: number;
  /** Comments. */
  readonly comments: number;
  /** Requests. */
  readonly attempts: number;
}

/** Options for {@linkcode streamEvents}. */
export interface StreamEventsOptions {
  /**
   * When to connect again: a policy, `true` for the default one, `false` for
   * never. Without it, a GET without a body is made again, and anything else is
   * not: to send a POST twice may cost money.
   *
   * @default {undefined}
   */
  reconnect?: boolean | ReconnectPolicy | undefined;
  /**
   * The method of the request.
   *
   * @default {"GET"}
   */
  method?: string | undefined;
  /**
   * The headers of the request, in place of those of a `Request`. An `Accept` or
   * `Cache-Control` among them is sent in place of `text/event-stream` and
   * `no-cache`. A function is asked for every request.
   *
   * @default {undefined}
   */
  headers?: Varying<HeadersInit | undefined>;
  /**
   * The body of the request, in place of that of a `Request`.
   *
   * Except in browsers it is sent as a stream, so chunked, whatever it is. A
   * runtime can send a stream only once, while it may send other bodies again
   * when a connection breaks. For the same reason it doesn't follow a redirect
   * of status 307 or 308: that is a {@linkcode ConnectionError}.
   *
   * A function is asked for every request. A stream is good for one alone:
   * where it would be needed again, that is a {@linkcode OneShotBodyError}.
   *
   * @default {undefined}
   */
  body?: Varying<BodyInit | null | undefined>;
  /**
   * Ends the stream: whatever is waiting for it, or else the next call, throws
   * the signal's reason. So does the signal of a `Request`, unless a function
   * has made it.
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
   * `"adaptive"` learns the rhythm of the stream's comments and events, and
   * gives a connection up that misses three: after three times the longest of
   * the last eight gaps, and not before `heartbeatFloor`.
   *
   * @default {undefined}
   */
  heartbeat?: "adaptive" | undefined;
  /**
   * The shortest silence that `heartbeat` minds, in milliseconds.
   *
   * @default {10_000}
   */
  heartbeatFloor?: number | undefined;
  /**
   * The data that says that the stream is over, such as `[DONE]`: the event is
   * not yielded, and the stream ends well.
   *
   * @default {undefined}
   */
  sentinel?: string | undefined;
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
   * Called when a connection is open, with what has answered.
   *
   * @default {undefined}
   */
  onOpen?: ((response: StreamResponse) => void) | undefined;
  /**
   * Called when a connection that was open is over, with what went wrong;
   * without, if the server has ended it. Not called where the stream is ended
   * from this side.
   *
   * @default {undefined}
   */
  onDisconnect?: ((error?: unknown) => void) | undefined;
  /**
   * Called before the wait that comes before another request.
   *
   * @default {undefined}
   */
  onRetry?: ((notice: RetryNotice) => void) | undefined;
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

/**
 * Options for {@linkcode streamEvents} with a schema for each type of event.
 *
 * @typeParam Schemas The schemas, by type of event.
 */
export interface TypedStreamEventsOptions<Schemas extends EventSchemas>
  extends StreamEventsOptions {
  /**
   * What the data of each type of event is to be, as JSON. Events of other types
   * are passed over, as by an `EventTarget` that nobody asked for them.
   */
  schemas: Schemas;
  /**
   * What to do with an event whose data is not: throw an
   * {@linkcode EventValidationError}, or yield an {@linkcode InvalidEvent}.
   *
   * @default {"throw"}
   */
  onInvalid?: "throw" | "yield" | undefined;
}

/**
 * The events of one stream, as {@linkcode streamEvents} returns them, over as
 * many connections as it takes.
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
 * @typeParam T The events: {@linkcode ServerSentEvent} unless there are schemas.
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
 *   reconnect: false,
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
export interface EventStream<T = ServerSentEvent>
  extends AsyncIterableIterator<T, undefined, undefined> {
  /**
   * How far the stream is: `"idle"` until it is asked for something,
   * `"connecting"` until an event stream was accepted, `"waiting"` before
   * another request, `"closed"` once it has ended, whyever.
   */
  readonly state: "idle" | "connecting" | "open" | "waiting" | "closed";
  /** How much has come; it counts on. */
  readonly counters: StreamCounters;
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
   * Connects, if that has not been done; again and again, as the policy has it.
   *
   * @returns The first answer that turned out to be an event stream.
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
   * @throws {EventValidationError} If the data of an event is not valid.
   * @throws {OneShotBodyError} If the body would have to be sent once more.
   * @throws {unknown} The signal's reason, or what a callback threw.
   */
  next(): Promise<IteratorResult<T, undefined>>;
  /**
   * Takes every event that has come, waiting until there is at least one.
   *
   * For whoever handles many events at once, this saves a promise for each. It
   * throws what {@linkcode EventStream.next} does.
   *
   * @returns One event or more, or `undefined` at the end.
   */
  nextBatch(): Promise<T[] | undefined>;
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
  [Symbol.asyncIterator](): EventStream<T>;
}

/**
 * Requests an event stream whose events are JSON, each type with its schema; an
 * event that is not valid is yielded as what it is.
 *
 * @typeParam Schemas The schemas, by type of event.
 * @param input The URL to ask, or a request for it.
 * @param options The schemas, and everything else.
 * @returns The events, to be iterated: a union by `ok`, and then by type.
 *
 * @example Pass over what is not valid
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 * import { z } from "zod";
 *
 * const events = streamEvents("https://example.com/", {
 *   schemas: { tick: z.number() },
 *   onInvalid: "yield",
 *   reconnect: false,
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("event: tick\ndata: x\n\nevent: tick\ndata: 2\n\n", {
 *         headers: { "Content-Type": "text/event-stream" },
 *       }),
 *     ),
 * });
 * const ticks: number[] = [];
 * for await (const event of events) if (event.ok) ticks.push(event.data);
 * assertEquals(ticks, [2]);
 * ```
 */
export function streamEvents<Schemas extends EventSchemas>(
  input: Varying<string | URL | Request>,
  options: TypedStreamEventsOptions<Schemas> & { onInvalid: "yield" },
): EventStream<ValidEvent<Schemas> | InvalidEvent>;
/**
 * Requests an event stream whose events are JSON, each type with its schema; an
 * event that is not valid ends the stream with an
 * {@linkcode EventValidationError}.
 *
 * @typeParam Schemas The schemas, by type of event.
 * @param input The URL to ask, or a request for it.
 * @param options The schemas, and everything else.
 * @returns The events, to be iterated: a union by type.
 *
 * @example A union by type of event
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 * import { z } from "zod";
 *
 * const events = streamEvents("https://example.com/", {
 *   schemas: {
 *     progress: z.object({ done: z.number() }),
 *     result: z.string(),
 *   },
 *   sentinel: "[DONE]",
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response(
 *         'event: progress\ndata: {"done":0.5}\n\nevent: result\ndata: "ok"\n\ndata: [DONE]\n\n',
 *         { headers: { "Content-Type": "text/event-stream" } },
 *       ),
 *     ),
 * });
 * const seen: string[] = [];
 * for await (const event of events) {
 *   if (event.event === "progress") seen.push(event.data.done.toFixed(2));
 *   else seen.push(event.data);
 * }
 * assertEquals(seen, ["0.50", "ok"]);
 * ```
 */
export function streamEvents<Schemas extends EventSchemas>(
  input: Varying<string | URL | Request>,
  options: TypedStreamEventsOptions<Schemas> & {
    onInvalid?: "throw" | undefined;
  },
): EventStream<ValidEvent<Schemas>>;
/**
 * Requests an event stream whose events are JSON, each type with its schema;
 * what is done with an event that is not valid is known when the program runs.
 *
 * @typeParam Schemas The schemas, by type of event.
 * @param input The URL to ask, or a request for it.
 * @param options The schemas, and everything else.
 * @returns The events, to be iterated: a union by `ok`, and then by type.
 */
export function streamEvents<Schemas extends EventSchemas>(
  input: Varying<string | URL | Request>,
  options: TypedStreamEventsOptions<Schemas>,
): EventStream<ValidEvent<Schemas> | InvalidEvent>;
/**
 * Requests an event stream, and connects again where it breaks off.
 *
 * Nothing is sent before the first call to `next`, `nextBatch` or `open`. The
 * answer is an event stream if its status is 200 and its type
 * `text/event-stream`; any other is an error that shows what it was.
 *
 * A GET without a body is made again, as its {@linkcode ReconnectPolicy} says,
 * when the connection breaks or the server ends it, on 408, 425, 429 and 5xx,
 * and where the server is silent for too long: after the last event id, not
 * sooner than the server asked for, and never sooner than `minTimeout`. Status
 * 204 ends the stream; any other status, another type, an event that is too
 * large or not valid, and whatever a callback throws, end it with that error.
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
 *   if (event.event === "bye") break;
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
  input: Varying<string | URL | Request>,
  options?: StreamEventsOptions & { schemas?: never },
): EventStream;
export function streamEvents(
  input: Varying<string | URL | Request>,
  options:
    & StreamEventsOptions
    & Partial<TypedStreamEventsOptions<EventSchemas>> = {},
): EventStream<unknown> {
  return new ReconnectingEventStream(input, options);
}

/** How a stream has ended: well, or with an error. */
type End = { readonly ok: true } | {
  readonly ok: false;
  readonly error: unknown;
};

/** An event as it is given out: as it came, or validated. */
type Given = ServerSentEvent | ValidEvent<EventSchemas> | InvalidEvent;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

class ReconnectingEventStream implements EventStream<Given> {
  readonly counters = { bytes: 0, events: 0, comments: 0, attempts: 0 };
  readonly #input: Varying<string | URL | Request>;
  readonly #options: StreamEventsOptions;
  readonly #schemas: EventSchemas | undefined;
  readonly #yieldInvalid: boolean;
  readonly #sentinel: string | undefined;
  #policy: CompleteReconnectPolicy | undefined;
  readonly #clock: Clock;
  readonly #timeouts: Readonly<Record<typeof TIMEOUTS[number][0], number>>;
  readonly #heartbeat: AdaptiveTimeout | undefined;
  /** Aborted when the stream has ended: nothing of it stays behind. */
  readonly #controller = new AbortController();
  readonly #signals: AbortSignal[] = [];
  readonly #onAbort = (): void => {
    const aborted = this.#signals.find((signal) => signal.aborted);
    this.#finish({ ok: false, error: aborted?.reason }, aborted?.reason);
  };

  #state: EventStream["state"] = "idle";
  #end: End | undefined;
  /** What `open` throws where the stream has ended well before it was open. */
  #endedBy: unknown;
  #lastEventId: string;
  #reconnectionTime: number | undefined;

  /** Made with the stream, so that what is wrong with it is said at once. */
  #first: Connection | undefined;
  #connection: Connection | undefined;
  #connecting: Promise<Connection> | undefined;
  #recovering: Promise<void> | undefined;
  /** How many connections are over: tells which one a call has waited for. */
  #generation = 0;
  #opening: Promise<StreamResponse> | undefined;
  #response: StreamResponse | undefined;
  #url = "";

  #failures = 0;
  #failingSince = 0;
  #openSince: number | undefined;
  #eventsBefore = 0;
  /** What has come; the events before `#taken` were taken. */
  #queue: ServerSentEvent[] = [];
  #taken = 0;
  /** The last call, and how many are being answered: they are, one by one. */
  #turn: Promise<unknown> = Promise.resolve();
  #turns = 0;

  constructor(
    input: Varying<string | URL | Request>,
    options:
      & StreamEventsOptions
      & Partial<TypedStreamEventsOptions<EventSchemas>>,
  ) {
    const { clock = systemClock, signal, reconnect, headers, body } = options;
    const { maxEventSize, onTooLarge, heartbeat } = options;
    const [connectTimeout, idleTimeout, eventTimeout, heartbeatFloor] = TIMEOUTS
      .map(([name, byDefault]) =>
        checkTimeout(name, options[name] ?? byDefault)
      );
    // Refuses invalid limits now, rather than when there is an answer.
    new SseParser({ onEvent() {}, maxEventSize, onTooLarge });
    this.#input = input;
    this.#options = options;
    this.#schemas = options.schemas;
    this.#yieldInvalid = options.onInvalid === "yield";
    this.#sentinel = options.sentinel;
    this.#clock = clock;
    // There are as many as were mapped.
    this.#timeouts = {
      connectTimeout: connectTimeout!,
      idleTimeout: idleTimeout!,
      eventTimeout: eventTimeout!,
      heartbeatFloor: heartbeatFloor!,
    };
    if (heartbeat === "adaptive") {
      this.#heartbeat = new AdaptiveTimeout(this.#timeouts.heartbeatFloor);
    }
    this.#lastEventId = options.lastEventId ?? "";
    if (signal) this.#signals.push(signal);
    if (input instanceof Request) this.#signals.push(input.signal);
    if (reconnect) {
      this.#policy = completeReconnectPolicy(
        reconnect === true ? {} : reconnect,
      );
    }
    if (
      typeof input !== "function" && typeof headers !== "function" &&
      typeof body !== "function"
    ) this.#first = this.#newConnection(input, headers, body);
  }

  get state(): EventStream["state"] {
    return this.#state;
  }

  get lastEventId(): string {
    // A connection is ahead of the events that are still to be taken.
    return this.#end || !this.#connection || this.#taken < this.#queue.length
      ? this.#lastEventId
      : this.#connection.lastEventId;
  }

  get reconnectionTime(): number | undefined {
    return this.#reconnectionTime;
  }

  open(): Promise<StreamResponse> {
    return this.#opening ??= this.#open();
  }

  next(): Promise<IteratorResult<Given, undefined>> {
    // No async function is entered for what has come: this doubles the events
    // that can be taken in a second (bodies in memory, chunks of 16 KiB).
    if (
      this.#turns === 0 && this.#taken < this.#queue.length && !this.#converts
    ) {
      return Promise.resolve({ done: false, value: this.#takeQueued() });
    }
    return this.#inTurn(async () => {
      const event = await this.#next();
      return event ? { done: false, value: event } : DONE;
    });
  }

  nextBatch(): Promise<Given[] | undefined> {
    return this.#inTurn(() => this.#nextBatch());
  }

  async cancel(reason?: unknown): Promise<void> {
    const why = reason ??
      new DOMException("The event stream was cancelled", "AbortError");
    this.#finish({ ok: true }, why);
    await this.#connecting?.catch(() => {});
    await this.#connection?.cancel(why);
  }

  async return(): Promise<IteratorReturnResult<undefined>> {
    await this.cancel();
    return DONE;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cancel();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #open(): Promise<StreamResponse> {
    if (this.#response && !this.#end) return this.#response;
    await this.#pull((connection) => Promise.resolve(connection));
    if (this.#response) return this.#response;
    throw this.#endedBy;
  }

  get #converts(): boolean {
    return this.#schemas !== undefined || this.#sentinel !== undefined;
  }

  async #takeOne(): Promise<ServerSentEvent | undefined> {
    if (this.#taken === this.#queue.length) {
      const events = await this.#pull((connection) => connection.nextBatch());
      if (!events) return undefined;
      this.#queue = events;
      this.#taken = 0;
    }
    return this.#takeQueued();
  }

  #takeQueued(): ServerSentEvent {
    const event = this.#queue[this.#taken++]!; // every caller has looked
    this.#lastEventId = event.id;
    this.counters.events++;
    return event;
  }

  async #takeBatch(): Promise<ServerSentEvent[] | undefined> {
    const events = this.#taken < this.#queue.length
      ? this.#queue.slice(this.#taken)
      : await this.#pull((connection) => connection.nextBatch());
    this.#queue = [];
    this.#taken = 0;
    if (events) this.counters.events += events.length;
    return events;
  }

  /** Takes something from a connection, from the next one if that is over. */
  async #pull<T>(
    take: (connection: Connection) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    for (;;) {
      if (this.#end) return this.#ended();
      if (this.#recovering) {
        await this.#recovering;
        continue;
      }
      const generation = this.#generation;
      let reason: DisconnectReason = { kind: "end" };
      try {
        const connection = this.#connection ??
          await (this.#connecting ??= this.#connect());
        const taken = await take(connection);
        if (taken !== undefined) return taken;
      } catch (error) {
        reason = { kind: "error", error };
      }
      // Another call that waited for the same connection may have been quicker.
      if (this.#end || generation !== this.#generation) continue;
      this.#generation++;
      this.#recovering = this.#recover(reason);
      await this.#recovering;
      this.#recovering = undefined;
    }
  }

  async #connect(): Promise<Connection> {
    if (this.#state === "idle") this.#listen();
    this.#controller.signal.throwIfAborted();
    this.#state = "connecting";
    const connection = this.#first ?? await this.#nextConnection();
    this.#first = undefined;
    this.counters.attempts++;
    this.#url = connection.shownUrl;
    const response = await connection.open();
    this.#controller.signal.throwIfAborted();
    this.#url = connection.shownUrl;
    this.#connection = connection;
    this.#connecting = undefined;
    this.#state = "open";
    this.#openSince = this.#clock.now();
    this.#eventsBefore = this.counters.events;
    this.#response ??= response;
    this.#options.onOpen?.(response);
    this.#controller.signal.throwIfAborted();
    return connection;
  }

  #listen(): void {
    if (this.#signals.some((signal) => signal.aborted)) return this.#onAbort();
    for (const signal of this.#signals) {
      signal.addEventListener("abort", this.#onAbort);
    }
  }

  async #nextConnection(): Promise<Connection> {
    const { headers, body } = this.#options;
    const context: RequestContext = {
      attempt: this.#failures + 1,
      lastEventId: this.#lastEventId,
    };
    const { signal } = this.#controller;
    return this.#newConnection(
      await made(this.#input, context, signal),
      await made(headers, context, signal),
      await made(body, context, signal),
    );
  }

  #newConnection(
    input: string | URL | Request,
    headers: HeadersInit | undefined,
    body: BodyInit | null | undefined,
  ): Connection {
    const { onComment, onRetryTime, reconnect, method } = this.#options;
    // Known here at last: a function may have made a Request of any method.
    if (reconnect === undefined) {
      this.#policy = isRepeatable(input, method, body)
        ? completeReconnectPolicy({})
        : undefined;
    }
    return new Connection(input, {
      ...this.#options,
      ...this.#timeouts,
      headers,
      body,
      lastEventId: this.#lastEventId,
      signal: this.#controller.signal,
      heartbeat: this.#heartbeat,
      fetch: this.#options.fetch,
      clock: this.#clock,
      onBytes: (bytes) => this.counters.bytes += bytes,
      onComment: (comment) => {
        this.counters.comments++;
        onComment?.(comment);
      },
      onRetryTime: (time) => {
        this.#reconnectionTime = time;
        onRetryTime?.(time);
      },
    });
  }

  /** Decides about a connection that is over, and waits, or ends the stream. */
  async #recover(reason: DisconnectReason): Promise<void> {
    try {
      this.#disconnected(reason);
      await this.#retry(reason);
    } catch (error) {
      // Thrown by a callback, or the reason why the wait was ended.
      this.#finish({ ok: false, error }, error);
    }
  }

  #disconnected(reason: DisconnectReason): void {
    const now = this.#clock.now();
    const connection = this.#connection;
    this.#connection = undefined;
    this.#connecting = undefined;
    // Open still, where it was a callback that threw.
    void connection?.cancel(undefined);
    if (this.#failures === 0) this.#failingSince = now;
    if (connection && this.#openSince !== undefined) {
      this.#lastEventId = connection.lastEventId;
      const { resetAfter = 0 } = this.#policy ?? {};
      const isHealthy = now - this.#openSince >= resetAfter ||
        (reason.kind === "end" && this.counters.events > this.#eventsBefore);
      if (isHealthy) {
        this.#failures = 0;
        this.#failingSince = now;
      }
      this.#openSince = undefined;
      this.#state = "waiting";
      this.#options.onDisconnect?.(
        ...(reason.kind === "error" ? [reason.error] : []),
      );
    }
    this.#failures++;
  }

  async #retry(reason: DisconnectReason): Promise<void> {
    if (this.#end) return; // by a callback
    const now = this.#clock.now();
    const decision: ReconnectDecision = this.#policy
      ? decideReconnection(this.#policy, {
        reason,
        failures: this.#failures,
        elapsed: now - this.#failingSince,
        reconnectionTime: this.#reconnectionTime,
        lastEventId: this.#lastEventId,
        now,
      })
      : { action: reason.kind === "end" ? "done" : "fail" };
    const error = reason.kind === "error" ? reason.error : undefined;
    if (decision.action !== "retry") {
      const ok = decision.action === "done" || reason.kind === "end";
      return this.#finish(ok ? { ok } : { ok, error }, error);
    }
    if (isOneShot(this.#input, this.#options.body)) {
      throw new OneShotBodyError(this.#url, error);
    }
    const { delay } = decision;
    this.#state = "waiting";
    this.#options.onRetry?.({ attempt: this.#failures + 1, delay, reason });
    if (this.#end) return;
    await wait(delay, this.#clock, this.#controller.signal);
  }

  /** Ends the stream, unless it has ended; nothing of it stays behind. */
  #finish(end: End, why: unknown): void {
    if (this.#end) return;
    this.#lastEventId = this.lastEventId;
    this.#queue = [];
    this.#taken = 0;
    this.#end = end;
    this.#endedBy = why;
    this.#state = "closed";
    for (const signal of this.#signals) {
      signal.removeEventListener("abort", this.#onAbort);
    }
    this.#controller.abort(why);
  }

  /** Answers a call when the stream has ended. */
  #ended(): undefined {
    if (this.#end && !this.#end.ok) throw this.#end.error;
  }

  /** Calls that overlap are answered in order. */
  #inTurn<T>(take: () => Promise<T>): Promise<T> {
    const taken = this.#turns++ === 0 ? take() : this.#turn.then(take);
    const done = () => void this.#turns--;
    this.#turn = taken.then(done, done);
    return taken;
  }

  async #next(): Promise<Given | undefined> {
    for (;;) {
      const event = await this.#takeOne();
      if (!event) return undefined;
      const given = this.#converts ? await this.#give(event) : event;
      if (given) return given;
    }
  }

  async #nextBatch(): Promise<Given[] | undefined> {
    for (;;) {
      const events = await this.#takeBatch();
      if (!events || !this.#converts) return events;
      const batch: Given[] = [];
      for (const event of events) {
        let given: Given | undefined;
        try {
          given = await this.#give(event);
        } catch {
          // It has ended the stream, and the next call throws it.
        }
        if (this.#end) {
          // The events after this one were dropped.
          this.#lastEventId = event.id;
          break;
        }
        if (given) batch.push(given);
      }
      if (batch.length > 0) return batch;
    }
  }

  /** What is given out of an event, if anything is; the sentinel ends the stream. */
  async #give(event: ServerSentEvent): Promise<Given | undefined> {
    if (event.data === this.#sentinel) {
      await this.cancel();
      return undefined;
    }
    if (!this.#schemas) return event;
    try {
      const given = await unlessAborted(
        this.#controller.signal,
        validateEvent(event, this.#schemas),
      );
      if (!given || given.ok || this.#yieldInvalid) return given;
      throw new EventValidationError(this.#url, given);
    } catch (error) {
      // A schema may throw, too; or the stream has ended meanwhile.
      this.#finish({ ok: false, error }, error);
      return this.#ended();
    }
  }
}

const TIMEOUTS = [
  ["connectTimeout", 30_000],
  ["idleTimeout", Infinity],
  ["eventTimeout", Infinity],
  ["heartbeatFloor", 10_000],
] as const;

function checkTimeout(name: string, value: number): number {
  if (typeof value === "number" && value >= 0) return value;
  throw new RangeError(
    `Cannot stream events as '${name}' must be a number of milliseconds, 0 or more: current value is ${value}`,
  );
}

function isRepeatable(
  input: string | URL | Request,
  method: string | undefined,
  body: BodyInit | null | undefined,
): boolean {
  const request = input instanceof Request ? input : undefined;
  return (method ?? request?.method ?? "GET").toUpperCase() === "GET" &&
    !body && !request?.body;
}

/** Whether the body that was sent cannot be sent again. */
function isOneShot(
  input: Varying<string | URL | Request>,
  body: StreamEventsOptions["body"],
): boolean {
  return body instanceof ReadableStream ||
    (!body && input instanceof Request && input.body !== null);
}

/** What a promise resolves to, if the signal leaves it the time. */
function unlessAborted<T>(
  signal: AbortSignal,
  promise: Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort);
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", onAbort);
    });
  });
}

/** What varies, as it is this time; a function that never answers is not waited for. */
function made<T>(
  varying: Varying<T>,
  context: RequestContext,
  signal: AbortSignal,
): T | Promise<T> {
  if (typeof varying !== "function") return varying;
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    // The types that vary here are no functions themselves.
    const make = varying as (context: RequestContext) => T | Promise<T>;
    Promise.resolve(make(context)).then(resolve, reject).finally(() =>
      signal.removeEventListener("abort", onAbort)
    );
  });
}
