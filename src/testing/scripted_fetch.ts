// This module is browser compatible.
import { type Clock, systemClock } from "../fetch/clock.ts";

/**
 * A part of a body: text, which is sent as UTF-8, or bytes; or a time in
 * milliseconds in which the server sends nothing. Each text and each array of
 * bytes arrives as one chunk, so it can end anywhere, such as inside a character.
 */
export type ScriptedChunk =
  | string
  | Uint8Array
  | {
    /** The length of the silence, in milliseconds. */
    readonly wait: number;
  };

/**
 * The ways in which a connection fails:
 *
 * - `"drop"`: it breaks off, which `fetch` reports as a `TypeError`.
 * - `"stall"`: nothing comes any more, until the request is aborted.
 * - `{ error }`: `error` is thrown, just as it is.
 */
export type ScriptedFailure =
  | "drop"
  | "stall"
  | {
    /** The error to throw. */
    readonly error: unknown;
  };

/** A connection that has an answer. */
export interface ScriptedAnswer {
  /** Not for connections that have an answer. */
  readonly connect?: undefined;
  /**
   * The time from the end of the request's body to the response headers, in
   * milliseconds.
   *
   * @default {0}
   */
  readonly delay?: number | undefined;
  /**
   * The status code, from 200 to 599.
   *
   * @default {200}
   */
  readonly status?: number | undefined;
  /**
   * The reason phrase.
   *
   * @default {""}
   */
  readonly statusText?: string | undefined;
  /**
   * The headers. A `Content-Type` of `text/event-stream` is added, unless there
   * is one among them, or the status is one without a body.
   *
   * @default {{}}
   */
  readonly headers?: HeadersInit | undefined;
  /**
   * The URL that answers, if it is another than the request's, as after a
   * redirect.
   *
   * @default {undefined}
   */
  readonly url?: string | undefined;
  /**
   * The body, in the order in which it is sent.
   *
   * @default {[]}
   */
  readonly chunks?: readonly ScriptedChunk[] | undefined;
  /**
   * The end of the body after the last chunk: clean, or a failure.
   *
   * @default {"close"}
   */
  readonly end?: "close" | ScriptedFailure | undefined;
}

/** A connection that fails before there are headers. */
export interface ScriptedConnectFailure {
  /** The failure. */
  readonly connect: ScriptedFailure;
  /**
   * The time from the end of the request's body to the failure, in
   * milliseconds.
   *
   * @default {0}
   */
  readonly delay?: number | undefined;
}

/** The script for one request. */
export type ScriptedConnection = ScriptedAnswer | ScriptedConnectFailure;

/**
 * The outcome of a request:
 *
 * - `"pending"`: it is under way, or its body was never read to the end.
 * - `"ended"`: all of its answer was read.
 * - `"failed"`: it failed, as scripted or for want of a script, or because the
 *   request's own body did.
 * - `"aborted"`: its signal was aborted first.
 * - `"cancelled"`: the body of its answer was cancelled first.
 */
export type ScriptedOutcome =
  | "pending"
  | "ended"
  | "failed"
  | "aborted"
  | "cancelled";

/** A request that was made to a {@linkcode ScriptedFetch}. */
export interface ScriptedRequest {
  /**
   * The time of the request, by the clock: in milliseconds since the Unix
   * epoch.
   */
  readonly time: number;
  /** The method. */
  readonly method: string;
  /** The URL, normalized. */
  readonly url: string;
  /** The headers that were asked for; a runtime would add some of its own. */
  readonly headers: Headers;
  /**
   * The body as text, decoded from UTF-8; `""` if there was none. It is read
   * before the answer begins; until then, this is as far as it has come.
   */
  readonly body: string;
  /** The outcome so far. */
  readonly outcome: ScriptedOutcome;
  /**
   * The error with which the request failed, or the reason of an abort or
   * cancellation.
   */
  readonly reason: unknown;
}

/** Options for {@linkcode ScriptedFetch}. */
export interface ScriptedFetchOptions {
  /**
   * The clock of the script.
   *
   * @default {systemClock}
   */
  clock?: Clock | undefined;
  /**
   * The action on requests after the last connection of the script:
   *
   * - `"throw"`: they fail with an `Error` that says how many there were.
   * - `"repeat"`: the last connection is for all of them.
   *
   * A client that connects again takes any error for a bad network, this one
   * too: limit its attempts, or let its script end with a status that stops it,
   * such as 204.
   *
   * @default {"throw"}
   */
  afterLast?: "throw" | "repeat" | undefined;
}

/** Statuses whose answers have no body. */
const BODILESS = [204, 205, 304];

/**
 * A `fetch` that follows a script, and remembers what it was asked for.
 *
 * Each request takes the next connection of the script, in the order in which
 * the requests are made. With a {@linkcode FakeClock}, hours of a bad network
 * pass in milliseconds.
 *
 * It is as strict as a real `fetch`: it refuses what `new Request()` refuses,
 * reads the request's body, takes time over the headers, and obeys the signal
 * at every stage, with the signal's reason. A request whose signal is already
 * aborted is not made. After a request has ended, no timer and no listener of
 * it is left.
 *
 * The reader pulls the body, and nothing is buffered: each chunk, and the end,
 * come when they are read. (A pipe, such as `pipeThrough`, reads ahead by as
 * much as its queues hold.) A step of the script happens only when the chunk
 * before it was taken. A `wait` then passes whether or not someone reads, as a
 * server's time does.
 *
 * @example A server that takes its time
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { FakeClock, ScriptedFetch } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new FakeClock();
 * const script = new ScriptedFetch([
 *   { delay: 200, chunks: ["data: a\n\nda", { wait: 5_000 }, "ta: b\n\n"] },
 * ], { clock });
 *
 * const events = streamEvents("https://example.com/events", {
 *   lastEventId: "41",
 *   fetch: script.fetch,
 *   clock,
 * });
 * assertEquals((await clock.run(events.next())).value?.data, "a");
 * assertEquals(clock.now(), 200);
 * assertEquals((await clock.run(events.next())).value?.data, "b");
 * assertEquals(clock.now(), 5_200);
 * await events.cancel();
 *
 * const [request] = script.requests;
 * assertEquals(request?.time, 0);
 * assertEquals(request?.headers.get("Last-Event-ID"), "41");
 * assertEquals(request?.outcome, "aborted");
 * assertEquals(clock.pending, 0);
 * ```
 *
 * @example Everything that may go wrong
 * ```ts
 * import { FakeClock, ScriptedFetch } from "@rivulet/rivulet/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const clock = new FakeClock();
 * const { fetch } = new ScriptedFetch([
 *   { connect: "drop", delay: 100 },
 *   { connect: "stall" },
 *   { connect: { error: new Error("no such host") } },
 *   { status: 503, headers: { "Retry-After": "2" }, chunks: ["busy"] },
 *   { chunks: ["data: cut of"], end: "drop" },
 *   { chunks: [": still here\n", { wait: 15_000 }], end: "stall" },
 *   { status: 204 },
 * ], { clock });
 * const get = (signal?: AbortSignal) =>
 *   clock.run(fetch("https://example.com/", signal ? { signal } : {}));
 *
 * await assertRejects(() => get(), TypeError);
 * assertEquals(clock.now(), 100);
 *
 * const controller = new AbortController();
 * clock.setTimeout(() => controller.abort(new Error("too slow")), 1_000);
 * await assertRejects(() => get(controller.signal), Error, "too slow");
 *
 * await assertRejects(() => get(), Error, "no such host");
 * assertEquals(await (await get()).text(), "busy");
 * await assertRejects(async () => (await get()).text(), TypeError);
 *
 * const body = (await get()).body!.getReader();
 * await body.read();
 * const next = body.read();
 * await clock.advance(60_000);
 * await body.cancel();
 * assertEquals((await next).done, true);
 *
 * assertEquals((await get()).body, null);
 * await assertRejects(() => get(), Error, "as 7 connections are scripted");
 * ```
 */
export class ScriptedFetch {
  readonly #connections: readonly ScriptedConnection[];
  readonly #clock: Clock;
  readonly #afterLast: "throw" | "repeat";
  readonly #requests: Exchange[] = [];

  /**
   * Writes the script.
   *
   * @param connections One for each request, in order.
   * @param options The clock, and what comes after the last connection.
   * @throws {RangeError} If a status is not one from 200 to 599, or a delay or a
   * wait is negative or not finite.
   * @throws {TypeError} If a header is invalid, a connection ends in an unknown
   * way, a status without a body has one, or there is nothing to repeat.
   */
  constructor(
    connections: readonly ScriptedConnection[],
    options: ScriptedFetchOptions = {},
  ) {
    const { clock = systemClock, afterLast = "throw" } = options;
    if (afterLast !== "throw" && afterLast !== "repeat") {
      throw new TypeError(
        `Cannot script a fetch as 'afterLast' must be "throw" or "repeat": current value is ${afterLast}`,
      );
    }
    if (afterLast === "repeat" && connections.length === 0) {
      throw new TypeError(
        "Cannot script a fetch as there is no connection to repeat: add one",
      );
    }
    this.#connections = connections.map(checked);
    this.#clock = clock;
    this.#afterLast = afterLast;
  }

  /** The requests that were made so far, in order. */
  get requests(): readonly ScriptedRequest[] {
    return this.#requests;
  }

  /**
   * Takes the place of `globalThis.fetch`; can be passed around as it is.
   *
   * @param input The URL, or a request for it.
   * @param init The rest of the request.
   * @returns The answer that the script has for this request. It rejects as the
   * script says, with the signal's reason, with a `TypeError` if the request is
   * invalid, or with an `Error` if there is nothing in the script for it.
   */
  readonly fetch = async (
    input: string | URL | Request,
    init: RequestInit = {},
  ): Promise<Response> => {
    const inherited = input instanceof Request ? input.signal : null;
    const signal = init.signal === undefined ? inherited : init.signal;
    const request = new Request(input, { ...init, signal: null });
    signal?.throwIfAborted();
    // Bun leaves a Request unread that another was made of, which its fetch does not.
    if (
      input instanceof Request && init.body == null && request.body !== null &&
      !input.bodyUsed
    ) void input.arrayBuffer().catch(() => {});
    const index = this.#requests.length;
    const exchange = new Exchange(request, signal, this.#clock);
    this.#requests.push(exchange);
    const connection = this.#connections[index] ??
      (this.#afterLast === "repeat" ? this.#connections.at(-1) : undefined);
    if (connection) return await exchange.run(request, connection);
    const { length } = this.#connections;
    throw exchange.fail(
      new Error(
        `Cannot answer request ${
          index + 1
        } (${request.method} ${request.url}) as ${length} ${
          length === 1 ? "connection is" : "connections are"
        } scripted: add one, or set 'afterLast' to "repeat"`,
      ),
    );
  };
}

/** One request, and the answer to it. */
class Exchange implements ScriptedRequest {
  readonly time: number;
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  body = "";
  outcome: ScriptedOutcome = "pending";
  reason: unknown;

  readonly #clock: Clock;
  readonly #signal: AbortSignal | null;
  #cancelTimer: (() => void) | undefined;
  /** Rejects the requester's promise on an abort; it depends on the stage. */
  #reject: (reason: unknown) => void = () => {};
  readonly #onAbort = (): void => {
    const reason = this.#signal?.reason;
    this.#finish("aborted", reason);
    this.#reject(reason);
  };

  constructor(request: Request, signal: AbortSignal | null, clock: Clock) {
    this.time = clock.now();
    this.method = request.method;
    this.url = request.url;
    this.headers = request.headers;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** Plays the script; resolves to the response of the requester. */
  run(request: Request, connection: ScriptedConnection): Promise<Response> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#signal?.addEventListener("abort", this.#onAbort);
      this.#respond(request, connection).then(resolve, reject);
    });
  }

  /** Fails, and returns the error. */
  fail<T>(error: T): T {
    this.#finish("failed", error);
    return error;
  }

  async #respond(
    request: Request,
    connection: ScriptedConnection,
  ): Promise<Response> {
    await this.#readBody(request);
    await this.#sleep(connection.delay ?? 0);
    // Whoever aborted it has been told: this goes nowhere.
    if (this.outcome !== "pending") throw this.reason;
    if (connection.connect !== undefined) {
      return await this.#break(connection.connect, "before there were headers");
    }
    const { status = 200, statusText = "", url, chunks = [], end = "close" } =
      connection;
    const headers = new Headers(connection.headers);
    const bodiless = BODILESS.includes(status);
    if (!bodiless && !headers.has("content-type")) {
      headers.set("content-type", "text/event-stream");
    }
    if (bodiless) this.#finish("ended", undefined);
    const body = bodiless ? null : this.#answer(chunks, end);
    const response = new Response(body, { status, statusText, headers });
    // Only a real fetch can give a response a URL.
    Object.defineProperties(response, {
      url: { value: (url ?? request.url).replace(/#.*/, "") },
      redirected: { value: url !== undefined && url !== request.url },
    });
    return response;
  }

  async #readBody(request: Request): Promise<void> {
    try {
      if (request.body === undefined) {
        // A browser that knows no streams as bodies.
        this.body = await request.text();
        return;
      }
      const reader = request.body?.getReader();
      if (!reader) return;
      const reject = this.#reject;
      this.#reject = (reason) => {
        reject(reason);
        // Does nothing once all of it was read.
        reader.cancel(reason).catch(() => {});
      };
      const decoder = new TextDecoder();
      for (let read; !(read = await reader.read()).done;) {
        this.body += decoder.decode(read.value, { stream: true });
      }
      this.body += decoder.decode();
    } catch (cause) {
      throw this.fail(
        new TypeError("fetch failed: the request's body cannot be read", {
          cause,
        }),
      );
    }
  }

  #answer(
    chunks: readonly ScriptedChunk[],
    end: "close" | ScriptedFailure,
  ): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    let position = 0;
    /** Goes on to the next chunk that is to be read for. */
    const goOn = (): Promise<void> => {
      let delay = 0;
      for (; position < chunks.length; position++) {
        const chunk = chunks[position];
        if (typeof chunk !== "object" || !("wait" in chunk)) break;
        delay += chunk.wait;
      }
      return this.#sleep(delay);
    };
    let ready = goOn();
    return new ReadableStream({
      start: (controller) => {
        this.#reject = (reason) => controller.error(reason);
      },
      pull: async (controller) => {
        await ready;
        if (this.outcome !== "pending") return;
        const chunk = chunks[position++];
        if (typeof chunk === "string") {
          controller.enqueue(encoder.encode(chunk));
          ready = goOn();
        } else if (chunk instanceof Uint8Array) {
          // A copy, as whoever reads it may change it or transfer it.
          controller.enqueue(chunk.slice());
          ready = goOn();
        } else if (end === "close") {
          this.#finish("ended", undefined);
          controller.close();
        } else {
          await this.#break(end, "in the middle of the body");
        }
      },
      cancel: (reason) => this.#finish("cancelled", reason),
    }, { highWaterMark: 0 });
  }

  #break(failure: ScriptedFailure, when: string): Promise<never> {
    if (failure === "stall") return new Promise(() => {});
    const error = failure === "drop"
      ? new TypeError(`fetch failed: the connection was dropped ${when}`)
      : failure.error;
    return Promise.reject(this.fail(error));
  }

  #sleep(delay: number): Promise<void> {
    if (delay === 0 || this.outcome !== "pending") return Promise.resolve();
    return new Promise((resolve) => {
      this.#cancelTimer = this.#clock.setTimeout(resolve, delay);
    });
  }

  /** Ends, unless it has ended; nothing stays behind. */
  #finish(outcome: ScriptedOutcome, reason: unknown): void {
    if (this.outcome !== "pending") return;
    this.outcome = outcome;
    this.reason = reason;
    this.#cancelTimer?.();
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

/** The connection as it is now, so that later changes do no harm. */
function checked(
  connection: ScriptedConnection,
  index: number,
): ScriptedConnection {
  const which = `Cannot script connection ${index + 1}`;
  const checkTime = (name: string, value: number): void => {
    if (typeof value === "number" && value >= 0 && value < Infinity) return;
    throw new RangeError(
      `${which} as '${name}' must be a number of milliseconds, 0 or more: current value is ${value}`,
    );
  };
  checkTime("delay", connection.delay ?? 0);
  if (connection.connect !== undefined) {
    if (!isFailure(connection.connect)) {
      throw new TypeError(
        `${which} as 'connect' must be "drop", "stall" or { error }: current value is ${connection.connect}`,
      );
    }
    return { ...connection };
  }
  const { status = 200, headers, chunks = [], end = "close" } = connection;
  if (!(Number.isInteger(status) && status >= 200 && status <= 599)) {
    throw new RangeError(
      `${which} as 'status' must be an integer from 200 to 599: current value is ${status}`,
    );
  }
  if (BODILESS.includes(status) && (chunks.length > 0 || end !== "close")) {
    throw new TypeError(
      `${which} as an answer of status ${status} has no body: leave out 'chunks' and 'end'`,
    );
  }
  if (end !== "close" && !isFailure(end)) {
    throw new TypeError(
      `${which} as 'end' must be "close", "drop", "stall" or { error }: current value is ${end}`,
    );
  }
  for (const chunk of chunks) {
    if (typeof chunk === "string" || chunk instanceof Uint8Array) continue;
    checkTime("wait", chunk.wait);
  }
  return { ...connection, headers: new Headers(headers), chunks: [...chunks] };
}

function isFailure(value: ScriptedFailure): boolean {
  if (value === "drop" || value === "stall") return true;
  return typeof value === "object" && "error" in value;
}
