// This module is browser compatible.
import { type Fields, isFields } from "../event_data.ts";
import type { WireDelta } from "../wire_delta.ts";
import { DELTA_KINDS } from "./blocks.ts";

/** A `content_block_delta` that {@linkcode WireDelta.rest} was made of. */
export interface MessagesRest {
  type: "content_block_delta";
  delta: Record<string, unknown>;
}

/**
 * Takes an event of the Messages API apart.
 *
 * @param name The event's name.
 * @param wire The event's data.
 * @returns `undefined` if it is no delta that merges.
 */
export function readMessagesDelta(
  name: string,
  wire: Fields,
): WireDelta | undefined {
  const { delta } = wire;
  if (wire.type !== "content_block_delta" || !isFields(delta)) return undefined;
  const field = DELTA_KINDS.get(delta.type)?.field;
  const text = field === undefined ? undefined : delta[field];
  if (field === undefined || typeof text !== "string") return undefined;
  const rest = JSON.stringify({ ...wire, delta: { ...delta, [field]: "" } });
  return { name, field, rest, text };
}

/**
 * Puts the text of several deltas of one block into the event that takes their
 * place.
 *
 * @param event The first one's {@linkcode WireDelta.rest}, parsed; it is changed.
 * @param first The first delta.
 * @param text The text of all of them.
 */
export function fillMessagesDelta(
  event: MessagesRest,
  { field }: WireDelta,
  text: string,
): void {
  event.delta[field] = text;
}
