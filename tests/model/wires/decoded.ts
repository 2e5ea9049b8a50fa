/**
 * The output of a decoder for a stream, on any wire.
 *
 * @module
 */
import type {
  ResponseDecoder,
  ResponseOutcome,
} from "../../../src/model/wires/decoder.ts";
import type { ResponseEvent } from "../../../src/model/response_event.ts";

/** The output for a stream. */
export interface Decoded {
  readonly events: readonly ResponseEvent[];
  readonly state: string;
  readonly outcome: ResponseOutcome;
}

/** Decodes events by name and data, and ends the stream. */
export function decodeWith(
  decoder: ResponseDecoder,
  stream: readonly (readonly [name: string, data: string])[],
): Decoded {
  const events: ResponseEvent[] = [];
  for (const [name, data] of stream) decoder.push(name, data, events);
  const { state } = decoder;
  const outcome = decoder.end(events);
  return { events, state, outcome };
}

/** The last event; throws what the stream would. */
export function lastOf({ outcome }: Decoded) {
  if ("error" in outcome) throw outcome.error;
  return outcome.last;
}

/** The error; throws if there is none. */
export function errorOf({ outcome }: Decoded) {
  if ("error" in outcome) return outcome.error;
  throw new Error(`ended with ${outcome.last.type}`);
}
