import { isSecretName, REDACTED } from "../../src/fetch/secrets/definition.ts";
import { redactText } from "../../src/fetch/secrets/redactor.ts";

/** The depth to which a value is written. */
const DEPTH = 4;

/** Of how many items, and of how many characters. */
const ITEMS = 50;
const LENGTH = 4_096;

/** A value of JSON. */
export type PlainValue =
  | string
  | number
  | boolean
  | null
  | readonly PlainValue[]
  | { readonly [key: string]: PlainValue };

/**
 * Makes of anything that is logged what can be written: bounded, and without
 * secrets. Of an error that is what names it, and what caused it: what else an
 * error has on it may be a request with its headers.
 */
export function plainValue(value: unknown, depth: number = DEPTH): PlainValue {
  switch (typeof value) {
    case "string":
      return shorten(redactText(value));
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
      return value;
    case "undefined":
      return null;
    case "object":
      return value === null ? null : plainObject(value, depth);
    default:
      return shorten(redactText(String(value)));
  }
}

function shorten(text: string): string {
  return text.length > LENGTH
    ? `${text.slice(0, LENGTH)}… (${text.length} characters)`
    : text;
}

function plainObject(value: object, depth: number): PlainValue {
  if (value instanceof Error) return plainError(value, depth);
  if (value instanceof URL) return shorten(redactText(value.href));
  if (value instanceof Date) return String(value);
  if (depth === 0) return "…";
  if (Array.isArray(value)) {
    return value.slice(0, ITEMS).map((item) => plainValue(item, depth - 1));
  }
  return Object.fromEntries(
    Object.entries(value).slice(0, ITEMS).map(([key, item]) => [
      shorten(key),
      isSecretName(key) && typeof item === "string"
        ? REDACTED
        : plainValue(item, depth - 1),
    ]),
  );
}

function plainError(error: Error, depth: number): PlainValue {
  const code = "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
  return {
    name: shorten(String(error.name)),
    ...(code !== undefined && { code: shorten(code) }),
    message: shorten(redactText(String(error.message))),
    // One with a code was foreseen; of another it matters where it comes from.
    ...(code === undefined && typeof error.stack === "string" &&
      { stack: shorten(redactText(framesOf(error.stack))) }),
    ...(error.cause !== undefined &&
      { cause: depth === 0 ? "…" : plainValue(error.cause, depth - 1) }),
  };
}

/** Without the message, which is told already. */
function framesOf(stack: string): string {
  return stack.split("\n").map((line) => line.trim())
    .filter((line) => line.startsWith("at "))
    .join("\n");
}
