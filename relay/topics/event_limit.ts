import { Buffer } from "node:buffer";
import type { ServerSentEvent } from "../../src/sse/event.ts";

/** An event is larger than the relay allows that its topic lives in. */
export class EventLimitError extends Error {
  /** The error's code, for programs. */
  readonly code = "event_too_large";
  /** The most bytes of an event. */
  readonly maxEvent: number;

  /** Names the limit. */
  constructor(maxEvent: number) {
    super(
      `Expected events of at most ${maxEvent} bytes each, which is --max-event of the relay that the topic lives in`,
    );
    this.name = "EventLimitError";
    this.maxEvent = maxEvent;
  }
}

/** The most bytes that a UTF-16 code unit becomes in UTF-8. */
const BYTES_PER_UNIT = 3;

/** Whether an event is larger than so many bytes of UTF-8: its name, unless that is `message`, its data and its id count. */
export function isTooLarge(
  { event, data, id }: ServerSentEvent,
  maxBytes: number,
): boolean {
  const name = event === "message" ? "" : event;
  const units = name.length + data.length + id.length;
  // Nearly always: to encode each event only to measure it would cost more than all else.
  if (units * BYTES_PER_UNIT <= maxBytes) return false;
  return [name, data, id].reduce(
    (bytes, text) => bytes + Buffer.byteLength(text),
    0,
  ) > maxBytes;
}
