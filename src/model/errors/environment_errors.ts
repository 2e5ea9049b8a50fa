// This module is browser compatible.
import { ModelError } from "./model_error.ts";

/**
 * The environment variable with a provider's key is not set.
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
  /** The error's code, for programs. */
  readonly code = "missing_key";
  /** Whether the same request may succeed when it is made again: no. */
  readonly retryable = false;
  /** The name of the variable. */
  readonly variable: string;
  /** The way to get a key, where the provider says so. */
  readonly instructions: string | undefined;

  /**
   * Makes an error.
   *
   * @param variable The name of the variable.
   * @param instructions The way to get a key.
   * @param options The error if it cannot be read.
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
  /** The error's code, for programs. */
  readonly code = "invalid_environment";
  /** Whether the same request may succeed when it is made again: no. */
  readonly retryable = false;
  /** The name of the variable. */
  readonly variable: string;

  /**
   * Makes an error.
   *
   * @param variable The name of the variable.
   * @param expected The description of a valid value.
   * @param value The value, if it may be shown.
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
