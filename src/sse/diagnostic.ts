// This module is browser compatible.

/**
 * Something in a stream that the standard tells a parser to ignore, and that
 * the author of a server would want to know.
 *
 * Every kind has `line`, the line's number from 1, and `offset`, where that line
 * starts in UTF-16 code units from the start of the stream's text; neither
 * depends on how the stream was cut into chunks.
 *
 * - `unknown-field`: a line whose field is none of `data`, `event`, `id` and
 *   `retry`, in lower case; `value` is `""` if the line had no colon.
 * - `invalid-retry`: a `retry` whose value is not one or more ASCII digits.
 * - `too-large`: an event over `maxEventSize`, which is being skipped; the line
 *   is the one that went over.
 * - `unfinished`: an event that is dropped, as the stream has ended without its
 *   blank line; `event` and `data` are what it would have been, and the line is
 *   the one that the stream has ended in.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation | HTML Standard, section 9.2.6}
 *
 * @example A server that writes field names in capitals
 * ```ts
 * import { type SseDiagnostic, SseParser } from "@rivulet/rivulet/sse";
 * import { assertEquals } from "@std/assert";
 *
 * const diagnostics: SseDiagnostic[] = [];
 * const parser = new SseParser({
 *   onEvent() {},
 *   onDiagnostic: (diagnostic) => diagnostics.push(diagnostic),
 * });
 * parser.push(": hello\nData: x\n\n");
 *
 * assertEquals(diagnostics, [
 *   { type: "unknown-field", line: 2, offset: 8, field: "Data", value: "x" },
 * ]);
 * ```
 */
export type SseDiagnostic =
  | {
    type: "unknown-field";
    line: number;
    offset: number;
    field: string;
    value: string;
  }
  | { type: "invalid-retry"; line: number; offset: number; value: string }
  | { type: "too-large"; line: number; offset: number; maxEventSize: number }
  | {
    type: "unfinished";
    line: number;
    offset: number;
    event: string;
    data: string;
  };
