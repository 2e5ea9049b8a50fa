// This module is browser compatible.
import { abortable } from "./abortable.ts";
import type { Clock } from "./clock.ts";

/**
 * The delays between attempts, and the limits for them. The names are those of
 * `@std/async/retry`.
 *
 * @example Three attempts, half a second apart at first
 * ```ts
 * import type { RetryPolicy } from "@rivulet/rivulet/fetch";
 *
 * const policy: RetryPolicy = { maxAttempts: 3, minTimeout: 500 };
 * ```
 */
export interface RetryPolicy {
  /**
   * The shortest wait, in milliseconds, and the first one.
   *
   * @default {1_000}
   */
  minTimeout?: number | undefined;
  /**
   * The longest wait, in milliseconds.
   *
   * @default {60_000}
   */
  maxTimeout?: number | undefined;
  /**
   * The factor by which the longest wait grows with every attempt, from 1.
   *
   * @default {2}
   */
  multiplier?: number | undefined;
  /**
   * The random share of a wait, from 0 to 1: with 1, all of it that is above
   * the base.
   *
   * @default {1}
   */
  jitter?: number | undefined;
  /**
   * The number of attempts in a row that may fail, including the first.
   *
   * @default {Infinity}
   */
  maxAttempts?: number | undefined;
  /**
   * The time for which attempts in a row may fail, in milliseconds. No attempt
   * is made later.
   *
   * @default {Infinity}
   */
  maxElapsed?: number | undefined;
  /**
   * The longest wait that a server may ask for with `Retry-After`, in
   * milliseconds: one that asks for more is not asked again.
   *
   * @default {Infinity}
   */
  maxRetryAfter?: number | undefined;
}

/** A {@linkcode RetryPolicy} that says everything. */
export type CompleteRetryPolicy = {
  readonly [Name in keyof RetryPolicy]-?: NonNullable<RetryPolicy[Name]>;
};

const DEFAULTS: CompleteRetryPolicy = {
  minTimeout: 1_000,
  maxTimeout: 60_000,
  multiplier: 2,
  jitter: 1,
  maxAttempts: Infinity,
  maxElapsed: Infinity,
  maxRetryAfter: Infinity,
};

/** A first wait is lengthened by no more than this share: it is what a server asked for. */
const FIRST_JITTER = 0.25;

/** A longer delay makes every runtime's timer fire at once (a 32-bit overflow). */
const MAX_DELAY = 2 ** 31 - 1;

/**
 * Fills in what a policy leaves out, and refuses what makes no sense.
 *
 * @param policy The policy.
 * @param doing The purpose, to be named in errors: "reconnect".
 * @returns All of it.
 * @throws {RangeError} If a number is out of its range.
 */
export function completeRetryPolicy(
  policy: RetryPolicy,
  doing: string,
): CompleteRetryPolicy {
  const complete = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS) as (keyof RetryPolicy)[]) {
    const value = policy[name];
    if (value !== undefined) complete[name] = value;
  }
  const check = (name: keyof RetryPolicy, ok: boolean, expected: string) => {
    if (ok) return;
    throw new RangeError(
      `Cannot ${doing} as '${name}' must be ${expected}: current value is ${
        complete[name]
      }`,
    );
  };
  const { minTimeout, maxTimeout, multiplier, jitter } = complete;
  check("minTimeout", minTimeout >= 0, "0 or more");
  check("minTimeout", minTimeout <= MAX_DELAY, `at most ${MAX_DELAY}`);
  check("maxTimeout", maxTimeout >= minTimeout, "at least 'minTimeout'");
  check("multiplier", multiplier >= 1, "1 or more");
  check("jitter", jitter >= 0 && jitter <= 1, "between 0 and 1");
  check("maxAttempts", complete.maxAttempts >= 1, "1 or more");
  check("maxElapsed", complete.maxElapsed >= 0, "0 or more");
  check("maxRetryAfter", complete.maxRetryAfter >= 0, "0 or more");
  return complete;
}

/**
 * Returns how long to wait before the next attempt, in milliseconds.
 *
 * The first wait is the base, lengthened by a quarter at most. A later one is by
 * chance between the base and `base * multiplier ** (failures - 1)`: never
 * sooner than the server asked, and spread so that many clients do not come
 * back at once.
 *
 * @param failures The number of attempts in a row that have failed, from 1.
 * @param base The shortest wait: what the server asked for, or else `minTimeout`.
 * @param policy The policy; `base` is put between its `minTimeout` and `maxTimeout`.
 * @param random Chance, from 0 to 1. Default: `Math.random`.
 */
export function retryDelay(
  failures: number,
  base: number,
  policy: CompleteRetryPolicy,
  random: () => number = Math.random,
): number {
  const { minTimeout, maxTimeout, multiplier, jitter } = policy;
  const shortest = Math.min(Math.max(base, minTimeout), maxTimeout);
  const chance = jitter * random();
  if (failures <= 1) return lengthen(shortest, chance, maxTimeout);
  // From 1 ms at least: a base of 0 would never grow.
  const longest = Math.min(
    Math.max(shortest, 1) * multiplier ** (failures - 1),
    maxTimeout,
    MAX_DELAY,
  );
  return longest - chance * Math.max(0, longest - shortest);
}

/**
 * Returns how long to wait where the wait is known but for a little chance, as
 * the clients of model providers have it:
 * `minTimeout * multiplier ** retries * U[1 - jitter, 1 + jitter)`.
 *
 * @param retries The number of retries before this one, from 0.
 * @param policy The policy.
 * @param random Chance, from 0 to 1. Default: `Math.random`.
 * @returns In milliseconds, `maxTimeout` at most.
 */
export function backoffDelay(
  retries: number,
  policy: CompleteRetryPolicy,
  random: () => number = Math.random,
): number {
  const { minTimeout, maxTimeout, multiplier, jitter } = policy;
  const chance = 1 - jitter + 2 * jitter * random();
  return Math.min(minTimeout * multiplier ** retries * chance, maxTimeout);
}

/**
 * Returns how long to wait where the server has said how long.
 *
 * @param retryAfter The wait that the server asks for, in milliseconds.
 * @param policy The policy.
 * @param random Chance, from 0 to 1. Default: `Math.random`.
 */
export function retryAfterDelay(
  retryAfter: number,
  { minTimeout, jitter }: CompleteRetryPolicy,
  random: () => number = Math.random,
): number {
  return lengthen(
    Math.max(retryAfter, minTimeout),
    jitter * random(),
    Infinity,
  );
}

function lengthen(delay: number, chance: number, longest: number): number {
  return Math.min(delay * (1 + FIRST_JITTER * chance), longest, MAX_DELAY);
}

/**
 * Reads how long a server wants to be left alone.
 *
 * `retry-after-ms` goes before `Retry-After`, which is in seconds, fractions
 * too, or a date (RFC 9110, section 10.2.3).
 *
 * @param headers The headers of its answer.
 * @param now The time, in milliseconds since the epoch, for dates.
 * @returns In milliseconds, 0 or more; `undefined` if it does not say.
 */
export function parseRetryAfter(
  headers: Pick<Headers, "get">,
  now: number,
): number | undefined {
  const milliseconds = parseDecimal(headers.get("retry-after-ms"));
  if (milliseconds !== undefined) return milliseconds;
  const text = headers.get("retry-after");
  const seconds = parseDecimal(text);
  if (seconds !== undefined) return seconds * 1_000;
  const date = parseDate(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * The three forms of a date in HTTP (RFC 9110, section 5.6.7), all of them in
 * GMT; `Date.parse` alone takes nearly anything, in the local time.
 */
const DATE =
  /^\s*(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? (.*\d\d:\d\d:\d\d)(?: GMT| (\d{4}))\s*$/;

function parseDate(text: string | null): number {
  const [, date, year = ""] = DATE.exec(text ?? "") ?? [];
  return date === undefined ? NaN : Date.parse(`${date} ${year} GMT`);
}

function parseDecimal(text: string | null): number | undefined {
  return text !== null && /^\s*\d+(\.\d+)?\s*$/.test(text)
    ? Number(text)
    : undefined;
}

/**
 * Waits.
 *
 * @param delay In milliseconds.
 * @param clock The clock of the wait.
 * @param signal Ends the wait: it then rejects with the signal's reason.
 */
export async function wait(
  delay: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  let cancel = (): void => {};
  const over = new Promise<void>((resolve) => {
    cancel = clock.setTimeout(resolve, delay);
  });
  try {
    await abortable(over, signal);
  } finally {
    cancel();
  }
}
