/**
 * A relay cannot start.
 *
 * @example A file that is not there
 * ```ts
 * import { createRelay, RelayStartError } from "@rivulet/rivulet/relay";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const relay = createRelay({
 *   port: 0,
 *   fixtures: [{ name: "t", path: "nowhere.sse" }],
 * });
 * const error = await assertRejects(() => relay.listen(), RelayStartError);
 * assertEquals(error.code, "fixture_failed");
 * ```
 */
export class RelayStartError extends Error {
  /** The code of the error, for programs. */
  readonly code:
    | "source_failed"
    | "fixture_failed"
    | "record_failed"
    | "store_failed"
    | "listen_failed";

  /** Says what cannot be had, and why. */
  constructor(
    code: RelayStartError["code"],
    message: string,
    options: ErrorOptions,
  ) {
    super(message, options);
    this.name = "RelayStartError";
    this.code = code;
  }
}

/**
 * The options of a relay are invalid.
 *
 * @example A port that there is not
 * ```ts
 * import { createRelay, RelayOptionsError } from "@rivulet/rivulet/relay";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => createRelay({ port: -1 }), RelayOptionsError, "port");
 * ```
 */
export class RelayOptionsError extends TypeError {
  /** The code of the error, for programs. */
  readonly code = "invalid_options";

  /** Names each option that is wrong, and what was expected. */
  constructor(message: string) {
    super(`Cannot make a relay of these options: ${message}`);
    this.name = "RelayOptionsError";
  }
}
