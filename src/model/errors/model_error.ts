// This module is browser compatible.
import type { Usage } from "../usage.ts";

/**
 * The reason that a provider gives for a failed response; `"response_failed"`
 * for reasons without a code here. The provider's own code is in
 * `providerCode`.
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

/** The ways in which a stream can break off; see {@linkcode StreamError}. */
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
  | "unsupported_fetch"
  | "invalid_fixture"
  | "output_mismatch"
  | "turn_limit"
  | StreamErrorCode
  | FailureCode;

/** The known facts of a response that has failed. */
export interface ResponseFacts {
  /** The id of the response, once it was told. */
  readonly responseId?: string | undefined;
  /** The provider's id of the request, for its support. */
  readonly requestId?: string | undefined;
  /** The usage of the response, as far as the provider has told it. */
  readonly usage?: Usage | undefined;
}

/**
 * A request for a model's response failed, or the response broke off.
 *
 * This is the base class of this module's errors: `code` names the error, and
 * `retryable` says whether asking again may help. No error contains a key.
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
  /** The error's code, for programs. */
  abstract readonly code: ModelErrorCode;
  /** Whether the same request may succeed when it is made again. */
  abstract readonly retryable: boolean;
  /** The id of the response, once it was told. */
  responseId: string | undefined = undefined;
  /** The provider's id of the request, for its support. */
  requestId: string | undefined = undefined;
  /** The usage of the response, as far as the provider has told it. */
  usage: Usage | undefined = undefined;

  /**
   * Adds what is known of the response.
   *
   * @param facts The facts; those that the error already has are kept.
   * @returns This error.
   */
  about(facts: ResponseFacts): this {
    this.responseId ??= facts.responseId || undefined;
    this.requestId ??= facts.requestId;
    this.usage ??= facts.usage;
    return this;
  }
}
