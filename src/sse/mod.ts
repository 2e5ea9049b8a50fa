/**
 * Server-sent events to and from text, exact to the standard; no I/O.
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
