import {
  type EventStream,
  streamEvents,
  type StreamEventsOptions,
} from "../../../src/fetch/mod.ts";

/** One connection, so that every way it can end is seen. */
export function streamOnce(
  input: string | URL | Request,
  options: StreamEventsOptions = {},
): EventStream {
  return streamEvents(input, { reconnect: false, ...options });
}
