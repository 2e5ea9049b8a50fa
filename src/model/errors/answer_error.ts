// This module is browser compatible.
import { ModelError } from "./model_error.ts";

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

/**
 * Returns the status of an answer, with its phrase.
 *
 * @param answer The answer.
 * @returns The line.
 */
export function statusLine({ status, statusText }: ProviderAnswer): string {
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
