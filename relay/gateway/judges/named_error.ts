import { hasContent } from "../../../src/model/wires/fields.ts";
import { parseData, wireEvent } from "./wire_event.ts";

/**
 * What an event with the name `error` says.
 *
 * @param data The event's data: an object with the error in it, the error itself,
 * or words.
 * @returns The error.
 */
export function namedError(data: string): unknown {
  const details = parseData(data) ?? data.trim();
  const error = wireEvent.safeParse(details).data?.error;
  return hasContent(error) ? error : details;
}
