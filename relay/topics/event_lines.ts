import type { ServerSentEvent } from "../../src/sse/event.ts";

const LINE_END = /[\r\n]/;

/**
 * Throws if a field contains a line end that would make another event of it in
 * an event stream.
 */
export function assertLines({ event, data, id }: ServerSentEvent): void {
  const wrong = LINE_END.test(event)
    ? "event"
    : LINE_END.test(id)
    ? "id"
    : data.includes("\r")
    ? "data"
    : undefined;
  if (wrong === undefined) return;
  throw new TypeError(
    `Cannot add the event as '${wrong}' must not contain ${
      wrong === "data" ? "CR" : "CR or LF"
    }`,
  );
}
