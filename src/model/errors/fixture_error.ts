// This module is browser compatible.
import { ModelError } from "./model_error.ts";

/**
 * A stream cannot be read from its file.
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
  /** The error's code, for programs. */
  readonly code = "invalid_fixture";
  /** Whether the same request may succeed when it is made again: no. */
  readonly retryable = false;
  /** The path of the file. */
  readonly path: string;

  /**
   * Makes an error.
   *
   * @param path The path of the file.
   * @param reason Its fault.
   * @param options The cause.
   */
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`Cannot stream from the fixture '${path}': ${reason}`, options);
    this.name = "FixtureError";
    this.path = path;
  }
}
