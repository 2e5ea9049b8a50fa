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

/** Names of fields that only an event has which is no error. */
const NO_ERRORS = ["choices", "delta", "item", "response", "output", "usage"];

/**
 * Returns the error that an event is without saying so by its name or its type, in
 * any shape that providers are known to send into a stream: a list with an error
 * (Google), `{"detail": ...}` (FastAPI), `{"errors": [...]}`, a code or a status
 * beside a message, a type of error beside a message.
 *
 * @param value The event's data, parsed.
 * @returns The error; `undefined` if it is none.
 */
export function bareError(value: unknown): unknown {
  if (Array.isArray(value)) {
    const isError = value.length > 0 &&
      value.every((one) =>
        isFields(one) && (hasContent(one.error) || bareError(one) !== undefined)
      );
    return isError ? value : undefined;
  }
  if (!isFields(value)) return undefined;
  for (const name of NO_ERRORS) if (hasContent(value[name])) return undefined;
  if (hasContent(value.errors)) return value;
  const { type } = value;
  if (hasContent(value.detail) && type === undefined) return value;
  const words = value.message ?? value.msg;
  if (typeof words !== "string" || words === "") return undefined;
  if (typeof type === "string" && /(?:error|exception)$/i.test(type)) {
    return value;
  }
  if (type !== undefined) return undefined;
  const { code = value.status ?? value.status_code ?? value.statusCode } =
    value;
  return isErrorCode(code) ? value : undefined;
}

/** Whether a code is that of an error: `0`, 200 and `"ok"` say that there is none. */
function isErrorCode(code: unknown): boolean {
  if (typeof code === "number") return code >= 300 || code < 0;
  return typeof code === "string" && code !== "" &&
    !/^(?:0|2\d\d|ok|success|succeeded)$/i.test(code);
}

/**
 * Whether all numbers of a value of JSON are written again as they were: `1e999` would
 * become `null`, `-0` would become `0`, and a large integer another.
 *
 * @param value The value, nested as deeply as the stack allows.
 * @returns Whether they are.
 */
export function hasExactNumbers(value: unknown): boolean {
  if (typeof value === "number") {
    return Number.isFinite(value) && !Object.is(value, -0) &&
      (!Number.isInteger(value) || Number.isSafeInteger(value));
  }
  if (typeof value !== "object" || value === null) return true;
  return Object.values(value).every(hasExactNumbers);
}
