// This module is browser compatible.

/** An object from the wire: nothing is known of what its fields are. */
export interface Fields {
  readonly [field: string]: unknown;
}

/**
 * Whether a value is an object with fields.
 *
 * @param value The value.
 * @returns Whether it is one: no array, and not `null`.
 */
export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Whether a field says anything: providers fill what they do not use with
 * `null`, `""`, `false`, `0`, `[]` or `{}`.
 *
 * @param value The field's value.
 * @returns Whether it does.
 */
export function hasContent(value: unknown): boolean {
  if (!value) return false;
  if (typeof value !== "object") return true;
  for (const _ in value) return true; // one field, or element, is enough
  return false;
}

/**
 * The text that a field has.
 *
 * @param value The field's value.
 * @returns The text; `""` if it is none.
 */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
