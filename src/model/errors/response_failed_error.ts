// This module is browser compatible.
import { type FailureCode, ModelError } from "./model_error.ts";

/** A provider's own description of a failed response. */
export interface ProviderFailure {
  /** Its own code, or the type of error where it has no code. */
  readonly providerCode: string | undefined;
  /** Its own words. */
  readonly providerMessage: string;
  /** The provider's name for the kind of error. */
  readonly providerType: string | undefined;
  /** The parameter that is to blame. */
  readonly param: string | undefined;
  /** The delay that the provider asks for, in milliseconds. */
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
  /** The reason, as far as there is a code for it. */
  readonly code: FailureCode;
  /** Whether the same request may succeed when it is made again. */
  readonly retryable: boolean;
  /** The provider's own code, or the type of error where it has no code. */
  readonly providerCode: string | undefined;
  /** The provider's own words. */
  readonly providerMessage: string;
  /** The provider's name for the kind of error. */
  readonly providerType: string | undefined;
  /** The parameter that is to blame. */
  readonly param: string | undefined;
  /** The delay that the provider asks for, in milliseconds. */
  readonly retryAfter: number | undefined;
  /** All that the provider says, as the wire has it. */
  readonly details: unknown;

  /**
   * Makes an error.
   *
   * @param code The reason.
   * @param retryable Whether the same request may succeed when it is made again.
   * @param failure The provider's words.
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
