/**
 * Event streams over `fetch`, connected to again where they break off.
 *
 * @module
 */
export * from "./clock.ts";
export * from "./errors.ts";
export type { StreamResponse } from "./connection.ts";
export * from "./event_source.ts";
export * from "./event_stream.ts";
export type {
  DisconnectReason,
  ReconnectContext,
  ReconnectDecision,
  ReconnectPolicy,
} from "./reconnect.ts";
export type { RetryPolicy } from "./retry.ts";
export * from "./standard_schema.ts";
export * from "./stream_events.ts";
export * from "./stream_options.ts";
export {
  type EventSchemas,
  EventValidationError,
  type InvalidEvent,
  type ValidEvent,
} from "./typed_event.ts";
export type { SseDiagnostic } from "../sse/diagnostic.ts";
export { EventTooLargeError } from "../sse/errors.ts";
export type { ServerSentEvent } from "../sse/event.ts";
