// This module is browser compatible.

/** One kind of limit. */
export interface RateLimit {
  /** The amount allowed in all. */
  readonly limit?: number;
  /** The amount that remains. */
  readonly remaining?: number;
  /** The time until the whole amount is available again, in milliseconds. */
  readonly resetAfter?: number;
}

/**
 * The rate limits of a provider, as the headers of its response state them.
 *
 * @example Slow down in time
 * ```ts
 * import type { RateLimits } from "@rivulet/rivulet/model";
 *
 * const isTight = ({ requests }: RateLimits): boolean =>
 *   requests?.remaining !== undefined && requests.remaining < 10;
 * ```
 */
export interface RateLimits {
  /** In requests. */
  readonly requests?: RateLimit;
  /** In tokens. */
  readonly tokens?: RateLimit;
}

/** `"6m0s"`, `"1.5s"`, `"20ms"`, and plain seconds. */
const DURATION = /(\d+(?:\.\d+)?)(ms|s|m|h|d|$)/g;

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  "": 1_000,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Reads what the headers `x-ratelimit-*` say.
 *
 * @see {@link https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers | OpenAI: rate limits in headers}
 *
 * @param headers The headers of an answer.
 * @returns The limits; empty if there are none.
 */
export function parseRateLimits(headers: Headers): RateLimits {
  const requests = parseLimit(headers, "requests");
  const tokens = parseLimit(headers, "tokens");
  return { ...(requests && { requests }), ...(tokens && { tokens }) };
}

function parseLimit(headers: Headers, kind: string): RateLimit | undefined {
  const limit = parseCount(headers.get(`x-ratelimit-limit-${kind}`));
  const remaining = parseCount(headers.get(`x-ratelimit-remaining-${kind}`));
  const resetAfter = parseDuration(headers.get(`x-ratelimit-reset-${kind}`));
  if ((limit ?? remaining ?? resetAfter) === undefined) return undefined;
  return {
    ...(limit !== undefined && { limit }),
    ...(remaining !== undefined && { remaining }),
    ...(resetAfter !== undefined && { resetAfter }),
  };
}

function parseCount(text: string | null): number | undefined {
  return text !== null && /^\s*\d+\s*$/.test(text) ? Number(text) : undefined;
}

function parseDuration(text: string | null): number | undefined {
  const whole = text?.trim() ?? "";
  let total = 0;
  let length = 0;
  for (const [part, number, unit = ""] of whole.matchAll(DURATION)) {
    total += Number(number) * (UNITS[unit] ?? 0);
    length += part.length;
  }
  // Only what is a duration from its start to its end.
  return length > 0 && length === whole.length ? total : undefined;
}
