import { escapeInvisible } from "../logs/escape_invisible.ts";
import { redactUrls } from "../../src/fetch/secrets/urls.ts";

/** How much of a value is shown, in characters. */
const MOST = 100;

/** Shows what was written, in an error: short, on one line, and without credentials. */
export function written(value: unknown): string {
  switch (typeof value) {
    case "string": {
      const text = redactUrls(value);
      return escapeInvisible(
        text.length > MOST ? `'${text.slice(0, MOST)}…'` : `'${text}'`,
      );
    }
    case "undefined":
      return "nothing";
    case "object":
      return value === null
        ? "null"
        : Array.isArray(value)
        ? "a list"
        : "an object";
    default:
      return String(value);
  }
}
