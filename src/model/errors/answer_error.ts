// This module is browser compatible.
import { cutText } from "../failures/cut_text.ts";
import { type FailureCode, ModelError } from "./model_error.ts";

/** A provider's answer in place of a stream. */
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

/** An answer's error, as the provider says it. */
export interface AnswerFailure {
  /** Its meaning, where there is a code for it. */
  readonly failureCode: FailureCode | undefined;
  /** The provider's own code, or the kind of error where it has no code. */
  readonly providerCode: string | undefined;
  /** The provider's own words; `undefined` if there are none. */
  readonly providerMessage: string | undefined;
  /** The provider's name for the kind of error. */
  readonly providerType: string | undefined;
  /** The parameter that is to blame. */
  readonly param: string | undefined;
  /** The delay that the provider asks for, in milliseconds. */
  readonly retryAfter: number | undefined;
  /** The error as the body has it; `undefined` if the body has none. */
  readonly details: unknown;
  /** The provider's id of the request, for its support. */
  readonly requestId: string | undefined;
}

/**
 * The provider's answer is not the expected one. This is the base class of the
 * errors that show the answer, and what the provider says about it.
 *
 * `failureCode` has the same codes as a {@linkcode ResponseFailedError}, which
 * is for errors inside a stream. It is set if the provider's code, its words or
 * the status have a known meaning.
 *
 * @example Show what the provider says
 * ```ts
 * import { AnswerError } from "@rivulet/rivulet/model";
 *
 * const show = (error: unknown): string =>
 *   error instanceof AnswerError
 *     ? `${error.status}: ${error.providerMessage ?? error.body}`
 *     : "";
 * ```
 */
export abstract class AnswerError extends ModelError
  implements ProviderAnswer, AnswerFailure {
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
  /** The meaning of the error, where there is a code for it. */
  readonly failureCode: FailureCode | undefined;
  /** The provider's own code, or the kind of error where it has no code. */
  readonly providerCode: string | undefined;
  /**
   * The provider's own words: a message in JSON of any known shape, the title of a
   * page, the start of a text; `undefined` if there are none.
   */
  readonly providerMessage: string | undefined;
  /** The provider's name for the kind of error. */
  readonly providerType: string | undefined;
  /** The parameter that is to blame. */
  readonly param: string | undefined;
  /** The delay that the provider asks for, in milliseconds: by a header, a field or in words. */
  readonly retryAfter: number | undefined;
  /** The error as the body has it; `undefined` if the body has none. */
  readonly details: unknown;

  /**
   * Makes an error.
   *
   * @param message The message.
   * @param answer The answer.
   * @param failure The provider's words in it.
   * @param options The cause.
   */
  constructor(
    message: string,
    answer: ProviderAnswer,
    failure: AnswerFailure,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.status = answer.status;
    this.statusText = answer.statusText;
    this.headers = answer.headers;
    this.body = answer.body;
    this.truncated = answer.truncated;
    this.failureCode = failure.failureCode;
    this.providerCode = failure.providerCode;
    this.providerMessage = failure.providerMessage;
    this.providerType = failure.providerType;
    this.param = failure.param;
    this.retryAfter = failure.retryAfter;
    this.details = failure.details;
    this.requestId = failure.requestId;
  }
}

/** The longest body that a message shows whole, in UTF-16 code units. */
const SHOWN = 1_000;

/**
 * Returns what a message shows of an answer: its body, or, if that is long, the
 * provider's words.
 *
 * @param answer The answer.
 * @param failure The provider's words in it.
 * @returns The text; `""` if there is none.
 */
export function shownText(
  { body }: ProviderAnswer,
  { providerMessage = body }: AnswerFailure,
): string {
  return body.length <= SHOWN ? body : cutText(providerMessage, SHOWN);
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
