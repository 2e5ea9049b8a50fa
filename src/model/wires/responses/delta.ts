// This module is browser compatible.
import type { Fields } from "../event_data.ts";
import type { WireDelta } from "../wire_delta.ts";

/** The deltas of the Responses API whose text is in `delta`. */
const RESPONSES_DELTAS: ReadonlySet<string> = new Set([
  "response.output_text.delta",
  "response.refusal.delta",
  "response.reasoning_text.delta",
  "response.reasoning_summary_text.delta",
  "response.function_call_arguments.delta",
  "response.custom_tool_call_input.delta",
  "response.mcp_call_arguments.delta",
]);

/** A Responses event that {@linkcode WireDelta.rest} was made of. */
export interface ResponsesRest {
  delta: string;
  sequence_number?: number;
  logprobs?: readonly unknown[];
}

/**
 * Takes an event of the Responses API apart.
 *
 * @param name The event's name.
 * @param wire The event's data.
 * @returns `undefined` if it is no delta that merges.
 */
export function readResponsesDelta(
  name: string,
  wire: Fields,
): WireDelta | undefined {
  const { type = name, delta, sequence_number: number, logprobs } = wire;
  if (typeof type !== "string" || !RESPONSES_DELTAS.has(type)) return undefined;
  if (typeof delta !== "string") return undefined;
  const isNumbered = typeof number === "number";
  const hasLogprobs = Array.isArray(logprobs);
  const rest: Fields = {
    ...wire,
    delta: "",
    ...(isNumbered && { sequence_number: 0 }),
    ...(hasLogprobs && { logprobs: [] }),
    obfuscation: undefined,
  };
  return {
    name,
    field: "delta",
    rest: JSON.stringify(rest),
    text: delta,
    ...(isNumbered && { sequenceNumber: number }),
    ...(hasLogprobs && { logprobs }),
  };
}

/**
 * Puts the text of several deltas of one item into the event that takes their
 * place.
 *
 * @param event The first one's {@linkcode WireDelta.rest}, parsed; it is changed.
 * @param last The last delta.
 * @param text The text of all of them.
 * @param logprobs The log probabilities of all of them, if they have such.
 */
export function fillResponsesDelta(
  event: ResponsesRest,
  { sequenceNumber }: WireDelta,
  text: string,
  logprobs: readonly unknown[] | undefined,
): void {
  event.delta = text;
  if (logprobs) event.logprobs = logprobs;
  if (sequenceNumber !== undefined) event.sequence_number = sequenceNumber;
}
