/**
 * Server-sent events to and from text, exact to the standard
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html), without I/O.
 *
 * - {@linkcode readEvents} reads a `ReadableStream` of bytes, such as the body of
 *   a response, with `for await`. It is the fastest way to read bytes.
 * - {@linkcode SseParserStream} is a `TransformStream` that follows a
 *   `TextDecoderStream` in a pipe.
 * - {@linkcode SseParser} takes text in chunks and calls you back for each event.
 * - {@linkcode encodeEvent} writes an event.
 *
 * The result does not depend on where chunks are cut. Parsing takes linear time on
 * every input. Events larger than `maxEventSize` (64 Mi code units) are refused.
 * Fields that the standard ignores are reported to `onDiagnostic`. To make
 * requests too, use `./fetch`.
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
