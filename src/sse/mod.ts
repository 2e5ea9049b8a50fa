/**
 * Server-sent events to and from text, exact to the standard; no I/O.
 *
 * @module
 */
export * from "./event.ts";
