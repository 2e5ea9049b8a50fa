// This module is browser compatible.
import { type Fields, hasContent, textOf } from "../event_data.ts";
import type { WireDelta } from "../wire_delta.ts";

/** The deltas of UI messages whose text is in `delta`. */
const UI_DELTAS: ReadonlySet<string> = new Set([
  "text-delta",
  "reasoning-delta",
]);

/** A chunk of UI messages that {@linkcode WireDelta.rest} was made of. */
export interface UiRest {
  type: string;
  delta: string;
}

/** Whether a chunk is a delta of UI messages that {@linkcode readUiDelta} may take. */
export function isUiDelta(wire: Readonly<Record<string, unknown>>): boolean {
  return UI_DELTAS.has(textOf(wire.type));
}

/**
 * Takes a chunk of UI messages apart.
 *
 * @param name The event's name.
 * @param wire The event's data.
 * @returns `undefined` if it is no delta that merges.
 */
export function readUiDelta(name: string, wire: Fields): WireDelta | undefined {
  const { delta, providerMetadata } = wire;
  // Metadata of one part of the text does not hold for another.
  if (typeof delta !== "string" || hasContent(providerMetadata)) {
    return undefined;
  }
  const rest = JSON.stringify({ ...wire, delta: "" });
  return { name, field: "delta", rest, text: delta };
}

/**
 * Puts the text of several deltas of one part into the chunk that takes their place.
 *
 * @param chunk The first one's {@linkcode WireDelta.rest}, parsed; it is changed.
 * @param text The text of all of them.
 */
export function fillUiDelta(chunk: UiRest, text: string): void {
  chunk.delta = text;
}
