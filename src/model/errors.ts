// This module is browser compatible.
import { messageOf } from "../fetch/message_of.ts";
import type { Usage } from "./usage.ts";

/**
 * Why a provider says that a response has failed; `"response_failed"` for what
 * has no code here. The provider's own is in `providerCode`.
 */
export type FailureCode =
  | "context_length_exceeded"
  | "insufficient_quota"
  | "usage_not_included"
  | "cyber_policy"
  | "invalid_prompt"
  | "rate_limit_exceeded"
  | "server_is_overloaded"
  | "response_failed";

/** How a stream can break off; see {@linkcode StreamError}. */
export type StreamErrorCode =
  | "truncated"
  | "idle"
  | "disconnected"
  | "invalid_stream";

/** The `code` of a {@linkcode ModelError}. */
export type ModelErrorCode =
  | "missing_key"
  | "invalid_environment"
  | "unexpected_status"
  | "retry_limit"
  | "retry_after_too_long"
  | "connection_failed"
  | "not_a_stream"
  | "invalid_fixture"
  | StreamErrorCode
  | FailureCode;

/** What is known of a response that has come to nothing. */
export interface ResponseFacts {
  /** The id of the response, once it was told. */
  readonly responseId?: string | undefined;
  /** The provider's id of the request, for its support. */
  readonly requestId?: string | undefined;
  /** What the response has cost, as far as it was told. */
  readonly usage?: Usage | undefined;
}

/**
 * A model's response could not be had, or did not come to its end.
 *
 * The base of this module's errors: `code` says which it is, and `retryable`
 * whether asking once more may help. None carries a key.
 *
 * @example Tell what to do from what has happened
 * ```ts
 * import { ModelError } from "@rivulet/rivulet/model";
 *
 * function advice(error: unknown): string {
 *   if (!(error instanceof ModelError)) return "report it";
 *   if (error.code === "context_length_exceeded") return "make it shorter";
 *   return error.retryable ? "try again" : error.message;
 * }
 * ```
 */
export abstract class ModelError extends Error {
  /** Which error it is. */
  abstract readonly code: ModelErrorCode;
  /** Whether the same request may succeed when it is made again. */
  abstract readonly retryable: boolean;
  /** The id of the response, once it was told. */
  responseId: string | undefined = undefined;
  /** The provider's id of the request, for its support. */
  requestId: string | undefined = undefined;
  /** What the response has cost, as far as it was told. */
  usage: Usage | undefined = undefined;

  /**
   * Adds what is known of the response.
   *
   * @param facts What is known; what the error has already is kept.
   * @returns This error.
   */
  about(facts: ResponseFacts): this {
    this.responseId ??= facts.responseId || undefined;
    this.requestId ??= facts.requestId;
    this.usage ??= facts.usage;
    return this;
  }
}

/**
 * A provider's key was to be read from the environment, and is not there.
 *
 * @example Say where to get a key
 * ```ts
 * import { MissingKeyError } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new MissingKeyError("ACME_API_KEY", "See https://acme.example/keys.");
 * assertEquals(
 *   error.message,
 *   "Missing environment variable: `ACME_API_KEY`. See https://acme.example/keys.",
 * );
 * ```
 */
export class MissingKeyError extends ModelError {
  /** Which error it is. */
  readonly code = "missing_key";
  /** Whether the same request may succeed when it is made again: no. */
  readonly retryable = false;
  /** The name of the variable. */
  readonly variable: string;
  /** How to get a key, where the provider says so. */
  readonly instructions: string | undefined;

  /**
   * Makes an error.
   *
   * @param variable The name of the variable.
   * @param instructions How to get a key.
   * @param options Why it cannot be read, if that is so.
   */
  constructor(
    variable: string,
    instructions: string | undefined,
    options?: ErrorOptions,
  ) {
    super(
      `Missing environment variable: \`${variable}\`.${
        instructions ? ` ${instructions}` : ""
      }`,
      options,
    );
    this.name = "MissingKeyError";
    this.variable = variable;
    this.instructions = instructions;
  }
}

/**
 * A setting in the environment is not what it must be.
 *
 * @example Name the variable
 * ```ts
 * import { EnvironmentError } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new EnvironmentError(
 *   "OPENAI_REQUEST_MAX_RETRIES",
 *   "a whole number, 0 or more",
 *   "many",
 * );
 * assertEquals(
 *   error.message,
 *   "Cannot stream as the environment variable OPENAI_REQUEST_MAX_RETRIES must be a whole number, 0 or more: current value is 'many'",
 * );
 * ```
 */
export class EnvironmentError extends ModelError {
  /** Which error it is. */
  readonly code = "invalid_environment";
  /** Whether the same request may succeed when it is made again: no. */
  readonly retryable = false;
  /** The name of the variable. */
  readonly variable: string;

  /**
   * Makes an error.
   *
   * @param variable The name of the variable.
   * @param expected What it must be.
   * @param value What it is, if that may be shown.
   */
  constructor(variable: string, expected: string, value?: string) {
    super(
      `Cannot stream as the environment variable ${variable} must be ${expected}${
        value === undefined ? "" : `: current value is '${value}'`
      }`,
    );
    this.name = "EnvironmentError";
    this.variable = variable;
  }
}

/** What a provider answered in place of a stream. */
export interface ProviderAnswer {
  /** The status code. */
  readonly status: number;
  /** The reason phrase; `""` if none. */
  readonly statusText: string;
  /** The headers, without cookies. */
  readonly headers: Headers;
  /** The first 64 KiB of the body as text. */
  readonly body: string;
  /** Whether the body was longer, or broke off. */
  readonly truncated: boolean;
}

/**
 * The provider's answer was not what it should be: the base of the errors that
 * show what it was.
 *
 * @example Show what the provider says
 * ```ts
 * import { AnswerError } from "@rivulet/rivulet/model";
 *
 * const show = (error: unknown): string =>
 *   error instanceof AnswerError ? `${error.status}: ${error.body}` : "";
 * ```
 */
export abstract class AnswerError extends ModelError implements ProviderAnswer {
  /** The status code. */
  readonly status: number;
  /** The reason phrase; `""` if none. */
  readonly statusText: string;
  /** The headers, without cookies. */
  readonly headers: Headers;
  /** The first 64 KiB of the body as text. */
  readonly body: string;
  /** Whether the body was longer, or broke off. */
  readonly truncated: boolean;

  /**
   * Makes an error.
   *
   * @param message What came.
   * @param answer The answer.
   * @param options The cause.
   */
  constructor(message: string, answer: ProviderAnswer, options?: ErrorOptions) {
    super(message, options);
    this.status = answer.status;
    this.statusText = answer.statusText;
    this.headers = answer.headers;
    this.body = answer.body;
    this.truncated = answer.truncated;
    this.requestId = requestIdOf(answer.headers);
  }
}

/** The headers that providers, and those in front of them, put their id into. */
const REQUEST_ID_HEADERS = [
  "x-request-id",
  "x-oai-request-id",
  "request-id",
  "apim-request-id",
  "x-groq-request-id",
  "cf-ray",
];

/**
 * The id that a provider has given a request.
 *
 * @param headers The headers of the answer.
 * @returns The id; `undefined` if there is none.
 */
export function requestIdOf(headers: Headers): string | undefined {
  for (const name of REQUEST_ID_HEADERS) {
    const id = headers.get(name);
    if (id) return id;
  }
  return undefined;
}

function statusLine({ status, statusText }: ProviderAnswer): string {
  // HTTP/2 has no reason phrases: the ones that most clients retry are known.
  const phrase = statusText || STATUS_TEXT[status] || "";
  return phrase ? `${status} ${phrase}` : `${status}`;
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  408: "Request Timeout",
  409: "Conflict",
  422: "Unprocessable Entity",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/**
 * The provider's status was not a success, and not one to try again after.
 *
 * @example A request that the provider refuses
 * ```ts
 * import { ModelClient, providers, UnexpectedStatusError, user } from "@rivulet/rivulet/model";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: { ...providers.openai, apiKey: "key" },
 *   fetch: () => Promise.resolve(new Response("no such model", { status: 404 })),
 * });
 * const error = await assertRejects(
 *   () => client.stream({ input: [user("Hello")] }),
 *   UnexpectedStatusError,
 * );
 * assertEquals(error.message, "unexpected status 404 Not Found: no such model");
 * ```
 */
export class UnexpectedStatusError extends AnswerError {
  /** Which error it is. */
  readonly code = "unexpected_status";
  /** Whether the same request may succeed when it is made again: no. */
  readonly retryable = false;

  /**
   * Makes an error.
   *
   * @param answer The answer.
   * @param options The cause.
   */
  constructor(answer: ProviderAnswer, options?: ErrorOptions) {
    super(
      `unexpected status ${statusLine(answer)}: ${answer.body}`,
      answer,
      options,
    );
    this.name = "UnexpectedStatusError";
  }
}

/**
 * The provider was busy or broken, again and again, until the retries were used
 * up; `status` and `body` are those of its last answer.
 *
 * @example Show the reason of the last answer
 * ```ts
 * import { ModelClient, providers, RetryLimitError, user } from "@rivulet/rivulet/model";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: { ...providers.openai, apiKey: "key", requestMaxRetries: 0 },
 *   fetch: () => Promise.resolve(new Response("slow down", { status: 429 })),
 * });
 * const error = await assertRejects(
 *   () => client.stream({ input: [user("Hello")] }),
 *   RetryLimitError,
 * );
 * assertEquals(
 *   error.message,
 *   "exceeded retry limit, last status: 429 Too Many Requests: slow down",
 * );
 * assertEquals(error.attempts, 1);
 * ```
 */
export class RetryLimitError extends AnswerError {
  /** Which error it is. */
  readonly code = "retry_limit";
  /** Whether the same request may succeed when it is made again: later, yes. */
  readonly retryable = true;
  /** How many requests were made. */
  readonly attempts: number;
  /** How long the provider asks to be left alone, in milliseconds. */
  readonly retryAfter: number | undefined;

  /**
   * Makes an error.
   *
   * @param answer The last answer.
   * @param attempts How many requests were made.
   * @param retryAfter How long the provider asks to be left alone, in milliseconds.
   * @param options The cause.
   */
  constructor(
    answer: ProviderAnswer,
    attempts: number,
    retryAfter: number | undefined,
    options?: ErrorOptions,
  ) {
    const { body } = answer;
    super(
      `exceeded retry limit, last status: ${statusLine(answer)}${
        body === "" ? "" : `: ${body}`
      }`,
      answer,
      options,
    );
    this.name = "RetryLimitError";
    this.attempts = attempts;
    this.retryAfter = retryAfter;
  }
}

/**
 * The provider asks to be left alone for longer than `maxRetryAfter`.
 *
 * @example Come back when the provider says
 * ```ts
 * import { ModelClient, providers, RetryAfterError, user } from "@rivulet/rivulet/model";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: { ...providers.openai, apiKey: "key" },
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("", { status: 429, headers: { "Retry-After": "3600" } }),
 *     ),
 * });
 * const error = await assertRejects(
 *   () => client.stream({ input: [user("Hello")] }),
 *   RetryAfterError,
 * );
 * assertEquals(error.retryAfter, 3_600_000);
 * ```
 */
export class RetryAfterError extends AnswerError {
  /** Which error it is. */
  readonly code = "retry_after_too_long";
  /** Whether the same request may succeed when it is made again: later, yes. */
  readonly retryable = true;
  /** How long the provider asks to be left alone, in milliseconds. */
  readonly retryAfter: number;
  /** The longest wait that was allowed, in milliseconds. */
  readonly maxRetryAfter: number;

  /**
   * Makes an error.
   *
   * @param answer The answer.
   * @param retryAfter How long the provider asks to be left alone, in milliseconds.
   * @param maxRetryAfter The longest wait that was allowed, in milliseconds.
   * @param options The cause.
   */
  constructor(
    answer: ProviderAnswer,
    retryAfter: number,
    maxRetryAfter: number,
    options?: ErrorOptions,
  ) {
    const { body } = answer;
    super(
      `the provider asks for a wait of ${retryAfter / 1_000} s, more than the ${
        maxRetryAfter / 1_000
      } s of 'maxRetryAfter', last status: ${statusLine(answer)}${
        body === "" ? "" : `: ${body}`
      }`,
      answer,
      options,
    );
    this.name = "RetryAfterError";
    this.retryAfter = retryAfter;
    this.maxRetryAfter = maxRetryAfter;
  }
}

/**
 * There was no answer, however often it was asked for; `cause` says why the last
 * time.
 *
 * @example A provider that cannot be reached
 * ```ts
 * import { ConnectionFailedError, ModelClient, providers, user } from "@rivulet/rivulet/model";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: { ...providers.openai, apiKey: "key", requestMaxRetries: 0 },
 *   fetch: () => Promise.reject(new TypeError("no route")),
 * });
 * const error = await assertRejects(
 *   () => client.stream({ input: [user("Hello")] }),
 *   ConnectionFailedError,
 * );
 * assertEquals(error.attempts, 1);
 * ```
 */
export class ConnectionFailedError extends ModelError {
  /** Which error it is. */
  readonly code = "connection_failed";
  /** Whether the same request may succeed when it is made again: yes. */
  readonly retryable = true;
  /** How many requests were made. */
  readonly attempts: number;

  /**
   * Makes an error.
   *
   * @param attempts How many requests were made.
   * @param cause What happened to the last.
   */
  constructor(attempts: number, cause: unknown) {
    super(messageOf(cause), { cause });
    this.name = "ConnectionFailedError";
    this.attempts = attempts;
  }
}

/**
 * The provider's answer was a success, and no event stream: a JSON object with an
 * error in it, a page, or nothing.
 *
 * @example An error that comes as a success
 * ```ts
 * import { ModelClient, NotAStreamError, providers, user } from "@rivulet/rivulet/model";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: { ...providers.openai, apiKey: "key" },
 *   fetch: () => Promise.resolve(Response.json({ error: { message: "busy" } })),
 * });
 * const error = await assertRejects(
 *   () => client.stream({ input: [user("Hello")] }),
 *   NotAStreamError,
 * );
 * assertEquals(error.contentType, "application/json");
 * assertEquals(error.providerMessage, "busy");
 * ```
 */
export class NotAStreamError extends AnswerError {
  /** Which error it is. */
  readonly code = "not_a_stream";
  /** Whether the same request may succeed when it is made again: hardly. */
  readonly retryable = false;
  /** The value of the `Content-Type` header; `undefined` if there was none. */
  readonly contentType: string | undefined;
  /** What the provider says in the error that it sent as JSON, if it did. */
  readonly providerMessage: string | undefined;

  /**
   * Makes an error.
   *
   * @param answer The answer.
   * @param options The cause.
   */
  constructor(answer: ProviderAnswer, options?: ErrorOptions) {
    const contentType = answer.headers.get("content-type") ?? undefined;
    const said = errorMessageIn(answer.body);
    super(
      `Cannot stream the response as the content type must be text/event-stream: got ${
        contentType ?? "none"
      }${said === undefined ? "" : `, which says: ${said}`}${
        answer.body === "" ? ", and an empty body" : " (its start is in 'body')"
      }`,
      answer,
      options,
    );
    this.name = "NotAStreamError";
    this.contentType = contentType;
    this.providerMessage = said;
  }
}

/** The message in a body such as `{"error": {"message": "..."}}`. */
function errorMessageIn(body: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined; // a page, or cut off: it is all in `body`
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const error: unknown = "error" in parsed ? parsed.error : parsed;
  if (typeof error === "string") return error;
  if (typeof error !== "object" || error === null) return undefined;
  return "message" in error && typeof error.message === "string"
    ? error.message
    : undefined;
}

/**
 * A stream broke off before the provider had said how the response ends.
 *
 * `code` tells how: `"truncated"`, the body ended; `"idle"`, it was silent for
 * too long; `"disconnected"`, the network failed; `"invalid_stream"`, what came
 * cannot be read. What came before it may be any part of the response.
 *
 * @example Tell silence from an end
 * ```ts
 * import { StreamError } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new StreamError("truncated", "stream closed before response.completed");
 * assertEquals(
 *   error.message,
 *   "stream disconnected before completion: stream closed before response.completed",
 * );
 * assertEquals(error.retryable, true);
 * ```
 */
export class StreamError extends ModelError {
  /** How it broke off. */
  readonly code: StreamErrorCode;
  /** Whether the same request may succeed when it is made again: yes. */
  readonly retryable = true;

  /**
   * Makes an error.
   *
   * @param code How it broke off.
   * @param reason The same in words.
   * @param options The cause.
   */
  constructor(code: StreamErrorCode, reason: string, options?: ErrorOptions) {
    super(`stream disconnected before completion: ${reason}`, options);
    this.name = "StreamError";
    this.code = code;
  }
}

/** What a provider says of a response that has failed. */
export interface ProviderFailure {
  /** Its own code, or the type of error where it has no code. */
  readonly providerCode: string | undefined;
  /** Its own words. */
  readonly providerMessage: string;
  /** What it calls the kind of error. */
  readonly providerType: string | undefined;
  /** The parameter that is to blame. */
  readonly param: string | undefined;
  /** How long it asks to be left alone, in milliseconds. */
  readonly retryAfter: number | undefined;
  /** All that it says, as the wire has it. */
  readonly details: unknown;
}

/**
 * The provider says that the response has failed.
 *
 * @example Wait as long as the provider asks
 * ```ts
 * import { ResponseFailedError } from "@rivulet/rivulet/model";
 *
 * const wait = (error: unknown): number | undefined =>
 *   error instanceof ResponseFailedError && error.retryable
 *     ? error.retryAfter ?? 1_000
 *     : undefined;
 * ```
 */
export class ResponseFailedError extends ModelError implements ProviderFailure {
  /** Why, as far as there is a code for it. */
  readonly code: FailureCode;
  /** Whether the same request may succeed when it is made again. */
  readonly retryable: boolean;
  /** The provider's own code, or the type of error where it has no code. */
  readonly providerCode: string | undefined;
  /** The provider's own words. */
  readonly providerMessage: string;
  /** What the provider calls the kind of error. */
  readonly providerType: string | undefined;
  /** The parameter that is to blame. */
  readonly param: string | undefined;
  /** How long the provider asks to be left alone, in milliseconds. */
  readonly retryAfter: number | undefined;
  /** All that the provider says, as the wire has it. */
  readonly details: unknown;

  /**
   * Makes an error.
   *
   * @param code Why.
   * @param retryable Whether the same request may succeed when it is made again.
   * @param failure What the provider says.
   */
  constructor(code: FailureCode, retryable: boolean, failure: ProviderFailure) {
    const { providerCode, providerMessage } = failure;
    super(
      `the response has failed (${providerCode ?? code}): ${
        providerMessage || "the provider gives no reason"
      }`,
    );
    this.name = "ResponseFailedError";
    this.code = code;
    this.retryable = retryable;
    this.providerCode = providerCode;
    this.providerMessage = providerMessage;
    this.providerType = failure.providerType;
    this.param = failure.param;
    this.retryAfter = failure.retryAfter;
    this.details = failure.details;
  }
}

/**
 * A stream was to come from a file, and cannot.
 *
 * @example A file that is not there
 * ```ts
 * import { FixtureError, ModelClient, providers, user } from "@rivulet/rivulet/model";
 * import { assertRejects } from "@std/assert";
 *
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: providers.openai,
 *   fixture: "fixtures/nothing.sse",
 * });
 * await assertRejects(() => client.stream({ input: [user("Hello")] }), FixtureError);
 * ```
 */
export class FixtureError extends ModelError {
  /** Which error it is. */
  readonly code = "invalid_fixture";
  /** Whether the same request may succeed when it is made again: no. */
  readonly retryable = false;
  /** The path of the file. */
  readonly path: string;

  /**
   * Makes an error.
   *
   * @param path The path of the file.
   * @param reason What is wrong with it.
   * @param options The cause.
   */
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`Cannot stream from the fixture '${path}': ${reason}`, options);
    this.name = "FixtureError";
    this.path = path;
  }
}
