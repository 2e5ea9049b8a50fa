// This module is browser compatible.

/**
 * A plan for a {@linkcode HostileProvider} is invalid.
 *
 * @example Tell it from other errors
 * ```ts
 * import { HostilePlanError, parseHostilePlan } from "@rivulet/rivulet/testing";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const error = assertThrows(
 *   () => parseHostilePlan("stall; after=soon"),
 *   HostilePlanError,
 * );
 * assertEquals(error.code, "invalid_plan");
 * ```
 */
export class HostilePlanError extends Error {
  /** The error's code, for programs. */
  readonly code = "invalid_plan";

  /**
   * Makes an error.
   *
   * @param message The message: what was expected, and what came.
   * @param options The cause.
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "HostilePlanError";
  }
}
