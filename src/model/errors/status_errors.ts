// This module is browser compatible.
import {
  AnswerError,
  type AnswerFailure,
  type ProviderAnswer,
  shownText,
  statusLine,
} from "./answer_error.ts";
import type { FailureCode } from "./model_error.ts";

/**
 * The provider answered with an error status that is not retried.
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
  /**
   * The error's code: that of the failure, such as `"context_length_exceeded"`,
   * if there is one.
   */
  readonly code: "unexpected_status" | FailureCode;
  /** Whether the same request may succeed when it is made again: no. */
  readonly retryable = false;

  /**
   * Makes an error.
   *
   * @param answer The answer.
   * @param failure The provider's words in it.
   * @param options The cause.
   */
  constructor(
    answer: ProviderAnswer,
    failure: AnswerFailure,
    options?: ErrorOptions,
  ) {
    super(
      `unexpected status ${statusAndText(answer, failure)}`,
      answer,
      failure,
      options,
    );
    this.name = "UnexpectedStatusError";
    this.code = failure.failureCode ?? "unexpected_status";
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
  /** The error's code, for programs. */
  readonly code = "retry_limit";
  /** Whether the same request may succeed when it is made again: later, yes. */
  readonly retryable = true;
  /** The number of requests that were made. */
  readonly attempts: number;
  /**
   * Makes an error.
   *
   * @param answer The last answer.
   * @param attempts The number of requests made.
   * @param failure The provider's words in it.
   * @param options The cause.
   */
  constructor(
    answer: ProviderAnswer,
    attempts: number,
    failure: AnswerFailure,
    options?: ErrorOptions,
  ) {
    super(
      `exceeded retry limit, last status: ${statusAndText(answer, failure)}`,
      answer,
      failure,
      options,
    );
    this.name = "RetryLimitError";
    this.attempts = attempts;
  }
}

/**
 * The provider asks for a longer wait than `maxRetryAfter`.
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
  /** The error's code, for programs. */
  readonly code = "retry_after_too_long";
  /** Whether the same request may succeed when it is made again: later, yes. */
  readonly retryable = true;
  /** The delay that the provider asks for, in milliseconds. */
  override readonly retryAfter: number;
  /** The longest wait that was allowed, in milliseconds. */
  readonly maxRetryAfter: number;

  /**
   * Makes an error.
   *
   * @param answer The answer.
   * @param retryAfter The wait that the provider asks for, in milliseconds.
   * @param maxRetryAfter The longest wait that was allowed, in milliseconds.
   * @param failure The provider's words in the answer.
   * @param options The cause.
   */
  constructor(
    answer: ProviderAnswer,
    retryAfter: number,
    maxRetryAfter: number,
    failure: AnswerFailure,
    options?: ErrorOptions,
  ) {
    super(
      `the provider asks for a wait of ${retryAfter / 1_000} s, more than the ${
        maxRetryAfter / 1_000
      } s of 'maxRetryAfter', last status: ${statusAndText(answer, failure)}`,
      answer,
      failure,
      options,
    );
    this.name = "RetryAfterError";
    this.retryAfter = retryAfter;
    this.maxRetryAfter = maxRetryAfter;
  }
}

function statusAndText(
  answer: ProviderAnswer,
  failure: AnswerFailure,
): string {
  const text = shownText(answer, failure);
  return text === "" ? statusLine(answer) : `${statusLine(answer)}: ${text}`;
}
