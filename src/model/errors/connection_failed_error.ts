// This module is browser compatible.
import { messageOf } from "../../fetch/message_of.ts";
import { ModelError } from "./model_error.ts";

/**
 * No request was answered; `cause` is the error of the last one.
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
  /** The error's code, for programs. */
  readonly code = "connection_failed";
  /** Whether the same request may succeed when it is made again: yes. */
  readonly retryable = true;
  /** The number of requests that were made. */
  readonly attempts: number;

  /**
   * Makes an error.
   *
   * @param attempts The number of requests made.
   * @param cause The error of the last request.
   */
  constructor(attempts: number, cause: unknown) {
    super(messageOf(cause), { cause });
    this.name = "ConnectionFailedError";
    this.attempts = attempts;
  }
}
