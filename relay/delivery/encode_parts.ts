import { slices } from "../slices.ts";
import type { LogEntry } from "../topics/log.ts";
import { MAX_KEPT } from "./lent_frames.ts";
import { LongMessage } from "./long_message.ts";

/**
 * Puts an encoded event together. One such event is encoded at a time, and beside it
 * a shorter one: nothing counts the bytes of a message that is not whole.
 */
export function encodeParts(
  { size }: LogEntry,
  parts: Iterator<Uint8Array, Uint8Array | undefined, void>,
  isWanted: () => boolean,
): LongMessage | Promise<LongMessage> {
  const lane = size > MAX_KEPT ? "long events" : "events";
  return slices.run(lane, joined(parts), isWanted);
}

function* joined(
  rest: Iterator<Uint8Array, Uint8Array | undefined, void>,
): Generator<void, LongMessage> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const { done, value } = rest.next();
    if (done) return new LongMessage(value ? [value, ...parts] : parts);
    parts.push(value);
    yield;
  }
}
