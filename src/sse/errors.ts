// This module is browser compatible.

/**
 * An event of a stream is larger than the limit that the reader has set.
 *
 * Thrown by {@linkcode SseParser.push} and, through it, by
 * {@linkcode SseParserStream} and {@linkcode readEvents}, unless they were told
 * to skip such events. The numbers do not depend on how the stream was cut into
 * chunks.
 *
 * @example What was too large, and where
 * ```ts
 * import { EventTooLargeError, SseParser } from "@rivulet/rivulet/sse";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const parser = new SseParser({ onEvent() {}, maxEventSize: 16 });
 * const error = assertThrows(
 *   () => parser.push(": fine\n\ndata: this is too long\n\n"),
 *   EventTooLargeError,
 * );
 *
 * assertEquals(error.code, "event_too_large");
 * assertEquals(error.line, 3);
 * assertEquals(error.offset, 8);
 * assertEquals(error.maxEventSize, 16);
 * ```
 */
export class EventTooLargeError extends Error {
  /** Names this error, whatever realm or version it comes from. */
  readonly code = "event_too_large";
  /** The number of the line that went over the limit; the first line is 1. */
  readonly line: number;
  /**
   * The start of that line, in UTF-16 code units from the start of the stream's
   * text. A BOM that the decoder has stripped is not counted.
   */
  readonly offset: number;
  /** The limit, in UTF-16 code units. */
  readonly maxEventSize: number;

  /**
   * Creates the error.
   *
   * @param line The number of the line that went over the limit.
   * @param offset The start of that line, in UTF-16 code units.
   * @param maxEventSize The limit, in UTF-16 code units.
   */
  constructor(line: number, offset: number, maxEventSize: number) {
    super(
      `Expected an event of at most ${maxEventSize} UTF-16 code units, but line ${line} at offset ${offset} exceeds that: raise 'maxEventSize', or set 'onTooLarge' to "skip"`,
    );
    this.name = "EventTooLargeError";
    this.line = line;
    this.offset = offset;
    this.maxEventSize = maxEventSize;
  }
}
