// This module is browser compatible.

import type { ServerSentEvent } from "./event.ts";

/**
 * The events of a stream, in order, as {@linkcode readEvents} returns them.
 *
 * The consumer pulls it: nothing is read from the body while an event waits to
 * be taken. Calls may overlap; they are answered in order. Leaving a
 * `for await` loop, {@linkcode EventReader.return} and `await using` cancel the
 * body.
 *
 * @example Read on from where the loop was left
 * ```ts
 * import { readEvents } from "@rivulet/rivulet/sse";
 * import { assertEquals } from "@std/assert";
 *
 * const body = new Blob(["retry: 50\nid: 1\ndata: a\n\ndata: b\n\n"]).stream();
 * await using events = readEvents(body);
 *
 * assertEquals((await events.next()).value?.data, "a");
 * assertEquals(events.lastEventId, "1");
 * assertEquals(events.reconnectionTime, 50);
 * assertEquals((await events.nextBatch())?.map((event) => event.data), ["b"]);
 * assertEquals(await events.nextBatch(), undefined);
 * ```
 */
export interface EventReader
  extends AsyncIterableIterator<ServerSentEvent, undefined, undefined> {
  /**
   * The last event id as of the events that were taken: what a request that
   * goes on from there sends as `Last-Event-ID`, `""` for none.
   *
   * Once every event that has come was taken, this includes the ids that came
   * after them in blocks without data.
   */
  readonly lastEventId: string;
  /**
   * The reconnection time that the stream has asked for last, in milliseconds
   * from 0 to 2^31-1; `undefined` if it never has.
   */
  readonly reconnectionTime: number | undefined;
  /**
   * Takes the next event.
   *
   * @returns The event, or `done` at the end of the body.
   */
  next(): Promise<IteratorResult<ServerSentEvent, undefined>>;
  /**
   * Takes every event that has come, reading on until there is at least one.
   *
   * That is all events of one chunk of the body, or, after {@linkcode next}, the
   * rest of them. For whoever handles many events at once, this saves a promise
   * for each.
   *
   * @returns One event or more, or `undefined` at the end of the body.
   */
  nextBatch(): Promise<ServerSentEvent[] | undefined>;
  /**
   * Drops the event that is unfinished, so that another stream of events can
   * follow in the same body; the last event id and the reconnection time stay.
   */
  reset(): void;
  /**
   * Stops reading: cancels the body, and drops the events that were not taken.
   * Calls that are waiting are answered with `done`.
   *
   * @returns `done`, once the body is cancelled; what goes wrong with that is
   * no longer of interest, and ignored.
   */
  return(): Promise<IteratorReturnResult<undefined>>;
  /**
   * Stops reading, as {@linkcode return} does, because of an error.
   *
   * @param error The error.
   * @returns Rejects with the error.
   */
  throw(error?: unknown): Promise<IteratorResult<ServerSentEvent, undefined>>;
  /** Stops reading, as {@linkcode return} does. */
  [Symbol.asyncDispose](): Promise<void>;
  /**
   * For `for await`.
   *
   * @returns This reader.
   */
  [Symbol.asyncIterator](): EventReader;
}
