// This module is browser compatible.
import {
  AnswerError,
  type ProviderAnswer,
  statusLine,
} from "./answer_error.ts";

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
