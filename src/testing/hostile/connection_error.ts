// This module is browser compatible.

/** The ways in which a connection breaks. */
export type HostileConnectionErrorCode =
  | "connection_reset"
  | "connection_cut";

/**
 * A {@linkcode HostileProvider} breaks a connection, as planned.
 *
 * Before the head, `fetch()` rejects with it; within the body, the body's stream
 * errors with it. A server that has the socket in its hands does what the code
 * says: `connection_reset` is a reset (`socket.resetAndDestroy()` in `node:net`),
 * `connection_cut` the end of the connection in the middle of the answer
 * (`socket.destroy()`). Other servers do as they do with any error.
 *
 * @example Break the connection for real
 * ```ts
 * import {
 *   HostileConnectionError,
 *   HostileProvider,
 * } from "@rivulet/rivulet/testing";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const provider = new HostileProvider({ plan: "reset; at=request" });
 * const error = await assertRejects(
 *   () => provider.fetch(new Request("http://localhost/v1/models")),
 *   HostileConnectionError,
 * );
 * assertEquals(error.code, "connection_reset");
 * ```
 */
export class HostileConnectionError extends Error {
  /** The way in which the connection is to end. */
  readonly code: HostileConnectionErrorCode;

  /**
   * Makes an error.
   *
   * @param code The way in which the connection is to end.
   */
  constructor(code: HostileConnectionErrorCode) {
    super(
      `The connection is to be ${
        code === "connection_reset" ? "reset" : "cut"
      } here, as the plan of the hostile provider says`,
    );
    this.name = "HostileConnectionError";
    this.code = code;
  }
}
