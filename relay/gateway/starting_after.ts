import { factsOf } from "../../src/model/wires/responses/event_facts.ts";
import type { Log } from "../topics/log.ts";

/** Returns the number that a provider has given an event: `Infinity` for an event without one. */
async function sequenceNumberAt(log: Log, offset: number): Promise<number> {
  if (offset < log.first) return -1; // not retained any more
  const { entries: [entry] } = await log.read(offset, {
    events: 1,
    bytes: Infinity,
  });
  return factsOf(entry?.event.data ?? "").sequenceNumber ?? Infinity;
}

/**
 * Returns the offset of the event after the one with a provider's number.
 *
 * @param log The events of one response, whose numbers grow.
 * @param number The number; -1 stands before the first event.
 * @returns `undefined` if no event with the number is retained: then it is unknown
 * which event comes after it.
 */
export async function offsetAfter(
  log: Log,
  number: number,
): Promise<number | undefined> {
  if (number < 0) return log.first === 1 ? 1 : undefined;
  let low = log.first;
  let high = log.next;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await sequenceNumberAt(log, middle) > number) high = middle;
    else low = middle + 1;
  }
  return await sequenceNumberAt(log, low - 1) === number ? low : undefined;
}
