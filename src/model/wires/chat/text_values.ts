// This module is browser compatible.
import type { DeltaValues } from "../delta_shape.ts";
import { hasContent, isFields } from "../event_data.ts";

/** Fields of a chunk that tell nothing of what is in it. */
const ENVELOPE: ReadonlySet<string> = new Set([
  "id",
  "object",
  "created",
  "model",
  "choices",
  "system_fingerprint",
  "service_tier",
  "provider",
  "obfuscation",
]);

const NO_VALUES: DeltaValues = { text: undefined };

/**
 * Returns the values that differ from one chunk to the next: none, if the chunk
 * has anything but text, as that may be told only once, or be kept without an
 * event.
 *
 * @param chunk The chunk.
 * @returns The values.
 */
export function textValuesOf(chunk: unknown): DeltaValues {
  if (!isFields(chunk)) return NO_VALUES;
  for (const field in chunk) {
    if (!ENVELOPE.has(field) && hasContent(chunk[field])) return NO_VALUES;
  }
  const { choices } = chunk;
  if (!Array.isArray(choices) || choices.length !== 1) return NO_VALUES;
  const choice: unknown = choices[0];
  if (!isFields(choice)) return NO_VALUES;
  for (const field in choice) {
    if (field !== "delta" && hasContent(choice[field])) return NO_VALUES;
  }
  const { delta } = choice;
  if (!isFields(delta)) return NO_VALUES;
  for (const field in delta) {
    if (field !== "content" && field !== "role" && hasContent(delta[field])) {
      return NO_VALUES;
    }
  }
  return { text: delta.content };
}
