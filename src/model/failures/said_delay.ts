// This module is browser compatible.
import { parseRetryAfter } from "../../fetch/retry.ts";
import { type Fields, isFields } from "../wires/event_data.ts";

/** The length of each unit, in milliseconds. */
const UNITS: readonly (readonly [RegExp, number])[] = [
  [/^(?:ms|milli)/i, 1],
  [/^s/i, 1_000],
  [/^m/i, 60_000],
  [/^h/i, 3_600_000],
  [/^d/i, 86_400_000],
];

const PART =
  /(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])(?:\s*(?:,|and)?\s*)?/giy;

/**
 * The words before a wait: "try again in 1.2s", "Please retry after 26 seconds",
 * "Please wait 5 seconds".
 */
const BEFORE = /\b(?:try again|retry(?:ing)?|wait)(?: (?:in|after|for))?:? +/gi;

/**
 * Reads a wait from the words of an error, the only place where some providers
 * name it.
 *
 * @param words The words.
 * @returns In milliseconds; `undefined` if they name none.
 */
export function delayInWords(words: string): number | undefined {
  for (const { index, 0: before } of words.matchAll(BEFORE)) {
    const delay = durationAt(words, index + before.length);
    if (delay !== undefined) return delay;
  }
  return undefined;
}

/**
 * Reads a wait from the fields of an error: `retryDelay` of Google,
 * `retry_after` and its relatives, and the headers that OpenRouter repeats.
 *
 * @param fields The error.
 * @param now The time, in milliseconds since the epoch, for waits until a date.
 * @returns In milliseconds; `undefined` if there is none.
 */
export function delayIn(fields: Fields, now: number): number | undefined {
  const { details, metadata } = fields;
  const own = delayOf(fields);
  if (own !== undefined) return own;
  if (Array.isArray(details)) {
    for (const detail of details.slice(0, 10)) {
      const delay = isFields(detail) ? delayOf(detail) : undefined;
      if (delay !== undefined) return delay;
    }
  }
  if (!isFields(metadata)) return undefined;
  return delayOf(metadata) ?? delayInHeaders(metadata.headers, now);
}

function delayOf(fields: Fields): number | undefined {
  const milliseconds = numberIn(fields, ["retry_after_ms", "retryAfterMs"]);
  if (milliseconds !== undefined) return milliseconds;
  const seconds = numberIn(fields, [
    "retry_after",
    "retryAfter",
    "retry_after_seconds",
    "retryAfterSeconds",
    "retry-after",
  ]);
  if (seconds !== undefined) return seconds * 1_000;
  const { retryDelay } = fields;
  if (typeof retryDelay === "string") {
    return durationAt(retryDelay.trim(), 0);
  }
  if (typeof retryDelay === "number" && retryDelay >= 0) {
    return retryDelay * 1_000;
  }
  if (!isFields(retryDelay)) return undefined;
  const whole = numberIn(retryDelay, ["seconds"]) ?? 0;
  const delay = whole * 1_000 + (numberIn(retryDelay, ["nanos"]) ?? 0) / 1e6;
  return delay > 0 ? delay : undefined;
}

function delayInHeaders(given: unknown, now: number): number | undefined {
  if (!isFields(given)) return undefined;
  const headers = new Headers();
  for (const name of ["retry-after", "retry-after-ms", "x-ratelimit-reset"]) {
    for (const [other, value] of Object.entries(given)) {
      if (other.toLowerCase() !== name) continue;
      const text = String(value);
      if (/^[\x20-\x7e]*$/.test(text)) headers.set(name, text);
    }
  }
  const delay = parseRetryAfter(headers, now);
  if (delay !== undefined) return delay;
  // OpenRouter: in milliseconds since the epoch.
  const reset = Number(headers.get("x-ratelimit-reset") ?? NaN);
  return reset > 1e12 ? Math.max(0, reset - now) : undefined;
}

/** A duration such as `1.2s`, `6m0s` or `26 seconds`. */
function durationAt(text: string, start: number): number | undefined {
  let total: number | undefined;
  for (PART.lastIndex = start;;) {
    const [, number, name = ""] = PART.exec(text) ?? [];
    if (number === undefined) return total;
    const [, unit = 0] = UNITS.find(([start]) => start.test(name)) ?? [];
    total = (total ?? 0) + Number(number) * unit;
  }
}

function numberIn(
  fields: Fields,
  names: readonly string[],
): number | undefined {
  for (const name of names) {
    const value = fields[name];
    const number = typeof value === "string" && value.trim() !== ""
      ? Number(value)
      : value;
    if (typeof number === "number" && number >= 0 && number < Infinity) {
      return number;
    }
  }
  return undefined;
}
