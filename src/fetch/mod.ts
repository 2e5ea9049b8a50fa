/**
 * Event streams over `fetch`: one request, or as many as it takes.
 *
 * {@linkcode streamEvents} makes a request and yields its events. A GET without a
 * body reconnects: after a broken connection, after the server has ended the
 * stream, and on 408, 425, 429 and 5xx, from the last event id and with jitter. A
 * POST is made once, unless you give a policy. Timeouts watch the connection, the
 * bytes and the events. With `schemas`, events are typed by their name.
 *
 * {@linkcode FetchEventSource} has the interface of `EventSource` on top of it.
 *
 * Each failure is a subclass of {@linkcode EventStreamError} with a `code`, and
 * with the status, headers and beginning of the body where there are any. Keys are
 * removed. Everything that waits takes a {@linkcode Clock}, so that tests need not
 * wait: see `./testing`.
 *
 * @example Tell a refusal from a broken connection
 * ```ts
 * import { HttpStatusError, streamEvents } from "@rivulet/rivulet/fetch";
 * import { ScriptedFetch } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const script = new ScriptedFetch([{ status: 404 }]);
 * let status: number | undefined;
 * try {
 *   for await (
 *     const event of streamEvents("https://example.com/events", {
 *       headers: { Authorization: "Bearer secret" },
 *       idleTimeout: 60_000,
 *       fetch: script.fetch,
 *     })
 *   ) console.log(event.event, event.data);
 * } catch (error) {
 *   if (!(error instanceof HttpStatusError)) throw error;
 *   status = error.status;
 * }
 * assertEquals(status, 404);
 * ```
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
