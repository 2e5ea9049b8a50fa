import type { ServerSentEvent } from "../../src/sse/event.ts";

/** A UTF-16 code unit is that many bytes of UTF-8 at most. */
const BYTES_PER_UNIT = 3;

const encoder = new TextEncoder();

/**
 * Whether an event is larger than it may be.
 *
 * @param event Its name, unless that is `message`, its data and its id count.
 * @param maxBytes How large it may be, in bytes of UTF-8.
 */
export function isTooLarge(
  { event, data, id }: ServerSentEvent,
  maxBytes: number,
): boolean {
  const name = event === "message" ? "" : event;
  const units = name.length + data.length + id.length;
  // Nearly always: to encode each event only to measure it would cost more than all else.
  if (units * BYTES_PER_UNIT <= maxBytes) return false;
  return encoder.encode(name + data + id).length > maxBytes;
}
