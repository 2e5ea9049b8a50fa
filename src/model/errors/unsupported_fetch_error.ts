// This module is browser compatible.
import { NO_BODY_STREAM } from "../../fetch/errors.ts";
import { ModelError } from "./model_error.ts";

/**
 * The provider answers with a stream, and the runtime's `fetch` cannot read one, as
 * React Native's cannot: another one is needed, as the option `fetch`.
 *
 * @example Say what to set
 * ```ts
 * import { UnsupportedFetchError } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new UnsupportedFetchError();
 * assertEquals(error.code, "unsupported_fetch");
 * assertEquals(error.retryable, false);
 * ```
 */
export class UnsupportedFetchError extends ModelError {
  /** The error's code, for programs. */
  readonly code = "unsupported_fetch";
  /** Whether the same request may succeed when it is made again: no. */
  readonly retryable = false;

  /**
   * Makes an error.
   *
   * @param options The cause.
   */
  constructor(options?: ErrorOptions) {
    super(`Cannot stream the response as ${NO_BODY_STREAM}`, options);
    this.name = "UnsupportedFetchError";
  }
}
