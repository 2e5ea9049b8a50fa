// This module is browser compatible.
import { EventTooLargeError } from "../sse/errors.ts";
import type { EventReader } from "../sse/event_reader.ts";
import type { ServerSentEvent } from "../sse/event.ts";
import { readEvents, type RecoveringOptions } from "../sse/read_events.ts";
import { abortable } from "./abortable.ts";
import type { Clock } from "./clock.ts";
import { assertDecoded, contentEncoding } from "./content_encoding.ts";
import { readErrorBody } from "./error_body.ts";
import {
  BodyStreamError,
  ConnectionError,
  ConnectTimeoutError,
  HttpStatusError,
  IdleTimeoutError,
  NotAnEventStreamError,
  type UnexpectedResponse,
} from "./errors.ts";
import type { AdaptiveTimeout } from "./heartbeat.ts";
import { isEventStreamType } from "./media_type.ts";
import { prepareRequest, type RequestOptions, wantsLength } from "./request.ts";
import { bodyOf, closeUnread, wholeBodyOf } from "./response_body.ts";
import { Redactor } from "./secrets/redactor.ts";
import { redactUrl } from "./secrets/urls.ts";
import { sniff, type SniffedBody } from "./sniff.ts";
import { Watchdog } from "./watchdog.ts";

/** The most that is read of the body of an answer that is not an event stream. */
const MAX_ERROR_BODY = 64 * 1024;

/** The most time that reading it may take, in milliseconds. */
const ERROR_BODY_TIMEOUT = 5_000;

/**
 * The response to a request for an event stream, if it is an event stream.
 *
 * @example Look at a header
 * ```ts
 * import type { StreamResponse } from "@rivulet/rivulet/fetch";
 *
 * const requestId = ({ headers }: StreamResponse): string | null =>
 *   headers.get("x-request-id");
 * ```
 */
export interface StreamResponse {
  /** The status code: 200, unless another was expected too. */
  readonly status: number;
  /** The headers. */
  readonly headers: Headers;
  /** The URL that answered, after redirects; whole, so it may hold a key. */
  readonly url: string;
}

/** The options of one connection; see `StreamEventsOptions`. */
export interface ConnectionOptions extends
  RequestOptions,
  Pick<
    RecoveringOptions,
    | "maxEventSize"
    | "onTooLarge"
    | "onComment"
    | "onDiagnostic"
    | "onPending"
    | "recover"
  > {
  /**
   * The statuses that an event stream may have. Default: 200, as the standard
   * has it. Default: 200, as the standard has it.
   */
  readonly isExpected?: ((status: number) => boolean) | undefined;
  /** The content types that are read. Default: that of event streams. */
  readonly contentType?: "event-stream" | "any" | undefined;
  /** Seeds the connection, and is sent. */
  readonly lastEventId: string;
  /** Ends the connection, with its reason. */
  readonly signal: AbortSignal;
  /** Until the headers of the answer, in milliseconds. */
  readonly connectTimeout: number;
  /** Without any byte, in milliseconds. */
  readonly idleTimeout: number;
  /** Without an event, in milliseconds. */
  readonly eventTimeout: number;
  /** The rhythm of the stream, if the connection is held to it. */
  readonly heartbeat: AdaptiveTimeout | undefined;
  /** Called with the length of every chunk, in bytes. */
  onBytes(bytes: number): void;
  /** Called for every reconnection time, in milliseconds. */
  readonly onRetryTime: ((reconnectionTime: number) => void) | undefined;
  /** Takes the secrets out of errors. Default: those of this request. */
  readonly redactor?: Redactor | undefined;
  /** The function that makes the request. */
  readonly fetch:
    | ((
      input: string | URL | Request,
      init?: RequestInit,
    ) => Promise<Response>)
    | undefined;
  /** The clock of the timeouts. */
  readonly clock: Clock;
  /** Called where the server takes a body only with its length. */
  readonly onLengthWanted?: (() => void) | undefined;
}

/** The end of a stream: good, or with an error. */
type End = { readonly ok: true } | {
  readonly ok: false;
  readonly error: unknown;
};

/**
 * One request for an event stream, and what answers it.
 *
 * It ends once: at the end of the body every further call is answered with
 * nothing, and after an error every further call throws that same error, so
 * that no failure can pass for an end.
 */
export class Connection {
  readonly #input: string | URL | Request;
  #init: RequestInit;
  /** The request with its length, for a server that wants one; used once. */
  #wholeInit: RequestInit | undefined;
  readonly #onLengthWanted: ConnectionOptions["onLengthWanted"];
  readonly #fetch: ConnectionOptions["fetch"];
  readonly #isExpected: (status: number) => boolean;
  readonly #contentType: ConnectionOptions["contentType"];
  readonly #clock: Clock;
  readonly #redactor: Redactor;
  readonly #readOptions: RecoveringOptions;
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.#fail(this.#signal.reason);

  /** Aborted with what has ended the stream, unless that was its own end. */
  readonly #controller = new AbortController();
  readonly #connectWatch: Watchdog;
  readonly #byteWatch: Watchdog;
  readonly #eventWatch: Watchdog;
  readonly #heartbeat: AdaptiveTimeout | undefined;
  readonly #beatWatch: Watchdog;

  /**
   * The URL that answers. It may hold secrets: errors get it redacted. Holds
   * secrets: errors get it redacted.
   */
  #url: string;
  #end: End | undefined;
  #opening: Promise<StreamResponse> | undefined;
  #reader: EventReader | undefined;
  #lastEventId: string;
  #lastSeen: IdleTimeoutError["lastSeen"] = "nothing";
  /** The number of calls that wait for an event. */
  #waiting = 0;
  /** The error of a callback or of the body's content, not of the network. */
  #thrown: { readonly error: unknown } | undefined;

  /**
   * Makes a connection that has not asked for anything yet.
   *
   * @throws {TypeError} If the URL, the method, a header or the body is invalid.
   */
  constructor(input: string | URL | Request, options: ConnectionOptions) {
    const { clock, lastEventId, signal, heartbeat } = options;
    const { connectTimeout, idleTimeout, eventTimeout } = options;
    const { url, headers, init, wholeInit } = prepareRequest(input, options);
    this.#input = input;
    this.#init = { ...init, signal: this.#controller.signal };
    this.#wholeInit = wholeInit && {
      ...wholeInit,
      signal: this.#controller.signal,
    };
    this.#onLengthWanted = options.onLengthWanted;
    this.#fetch = options.fetch;
    this.#isExpected = options.isExpected ?? ((status) => status === 200);
    this.#contentType = options.contentType;
    this.#clock = clock;
    const { body } = options;
    this.#redactor = options.redactor ?? new Redactor({
      url,
      headers,
      body: typeof body === "string" ? body : undefined,
    });
    this.#url = url;
    this.#lastEventId = lastEventId;
    this.#signal = signal;
    this.#heartbeat = heartbeat;
    const comment = this.#remembering(options.onComment);
    this.#readOptions = {
      lastEventId,
      maxEventSize: options.maxEventSize,
      onTooLarge: options.onTooLarge,
      onComment: heartbeat
        ? (text) => {
          this.#beat();
          comment?.(text);
        }
        : comment,
      onRetry: this.#remembering(options.onRetryTime),
      onDiagnostic: this.#remembering(options.onDiagnostic),
      onPending: this.#remembering(options.onPending),
      recover: options.recover,
      onChunk: (bytes) => {
        if (bytes === 0) return;
        options.onBytes(bytes);
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
    this.#beatWatch = new Watchdog(() => heartbeat?.timeout ?? Infinity, () => {
      this.#failIdle("heartbeat", heartbeat?.timeout ?? Infinity);
      heartbeat?.missed();
    }, clock);
  }

  /** The URL of the request, or of the answer after redirects; fit to be shown. */
  get shownUrl(): string {
    return redactUrl(this.#url);
  }

  /** The last event id as of the events that were taken. */
  get lastEventId(): string {
    // A reader that is stopped drops what has come, and counts it as taken.
    if (this.#end || !this.#reader) return this.#lastEventId;
    return this.#reader.lastEventId;
  }

  /** The last `retry:` of the stream, in milliseconds. */
  get reconnectionTime(): number | undefined {
    return this.#reader?.reconnectionTime;
  }

  /** Connects, if that has not been done. */
  open(): Promise<StreamResponse> {
    return this.#opening ??= this.#open();
  }

  /** Takes the next event; nothing at the end. */
  async next(): Promise<ServerSentEvent | undefined> {
    const result = await this.#take(
      (reader) => reader.next(),
      ({ done }) => done === true,
    );
    return result?.value;
  }

  /** Takes every event that has come, one at least; nothing at the end. */
  nextBatch(): Promise<ServerSentEvent[] | undefined> {
    const take = (reader: EventReader) => reader.nextBatch();
    return this.#take(take, (events) => events === undefined);
  }

  /** Ends the connection; resolves when nothing of it is left. */
  async cancel(reason: unknown): Promise<void> {
    this.#finish({ ok: true }, { reason });
    await this.#opening?.catch(() => {});
    await this.#reader?.return();
  }

  /** Takes something from the reader while the clocks run; nothing at the end. */
  async #take<T>(
    take: (reader: EventReader) => Promise<T>,
    isEnd: (result: T) => boolean,
  ): Promise<T | undefined> {
    // If this rejects, the stream has ended already, and `#ended` reports it
    // below.
    if (!this.#end && !this.#reader) await this.open().catch(() => {});
    if (this.#end || !this.#reader) return this.#ended();
    if (this.#waiting++ === 0) this.#startClocks();
    try {
      const result = await take(this.#reader);
      if (!isEnd(result)) {
        this.#lastSeen = "event";
        if (this.#heartbeat) this.#beat();
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
    if (this.#signal.aborted) this.#onAbort();
    signal.throwIfAborted();
    this.#signal.addEventListener("abort", this.#onAbort);
    let response = await this.#ask();
    if (!this.#isExpected(response.status)) {
      const refusal = await this.#refusal(response, HttpStatusError);
      const wholeInit = this.#wholeInit;
      if (!wholeInit || !wantsLength(refusal.status, refusal.body)) {
        throw this.#fail(refusal);
      }
      this.#wholeInit = undefined;
      this.#init = wholeInit;
      response = await this.#ask();
      if (!this.#isExpected(response.status)) {
        throw this.#fail(await this.#refusal(response, HttpStatusError));
      }
      this.#onLengthWanted?.();
    }
    const { status, headers } = response;
    const url = this.#url;
    const body = await this.#eventsOf(response);
    try {
      this.#reader = readEvents(
        this.#decoded(body, response),
        this.#readOptions,
      );
    } catch (error) {
      throw this.#fail(error);
    }
    this.#heartbeat?.restart();
    return { status, headers, url };
  }

  /** Makes the request, and waits for the answer's headers. */
  async #ask(): Promise<Response> {
    const { signal } = this.#controller;
    this.#connectWatch.start();
    let response: Response;
    try {
      // Called as a function: browsers' fetch refuses to be another's method.
      const fetch = this.#fetch ?? globalThis.fetch;
      const answer = fetch(this.#input, this.#init);
      response = await abortable(answer, signal).catch((error) => {
        // A `fetch` that ignores the signal may still answer: close that unread.
        if (signal.aborted) answer.then(closeUnread).catch(() => {});
        throw error;
      });
    } catch (error) {
      signal.throwIfAborted();
      const cause = this.#redactor.thrown(error);
      const url = redactUrl(this.#url);
      throw this.#fail(new ConnectionError(url, "connect", cause));
    }
    if (signal.aborted) {
      // By someone who was quicker to hear of the answer.
      closeUnread(response).catch(() => {});
      signal.throwIfAborted();
    }
    this.#connectWatch.close();
    this.#url = response.url || this.#url;
    return response;
  }

  /** The body of an answer, if it is an event stream: by its type, or by its start. */
  async #eventsOf(response: Response): Promise<ReadableStream<Uint8Array>> {
    const type = response.headers.get("content-type");
    const body = bodyOf(response);
    if (!body && (type === null || isEventStreamType(type))) {
      throw this.#fail(new BodyStreamError(redactUrl(this.#url)));
    }
    if (body && isEventStreamType(type)) return body;
    if (!body || this.#contentType !== "any") {
      throw this.#fail(await this.#refusal(response, NotAnEventStreamError));
    }
    const { signal } = this.#controller;
    this.#byteWatch.start();
    let sniffed: SniffedBody;
    try {
      sniffed = await sniff(body, signal);
    } catch (error) {
      signal.throwIfAborted();
      throw this.#fail(this.#explain(error));
    } finally {
      this.#byteWatch.stop();
    }
    if (sniffed.isEvents) return sniffed.body;
    throw this.#fail(
      await this.#refusal(response, NotAnEventStreamError, sniffed.body),
    );
  }

  /** A body that fails where it is compressed still. */
  #decoded(
    body: ReadableStream<Uint8Array>,
    response: Response,
  ): ReadableStream<Uint8Array> {
    const encoding = contentEncoding(response.headers);
    if (encoding === undefined) return body;
    return assertDecoded(body, () => {
      const error = new NotAnEventStreamError({
        url: redactUrl(this.#url),
        status: response.status,
        statusText: this.#redactor.text(response.statusText ?? ""),
        headers: this.#redactor.headers(response.headers),
        body: "",
        truncated: true,
      }, encoding);
      this.#thrown = { error };
      return error;
    });
  }

  /** The error that shows an answer that is no event stream. */
  async #refusal<Refusal extends HttpStatusError | NotAnEventStreamError>(
    response: Response,
    Refusal: new (response: UnexpectedResponse) => Refusal,
    body: ReadableStream<Uint8Array> | null = wholeBodyOf(response),
  ): Promise<Refusal> {
    const { signal } = this.#controller;
    const { text, truncated } = await readErrorBody(body, {
      maxBytes: MAX_ERROR_BODY,
      timeout: ERROR_BODY_TIMEOUT,
      clock: this.#clock,
      signal,
    });
    signal.throwIfAborted();
    return new Refusal({
      url: redactUrl(this.#url),
      status: response.status,
      statusText: this.#redactor.text(response.statusText ?? ""),
      headers: this.#redactor.headers(response.headers),
      body: this.#redactor.text(text),
      truncated,
    });
  }

  /** Returns the error of the reader as the consumer sees it. */
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
    this.#connectWatch.close();
    this.#byteWatch.close();
    this.#eventWatch.close();
    this.#beatWatch.close();
    this.#signal.removeEventListener("abort", this.#onAbort);
    if (abort) this.#controller.abort(abort.reason);
  }

  /** Answers a call when the stream has ended. */
  #ended(): undefined {
    if (this.#end && !this.#end.ok) throw this.#end.error;
  }

  #beat(): void {
    this.#heartbeat?.beat(this.#clock.now());
    // Not only touched: what is expected may have become known just now.
    if (this.#waiting > 0 && !this.#end) this.#beatWatch.start();
  }

  #startClocks(): void {
    // Not after the end: a timer would stay behind.
    if (this.#end) return;
    this.#byteWatch.start();
    this.#eventWatch.start();
    this.#beatWatch.start();
  }

  #stopClocks(): void {
    this.#byteWatch.stop();
    this.#eventWatch.stop();
    this.#beatWatch.stop();
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
