// This module is browser compatible.
import { described } from "../sse/described.ts";
import { checkSchemas } from "./check_schemas.ts";
import { CallQueue } from "../sse/call_queue.ts";
import type { ServerSentEvent } from "../sse/event.ts";
import { SseParser } from "../sse/parser.ts";
import { abortable } from "./abortable.ts";
import { type Clock, systemClock, wallTime } from "./clock.ts";
import { Connection, type StreamResponse } from "./connection.ts";
import { OneShotBodyError } from "./errors.ts";
import type { EventStream } from "./event_stream.ts";
import { AdaptiveTimeout } from "./heartbeat.ts";
import {
  type CompleteReconnectPolicy,
  completeReconnectPolicy,
  decideReconnection,
  type DisconnectReason,
  type ReconnectDecision,
} from "./reconnect.ts";
import { wait } from "./retry.ts";
import type {
  RequestContext,
  StreamEventsOptions,
  TypedStreamEventsOptions,
} from "./stream_options.ts";
import {
  type EventSchemas,
  EventValidationError,
  type InvalidEvent,
  validateEvent,
  type ValidEvent,
} from "./typed_event.ts";

/** Something, or a function that makes it anew for every request. */
type Varying<T> = T | ((context: RequestContext) => T | Promise<T>);

/** The end of a stream: good, or with an error. */
type End = { readonly ok: true } | {
  readonly ok: false;
  readonly error: unknown;
};

/** An event as it is given out: as it came, or validated. */
type Given = ServerSentEvent | ValidEvent<EventSchemas> | InvalidEvent;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * A series of connections that looks like one: it takes events from a connection
 * and, when that is over, does what the policy says.
 */
export class ReconnectingEventStream implements EventStream<Given> {
  readonly counters = { bytes: 0, events: 0, comments: 0, attempts: 0 };
  readonly #input: Varying<string | URL | Request>;
  readonly #options: StreamEventsOptions;
  /** As it was asked for, or as the server wants it. */
  #sendBody: StreamEventsOptions["sendBody"];
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
  /** The error of `open` if the stream has ended well before it was open. */
  #endedBy: unknown;
  #lastEventId: string;
  #reconnectionTime: number | undefined;

  /** Made with the stream, so that what is wrong with it is said at once. */
  #first: Connection | undefined;
  #connection: Connection | undefined;
  #connecting: Promise<Connection> | undefined;
  #recovering: Promise<void> | undefined;
  /** The number of connections that are over: tells which one a call has waited for. */
  #generation = 0;
  #opening: Promise<StreamResponse> | undefined;
  #response: StreamResponse | undefined;
  #url = "";

  #failures = 0;
  #failingSince = 0;
  #openSince: number | undefined;
  #eventsBefore = 0;
  /** The events that have come; those before `#taken` were taken. */
  #queue: ServerSentEvent[] = [];
  #taken = 0;
  readonly #calls = new CallQueue();

  /** Makes a stream that has not asked for anything yet. */
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
    checkSchemas(options.schemas);
    if (options.fetch !== undefined && typeof options.fetch !== "function") {
      throw new TypeError(
        `Cannot stream events as 'fetch' must be a function: current value is ${
          described(options.fetch)
        }`,
      );
    }
    // Refuses invalid limits now, rather than when there is an answer.
    new SseParser({ onEvent() {}, maxEventSize, onTooLarge });
    this.#input = input;
    this.#options = options;
    const { sendBody, contentType } = options;
    checkChoice("sendBody", sendBody, ["whole", "stream"]);
    checkChoice("contentType", contentType, ["event-stream", "any"]);
    this.#sendBody = sendBody;
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
      this.#calls.isIdle && this.#taken < this.#queue.length && !this.#converts
    ) {
      return Promise.resolve({ done: false, value: this.#takeQueued() });
    }
    return this.#calls.run(async () => {
      const event = await this.#next();
      return event ? { done: false, value: event } : DONE;
    });
  }

  nextBatch(): Promise<Given[] | undefined> {
    return this.#calls.run(() => this.#nextBatch());
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
      sendBody: this.#sendBody,
      onLengthWanted: () => this.#sendBody = "whole",
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
        now: wallTime(this.#clock),
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

  /** Returns what the consumer gets for an event, if anything; the sentinel ends the stream. */
  async #give(event: ServerSentEvent): Promise<Given | undefined> {
    if (event.data === this.#sentinel) {
      await this.cancel();
      return undefined;
    }
    if (!this.#schemas) return event;
    try {
      const given = await abortable(
        validateEvent(event, this.#schemas),
        this.#controller.signal,
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

/** Refuses what is none of two words; without, the default applies. */
function checkChoice(
  name: string,
  value: unknown,
  [first, second]: readonly [string, string],
): void {
  if ([undefined, first, second].some((choice) => choice === value)) return;
  throw new TypeError(
    `Cannot stream events as '${name}' must be "${first}" or "${second}": current value is ${
      described(value)
    }`,
  );
}

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

/** Returns the current value of an option that varies; does not wait for a function that never answers. */
async function made<T>(
  varying: Varying<T>,
  context: RequestContext,
  signal: AbortSignal,
): Promise<T> {
  if (typeof varying !== "function") return varying;
  signal.throwIfAborted();
  // The types that vary here are no functions themselves.
  const make = varying as (context: RequestContext) => T | Promise<T>;
  return await abortable(make(context), signal);
}
