// This module is browser compatible.
import { ModelError, type StreamErrorCode } from "./model_error.ts";

/**
 * A stream broke off before the provider had said how the response ends.
 *
 * `code` says how: `"truncated"`, the body ended, or a part of it is missing; `"idle"`, it was silent for
 * too long; `"disconnected"`, the network failed; `"invalid_stream"`, the bytes
 * cannot be read. The events before it may be any part of the response.
 *
 * @example Tell silence from an end
 * ```ts
 * import { StreamError } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const error = new StreamError("truncated", "stream closed before response.completed");
 * assertEquals(
 *   error.message,
 *   "stream disconnected before completion: stream closed before response.completed",
 * );
 * assertEquals(error.retryable, true);
 * ```
 */
export class StreamError extends ModelError {
  /** The way in which the stream broke off. */
  readonly code: StreamErrorCode;
  /** Whether the same request may succeed when it is made again: yes. */
  readonly retryable = true;

  /**
   * Makes an error.
   *
   * @param code The way in which it broke off.
   * @param reason The same in words.
   * @param options The cause.
   */
  constructor(code: StreamErrorCode, reason: string, options?: ErrorOptions) {
    super(`stream disconnected before completion: ${reason}`, options);
    this.name = "StreamError";
    this.code = code;
  }
}
