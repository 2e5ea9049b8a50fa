// This module is browser compatible.

/**
 * One server-sent event, as the standard dispatches it.
 *
 * @see {@link https://html.spec.whatwg.org/multipage/server-sent-events.html#dispatchMessage | HTML Standard, section 9.2.6}
 *
 * @example An event of a stream
 * ```ts
 * import type { ServerSentEvent } from "@rivulet/rivulet/sse";
 *
 * const event: ServerSentEvent = { event: "message", data: "hello", id: "7" };
 * ```
 */
export interface ServerSentEvent {
  /** The event's type: `"message"` unless the stream named another. */
  event: string;
  /** The event's data: the values of its `data` lines, joined by LF. */
  data: string;
  /** The last event id in force when the event was dispatched; `""` if none. */
  id: string;
}
