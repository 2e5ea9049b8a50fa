/**
 * One request for an event stream over `fetch`.
 *
 * @module
 */
export * from "./clock.ts";
export * from "./errors.ts";
export * from "./event_stream.ts";
export type { SseDiagnostic } from "../sse/diagnostic.ts";
export { EventTooLargeError } from "../sse/errors.ts";
export type { ServerSentEvent } from "../sse/event.ts";
