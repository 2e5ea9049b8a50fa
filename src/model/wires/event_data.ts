// This module is browser compatible.

/** An object from the wire, whose fields may be anything. */
export interface Fields {
  readonly [field: string]: unknown;
}

/**
 * Parses the data of an event.
 *
 * @param data The event's data.
 * @returns The value; `undefined` if the data is not JSON.
 */
export function parseData(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

/**
 * Whether data is the mark that many providers send after a stream's last event.
 *
 * @param data The event's data.
 * @returns Whether it is.
 */
export function isDone(data: string): boolean {
  return data.trim() === "[DONE]";
}

/**
 * Returns the type of an event: its own, or else an error's if it has one, or
 * else the event's name.
 *
 * @param name The event's name.
 * @param wire The event's data.
 * @returns The type.
 */
export function typeOf(
  name: string,
  wire: { readonly type?: unknown; readonly error?: unknown },
): string {
  if (typeof wire.type === "string") return wire.type;
  return wire.error == null ? name : "error";
}

/**
 * Returns the error in the data of an event with the name `error`: the field
 * `error` of an object, the object itself, or the text.
 *
 * @param data The event's data.
 * @returns The error.
 */
export function errorIn(data: string): unknown {
  const value = parseData(data);
  if (value === undefined) return data.trim();
  return isFields(value) && hasContent(value.error) ? value.error : value;
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
 * Returns the text of a field.
 *
 * @param value The field's value.
 * @returns The text; `""` if the value is not a string.
 */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/**
 * Whether a value of JSON is nested more deeply than so many levels. It looks no
 * deeper than that: `JSON.parse` takes values that no other function can go through.
 *
 * @param value The value.
 * @param levels The levels that it may have.
 * @returns Whether it has more.
 */
export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const field of Object.values(value)) {
    if (isDeeper(field, levels - 1)) return true;
  }
  return false;
}
