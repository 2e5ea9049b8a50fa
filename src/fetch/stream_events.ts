// This module is browser compatible.
import type { EventStream } from "./event_stream.ts";
import { ReconnectingEventStream } from "./reconnecting_stream.ts";
import type {
  RequestContext,
  StreamEventsOptions,
  TypedStreamEventsOptions,
} from "./stream_options.ts";
import type { EventSchemas, InvalidEvent, ValidEvent } from "./typed_event.ts";

/**
 * Requests an event stream whose events are JSON, each type with its schema. An
 * event that is not valid is yielded as an {@linkcode InvalidEvent}.
 *
 * @typeParam Schemas The schemas, by type of event.
 * @param input The URL to ask, or a request for it.
 * @param options The schemas, and everything else.
 * @returns The events, to be iterated: a union by `ok`, and then by type.
 *
 * @example Pass over what is not valid
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 * import { z } from "zod";
 *
 * const events = streamEvents("https://example.com/", {
 *   schemas: { tick: z.number() },
 *   onInvalid: "yield",
 *   reconnect: false,
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("event: tick\ndata: x\n\nevent: tick\ndata: 2\n\n", {
 *         headers: { "Content-Type": "text/event-stream" },
 *       }),
 *     ),
 * });
 * const ticks: number[] = [];
 * for await (const event of events) if (event.ok) ticks.push(event.data);
 * assertEquals(ticks, [2]);
 * ```
 */
export function streamEvents<Schemas extends EventSchemas>(
  input:
    | RequestInfo
    | URL
    | ((
      context: RequestContext,
    ) => RequestInfo | URL | Promise<RequestInfo | URL>),
  options: TypedStreamEventsOptions<Schemas> & { onInvalid: "yield" },
): EventStream<ValidEvent<Schemas> | InvalidEvent>;
/**
 * Requests an event stream whose events are JSON, each type with its schema. An
 * event that is not valid ends the stream with an
 * {@linkcode EventValidationError}.
 *
 * @typeParam Schemas The schemas, by type of event.
 * @param input The URL to ask, or a request for it.
 * @param options The schemas, and everything else.
 * @returns The events, to be iterated: a union by type.
 *
 * @example A union by type of event
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 * import { z } from "zod";
 *
 * const events = streamEvents("https://example.com/", {
 *   schemas: {
 *     progress: z.object({ done: z.number() }),
 *     result: z.string(),
 *   },
 *   sentinel: "[DONE]",
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response(
 *         'event: progress\ndata: {"done":0.5}\n\nevent: result\ndata: "ok"\n\ndata: [DONE]\n\n',
 *         { headers: { "Content-Type": "text/event-stream" } },
 *       ),
 *     ),
 * });
 * const seen: string[] = [];
 * for await (const event of events) {
 *   if (event.event === "progress") seen.push(event.data.done.toFixed(2));
 *   else seen.push(event.data);
 * }
 * assertEquals(seen, ["0.50", "ok"]);
 * ```
 */
export function streamEvents<Schemas extends EventSchemas>(
  input:
    | RequestInfo
    | URL
    | ((
      context: RequestContext,
    ) => RequestInfo | URL | Promise<RequestInfo | URL>),
  options: TypedStreamEventsOptions<Schemas> & {
    onInvalid?: "throw" | undefined;
  },
): EventStream<ValidEvent<Schemas>>;
/**
 * Requests an event stream whose events are JSON, each type with its schema.
 * This overload is for an `onInvalid` that is known only when the program runs.
 *
 * @typeParam Schemas The schemas, by type of event.
 * @param input The URL to ask, or a request for it.
 * @param options The schemas, and everything else.
 * @returns The events, to be iterated: a union by `ok`, and then by type.
 */
export function streamEvents<Schemas extends EventSchemas>(
  input:
    | RequestInfo
    | URL
    | ((
      context: RequestContext,
    ) => RequestInfo | URL | Promise<RequestInfo | URL>),
  options: TypedStreamEventsOptions<Schemas>,
): EventStream<ValidEvent<Schemas> | InvalidEvent>;
/**
 * Requests an event stream, and reconnects if it breaks off.
 *
 * Nothing is sent before the first call to `next`, `nextBatch` or `open`. The
 * answer is an event stream if its status is 200 and its type
 * `text/event-stream`; any other is an error that shows what it was.
 *
 * A GET without a body is repeated, as its {@linkcode ReconnectPolicy} says,
 * when the connection breaks, when the server ends it, on 408, 425, 429 and
 * 5xx, and when the server is silent for too long. It resumes after the last
 * event id, not sooner than the server asks for, and never sooner than
 * `minTimeout`. Status 204 ends the stream. Any other status or type, an event
 * that is too large or not valid, and an error of a callback end it with that
 * error.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#the-eventsource-interface | HTML Standard, section 9.2.2}
 *
 * @param input The URL to ask, or a request for it.
 * @param options The rest of the request, limits, callbacks.
 * @returns The events, to be iterated.
 * @throws {TypeError} If the URL, the method, a header or `onTooLarge` is
 * invalid, or a body is given with the method GET.
 * @throws {RangeError} If a timeout is negative or no number, or `maxEventSize`
 * is not a positive integer.
 *
 * @example Iterate over events
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = Deno.serve({ port: 0, onListen() {} }, () =>
 *   new Response("data: hello\n\nevent: bye\ndata: 1\n\n", {
 *     headers: { "Content-Type": "text/event-stream" },
 *   }));
 *
 * const events = [];
 * for await (
 *   const event of streamEvents(`http://localhost:${server.addr.port}/`)
 * ) {
 *   events.push(event);
 *   if (event.event === "bye") break;
 * }
 * assertEquals(events, [
 *   { event: "message", data: "hello", id: "" },
 *   { event: "bye", data: "1", id: "" },
 * ]);
 * ```
 *
 * @example Post a question, and give up when nothing comes for a minute
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 *
 * const events = streamEvents("https://example.com/ask", {
 *   method: "POST",
 *   headers: { "Content-Type": "application/json" },
 *   body: JSON.stringify({ question: "Why is the sky blue?" }),
 *   idleTimeout: 60_000,
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("data: Rayleigh\n\n", {
 *         headers: { "Content-Type": "text/event-stream" },
 *       }),
 *     ),
 * });
 * assertEquals((await events.next()).value?.data, "Rayleigh");
 * assertEquals((await events.next()).done, true);
 * ```
 */
export function streamEvents(
  input:
    | RequestInfo
    | URL
    | ((
      context: RequestContext,
    ) => RequestInfo | URL | Promise<RequestInfo | URL>),
  options?: StreamEventsOptions & { schemas?: never },
): EventStream;
export function streamEvents(
  input:
    | RequestInfo
    | URL
    | ((
      context: RequestContext,
    ) => RequestInfo | URL | Promise<RequestInfo | URL>),
  options:
    & StreamEventsOptions
    & Partial<TypedStreamEventsOptions<EventSchemas>> = {},
): EventStream<unknown> {
  return new ReconnectingEventStream(input, options);
}
