// This module is browser compatible.
import { abortable } from "../fetch/abortable.ts";
import { type Clock, wallTime } from "../fetch/clock.ts";
import { Connection, type ConnectionOptions } from "../fetch/connection.ts";
import {
  BodyStreamError,
  ConnectionError,
  ConnectTimeoutError,
  HttpStatusError,
  IdleTimeoutError,
  NotAnEventStreamError,
  type UnexpectedResponseError,
} from "../fetch/errors.ts";
import {
  backoffDelay,
  type CompleteRetryPolicy,
  wait,
} from "../fetch/retry.ts";
import { isRuntimeTimeout } from "../fetch/runtime_timeout.ts";
import { Redactor } from "../fetch/secrets/redactor.ts";
import { readKey } from "./environment.ts";

import { ConnectionFailedError } from "./errors/connection_failed_error.ts";
import { NotAStreamError } from "./errors/not_a_stream_error.ts";
import {
  RetryAfterError,
  RetryLimitError,
  UnexpectedStatusError,
} from "./errors/status_errors.ts";
import { UnsupportedFetchError } from "./errors/unsupported_fetch_error.ts";
import {
  type ClassifiedAnswer,
  readAnswer,
  requestIdOf,
} from "./failures/answer_failure.ts";
import { Leftovers } from "./leftovers.ts";
import type { ModelProvider } from "./provider.ts";
import { parseRateLimits, type RateLimits } from "./rate_limits.ts";
import type { Upstream } from "./upstream.ts";

/**
 * The head of a provider's response, before its stream.
 *
 * @example Keep the id that the provider's support asks for
 * ```ts
 * import type { ModelResponse } from "@rivulet/rivulet/model";
 *
 * const note = ({ status, requestId }: ModelResponse): string =>
 *   `${status} ${requestId ?? "without an id"}`;
 * ```
 */
export interface ModelResponse {
  /** The status code. */
  readonly status: number;
  /** The headers. */
  readonly headers: Headers;
  /** The provider's id of the request, for its support; `undefined` if it gives none. */
  readonly requestId: string | undefined;
  /** The rate limits that the response states; empty if it states none. */
  readonly rateLimits: RateLimits;
}

/** A stream that has begun. */
export interface Opened {
  /** Its events. */
  readonly upstream: Upstream;
  /** The head of the response. */
  readonly response: ModelResponse;
  /** Takes the secrets of the request out of a text. */
  redact(text: string): string;
}

/** The settings of a {@linkcode Requester}. */
export interface RequesterOptions {
  /** The provider to ask. */
  readonly provider: ModelProvider;
  /** The URL that paths go after. */
  readonly baseUrl: string;
  /** The path to ask at. */
  readonly path: string;
  /** The header that the key goes into. */
  readonly keyHeader: string;
  /** Headers that the wire API wants. */
  readonly headers: Readonly<Record<string, string>>;
  /** Headers of this response's own, over the provider's. */
  readonly callHeaders: Readonly<Record<string, string>>;
  /** Makes the body; asked on every attempt. */
  body(): Record<string, unknown>;
  /**
   * Told of every status that is final: whether the request is to be made again at
   * once, differently.
   */
  isMended(status: number, body: string): boolean;
  /** The number of retries of a request that got no stream. */
  readonly requestMaxRetries: number;
  /** The number of retries of a request whose stream broke off. */
  readonly streamMaxRetries: number;
  /** The delays between requests. */
  readonly policy: CompleteRetryPolicy;
  /** Until the headers of an answer, in milliseconds. */
  readonly connectTimeout: number;
  /** Without a byte, in milliseconds. */
  readonly idleTimeout: number;
  /** Without an event, in milliseconds. */
  readonly eventTimeout: number;
  /** The most that an event may have, in UTF-16 code units. */
  readonly maxEventSize: number | undefined;
  /** The form in which bodies are sent; asked on every attempt. */
  sendBody(): ConnectionOptions["sendBody"];
  /** Called where the provider takes a body only with its length. */
  onLengthWanted(): void;
  /** The function that makes requests. */
  readonly fetch: ConnectionOptions["fetch"];
  /** The clock to use. */
  readonly clock: Clock;
  /** Chance, from 0 to 1. */
  readonly random: () => number;
  /** Ends every request and wait, with its reason. */
  readonly signal: AbortSignal;
}

/** The number of redirects that a request follows. */
const MAX_REDIRECTS = 10;

/** Takes the secrets of a request out of a text. */
type Redact = (text: string) => string;

/** Something that can be asked for. */
interface Target {
  readonly url: string;
  readonly method: "GET" | "POST";
}

/**
 * Makes the requests for one response, within one budget: what is used up by
 * answers that were no stream is not there for streams that break off.
 */
export class Requester {
  readonly #options: RequesterOptions;
  readonly #start: number;
  #attempts = 0;
  #retries = 0;
  /**
   * The delay before the next retry, which is known before the retry is
   * allowed.
   */
  #delay: number | undefined;
  /**
   * The body that was sent last: the rest of its response may quote it. Not as
   * JSON, which would take as much memory as the prompt once more.
   */
  #body: Record<string, unknown> | undefined;
  /**
   * The URL of the stream, as the last answer has it: errors hide parts of it.
   */
  #location: string | null = null;

  /** Makes a requester that has asked for nothing. */
  constructor(options: RequesterOptions) {
    this.#options = options;
    this.#start = options.clock.now();
  }

  /** The number of requests made. */
  get attempts(): number {
    return this.#attempts;
  }

  /** Whether a stream that broke off may be asked for again: to be looked at before. */
  get mayRetryStream(): boolean {
    return this.#mayRetry(this.#options.streamMaxRetries, this.#backoff());
  }

  /**
   * Asks for the response.
   *
   * @returns The stream, once it has begun.
   * @throws {ModelError} If it cannot be had.
   */
  open(): Promise<Opened> {
    return this.#request({
      url: this.#url(this.#options.path),
      method: "POST",
    });
  }

  /**
   * Asks for the response again, after a wait.
   *
   * @returns The stream, once it has begun.
   * @throws {ModelError} If it cannot be had.
   */
  async reopen(): Promise<Opened> {
    await this.#backOff();
    return await this.open();
  }

  /**
   * Asks for the rest of a response that the provider keeps, after a wait.
   *
   * @param path Its path.
   * @param query From where on.
   * @returns The stream, once it has begun.
   * @throws {ModelError} If it cannot be had.
   */
  async resume(
    path: string,
    query: Readonly<Record<string, string>>,
  ): Promise<Opened> {
    await this.#backOff();
    return await this.#request({ url: this.#url(path, query), method: "GET" });
  }

  async #backOff(): Promise<void> {
    const { clock, signal } = this.#options;
    const delay = this.#backoff();
    this.#count();
    await wait(delay, clock, signal);
  }

  async #request(target: Target): Promise<Opened> {
    const { signal, clock } = this.#options;
    for (let hops = 0;;) {
      signal.throwIfAborted();
      const headers = await this.#headers(target.method);
      signal.throwIfAborted();
      let body: string | undefined;
      if (target.method === "POST") {
        this.#body = this.#options.body();
        body = JSON.stringify(this.#body);
      }
      const { url } = target;
      const redactor = new Redactor({ url, headers, body: this.#body });
      const redact = (text: string) => redactor.text(text);
      const leftovers = new Leftovers();
      const connection = this.#connection(target, {
        headers,
        body,
        redactor,
        recover: leftovers.take,
      });
      this.#attempts++;
      try {
        const { status, headers } = await connection.open();
        const response = {
          status,
          headers,
          requestId: requestIdOf(headers),
          rateLimits: parseRateLimits(headers),
        };
        return { upstream: leftovers.after(connection), response, redact };
      } catch (error) {
        signal.throwIfAborted();
        const redirect = hops < MAX_REDIRECTS &&
          redirectOf(error, this.#location, target);
        if (redirect) {
          hops++;
          target = redirect;
          continue;
        }
        const delay = this.#delayAfter(error, redact);
        if (delay === undefined) continue;
        await wait(delay, clock, signal);
      }
    }
  }

  #connection(
    { url, method }: Target,
    request: Pick<
      ConnectionOptions,
      "headers" | "body" | "redactor" | "recover"
    >,
  ): Connection {
    const options = this.#options;
    const { signal } = options;
    return new Connection(url, {
      ...request,
      method,
      // Followed here, so that the key goes to nobody else, and a POST stays one.
      redirect: "manual",
      isExpected: (status) => status >= 200 && status < 300,
      // Some providers say text/plain, JSON or nothing.
      contentType: "any",
      lastEventId: "",
      signal,
      connectTimeout: options.connectTimeout,
      idleTimeout: options.idleTimeout,
      eventTimeout: options.eventTimeout,
      heartbeat: undefined,
      maxEventSize: options.maxEventSize,
      sendBody: options.sendBody(),
      onLengthWanted: () => options.onLengthWanted(),
      onBytes: () => {},
      onRetryTime: undefined,
      fetch: async (input, init) => {
        // Called as a function: browsers' fetch refuses to be another's method.
        const fetch = options.fetch ?? globalThis.fetch;
        const response = await fetch(input, init);
        this.#location = response.headers.get("location");
        return response;
      },
      clock: options.clock,
    });
  }

  async #headers(method: string): Promise<Headers> {
    const { provider, keyHeader, headers: wanted, signal } = this.#options;
    const headers = new Headers({ accept: "text/event-stream", ...wanted });
    if (method === "POST") headers.set("content-type", "application/json");
    const key = await this.#key();
    if (key !== undefined) {
      const isBearer = keyHeader.toLowerCase() === "authorization";
      setHeader(headers, keyHeader, isBearer ? `Bearer ${key}` : key);
    }
    const own = typeof provider.headers === "function"
      ? await abortable(provider.headers(), signal)
      : provider.headers;
    const { callHeaders } = this.#options;
    for (const [name, value] of Object.entries({ ...own, ...callHeaders })) {
      setHeader(headers, name, value);
    }
    return headers;
  }

  async #key(): Promise<string | undefined> {
    const { provider, signal } = this.#options;
    const { apiKey, envKey, envKeyInstructions } = provider;
    const given = typeof apiKey === "function"
      ? await abortable(apiKey(), signal)
      : apiKey;
    if (given !== undefined && given.trim() !== "") return given;
    return envKey === undefined
      ? undefined
      : readKey(envKey, envKeyInstructions);
  }

  #url(path: string, query: Readonly<Record<string, string>> = {}): string {
    const { baseUrl, provider } = this.#options;
    const url = new URL(baseUrl);
    url.pathname = url.pathname.replace(/\/+$/, "") + path;
    for (
      const [name, value] of Object.entries({ ...provider.query, ...query })
    ) {
      url.searchParams.set(name, value);
    }
    return url.href;
  }

  /**
   * Returns the delay after a failure, in milliseconds; `undefined` if the next
   * request differs and needs no delay.
   *
   * @throws {ModelError} If there is to be none.
   */
  #delayAfter(error: unknown, redact: Redact): number | undefined {
    if (error instanceof NotAnEventStreamError) {
      const failure = this.#read(error, redact);
      throw new NotAStreamError(error, failure, { cause: error });
    }
    if (error instanceof BodyStreamError) {
      throw new UnsupportedFetchError({ cause: error });
    }
    if (error instanceof HttpStatusError) {
      return this.#delayAfterStatus(error, redact);
    }
    if (
      error instanceof ConnectionError ||
      error instanceof ConnectTimeoutError ||
      // Before its first byte: its type did not tell that it is a stream.
      error instanceof IdleTimeoutError
    ) {
      const delay = this.#backoff();
      if (
        // The next request would end there too, and be paid for.
        isRuntimeTimeout(error) ||
        !this.#mayRetry(this.#options.requestMaxRetries, delay)
      ) {
        throw new ConnectionFailedError(this.#attempts, error);
      }
      this.#count();
      return delay;
    }
    throw error;
  }

  #delayAfterStatus(
    error: HttpStatusError,
    redact: Redact,
  ): number | undefined {
    const { policy, isMended, requestMaxRetries } = this.#options;
    const { status, headers, body } = error;
    const cause = { cause: error };
    const failure = this.#read(error, redact);
    const wish = headers.get("x-should-retry");
    const isTemporary = wish === "true" ||
      wish !== "false" && failure.outlook === "temporary";
    if (!isTemporary) {
      if (isMended(status, body)) return undefined;
      throw new UnexpectedStatusError(error, failure, cause);
    }
    const { retryAfter } = failure;
    const { maxRetryAfter } = policy;
    if (retryAfter !== undefined && retryAfter > maxRetryAfter) {
      throw new RetryAfterError(
        error,
        retryAfter,
        maxRetryAfter,
        failure,
        cause,
      );
    }
    const delay = retryAfter ?? this.#backoff();
    if (!this.#mayRetry(requestMaxRetries, delay)) {
      throw new RetryLimitError(error, this.#attempts, failure, cause);
    }
    this.#count();
    return delay;
  }

  #read(error: UnexpectedResponseError, redact: Redact): ClassifiedAnswer {
    return readAnswer(error, wallTime(this.#options.clock), redact);
  }

  /** Whether there may be one more, after a wait. */
  #mayRetry(maxRetries: number, delay: number): boolean {
    const { policy, clock } = this.#options;
    return this.#retries < maxRetries &&
      clock.now() - this.#start + delay <= policy.maxElapsed;
  }

  /**
   * Returns the delay before the next retry: the same until that retry is
   * counted.
   */
  #backoff(): number {
    const { policy, random } = this.#options;
    return this.#delay ??= backoffDelay(this.#retries, policy, random);
  }

  #count(): void {
    this.#retries++;
    this.#delay = undefined;
  }
}

/**
 * Returns the target of a redirect, if it can be followed with the same method
 * and the key: on the same host, and not to a place where everybody can listen.
 */
function redirectOf(
  error: unknown,
  location: string | null,
  target: Target,
): Target | undefined {
  if (!(error instanceof HttpStatusError)) return undefined;
  if (error.status !== 307 && error.status !== 308) return undefined;
  if (location === null || !URL.canParse(location, target.url)) {
    return undefined;
  }
  const from = new URL(target.url);
  const to = new URL(location, target.url);
  const isSafe = to.origin === from.origin ||
    to.hostname === from.hostname && to.protocol === "https:";
  return isSafe ? { url: to.href, method: target.method } : undefined;
}

function setHeader(headers: Headers, name: string, value: string): void {
  try {
    headers.set(name, value);
  } catch {
    // Without the cause: runtimes quote the value, which may be a key.
    throw new TypeError(
      `Cannot stream as the provider's header ${
        JSON.stringify(name)
      } must have a name and a value that HTTP allows`,
    );
  }
}
