/**
 * Server-sent events to and from text, exact to the standard
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html), without I/O.
 *
 * - {@linkcode readEvents} reads a `ReadableStream` of bytes, such as the body of
 *   a response, with `for await`. It is the fastest way.
 * - {@linkcode SseParserStream} stands behind a `TextDecoderStream` in a pipe.
 * - {@linkcode SseParser} takes text as it comes and calls you back.
 * - {@linkcode encodeEvent} writes an event.
 *
 * All of them parse the same way wherever the chunks are cut, take linear time on
 * every input, and refuse events larger than `maxEventSize` (64 MiB). A field that
 * the standard ignores is reported to `onDiagnostic`. To make requests too, use
 * `./fetch`.
 *
 * @example Write an event and read it back
 * ```ts
 * import { encodeEvent, readEvents } from "@rivulet/rivulet/sse";
 * import { assertEquals } from "@std/assert";
 *
 * const body = new Blob([
 *   encodeEvent({ event: "greeting", data: "hello\nworld" }),
 *   encodeEvent({ id: "7", data: "bye" }),
 * ]).stream();
 *
 * const events = await Array.fromAsync(readEvents(body));
 * assertEquals(events, [
 *   { event: "greeting", data: "hello\nworld", id: "" },
 *   { event: "message", data: "bye", id: "7" },
 * ]);
 * ```
 *
 * @module
 */
export * from "./diagnostic.ts";
export * from "./encode.ts";
export * from "./errors.ts";
export * from "./event.ts";
export * from "./event_reader.ts";
export * from "./parser.ts";
export * from "./parser_stream.ts";
export * from "./read_events.ts";
