// This module is browser compatible.
import type { ServerSentEvent } from "../sse/event.ts";
import type { StreamResponse } from "./connection.ts";
import type { StreamCounters } from "./stream_options.ts";

/**
 * The events of one stream, as {@linkcode streamEvents} returns them, over as
 * many connections as it takes.
 *
 * One consumer pulls the stream. It connects with the first read, and reads on
 * only when every event so far was taken, so that a slow consumer slows the
 * server down. Leaving a `for await` loop, {@linkcode EventStream.cancel} and
 * `await using` close the connection.
 *
 * It ends once. After the end of the body, or a cancel, every further call
 * returns `done`. After an error, every further call throws the same error, so
 * that no failure can pass for an end.
 *
 * @typeParam T The events: {@linkcode ServerSentEvent} unless there are schemas.
 *
 * @example Look at the answer first
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 *
 * await using events = streamEvents("https://example.com/events", {
 *   fetch: () =>
 *     Promise.resolve(
 *       new Response("id: 1\ndata: a\n\ndata: b\n\n", {
 *         headers: { "Content-Type": "text/event-stream", "X-Request-Id": "r1" },
 *       }),
 *     ),
 *   reconnect: false,
 * });
 * assertEquals(events.state, "idle");
 * const { headers } = await events.open();
 * assertEquals(events.state, "open");
 * assertEquals(headers.get("X-Request-Id"), "r1");
 *
 * assertEquals((await events.next()).value?.data, "a");
 * assertEquals(events.lastEventId, "1");
 * assertEquals((await events.nextBatch())?.length, 1);
 * assertEquals(await events.nextBatch(), undefined);
 * assertEquals(events.state, "closed");
 * ```
 */
export interface EventStream<T = ServerSentEvent>
  extends AsyncIterableIterator<T, undefined, undefined> {
  /**
   * The state of the stream: `"idle"` before the first read, `"connecting"` until
   * a server answers with an event stream, `"open"` while events come, `"waiting"`
   * before another request, `"closed"` after any end.
   */
  readonly state: "idle" | "connecting" | "open" | "waiting" | "closed";
  /** The counts of what has come, which go on. */
  readonly counters: StreamCounters;
  /**
   * The last event id as of the events that were taken: what a request that
   * goes on from there sends as `Last-Event-ID`, `""` for none.
   */
  readonly lastEventId: string;
  /**
   * The reconnection time that the stream has asked for last, in milliseconds
   * from 0 to 2^31-1; `undefined` if it never has.
   */
  readonly reconnectionTime: number | undefined;
  /**
   * Connects, if that has not been done; again and again, as the policy has it.
   *
   * @returns The first answer that turned out to be an event stream.
   * @throws {EventStreamError} If there was no answer, or another.
   * @throws {unknown} The reason of the signal, or of `cancel`, if it came first.
   */
  open(): Promise<StreamResponse>;
  /**
   * Takes the next event, connecting first if need be.
   *
   * @returns The event, or `done` at the end.
   * @throws {EventStreamError} If there was no answer, or another, or the
   * stream broke off or fell silent.
   * @throws {EventTooLargeError} If an event is over `maxEventSize`.
   * @throws {EventValidationError} If the data of an event is not valid.
   * @throws {OneShotBodyError} If the body would have to be sent once more.
   * @throws {unknown} The signal's reason, or what a callback threw.
   */
  next(): Promise<IteratorResult<T, undefined>>;
  /**
   * Takes every event that has come, waiting until there is at least one.
   *
   * For whoever handles many events at once, this saves a promise for each. It
   * throws what {@linkcode EventStream.next} does.
   *
   * @returns One event or more, or `undefined` at the end.
   */
  nextBatch(): Promise<T[] | undefined>;
  /**
   * Ends the stream, and closes the connection. Calls that are waiting for an
   * event are answered with `done`; a call to {@linkcode EventStream.open} that
   * is waiting throws the reason. Does nothing once the stream has ended.
   *
   * @param reason The reason. Default: an `AbortError`.
   * @returns Resolves when nothing of the stream is left.
   */
  cancel(reason?: unknown): Promise<void>;
  /**
   * Ends the stream, as {@linkcode EventStream.cancel} does.
   *
   * @returns `done`.
   */
  return(): Promise<IteratorReturnResult<undefined>>;
  /** Ends the stream, as {@linkcode EventStream.cancel} does. */
  [Symbol.asyncDispose](): Promise<void>;
  /**
   * For `for await`.
   *
   * @returns This stream.
   */
  [Symbol.asyncIterator](): EventStream<T>;
}
