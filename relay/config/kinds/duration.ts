import type { ValueKind } from "./kind.ts";

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

const NEVER = "never";

/**
 * What a duration may be besides one with a unit that is not zero. What is none
 * is refused by the options' schema; here it is what is said to be wanted.
 */
export interface DurationOptions {
  /** Whether it may be `never`, which is `Infinity` as an option. */
  readonly never?: boolean;
  /** Whether it may be nothing at all. */
  readonly zero?: boolean;
  /** Whether a plain number is taken for seconds. */
  readonly seconds?: boolean;
}

function toJson(value: unknown): unknown {
  if (value === Infinity) return NEVER;
  if (typeof value !== "number" || !Number.isInteger(value)) return value;
  const [unit, size] =
    Object.entries(UNITS).findLast(([, size]) => value % size === 0) ?? [];
  return unit === undefined || size === undefined || value === 0
    ? value
    : `${value / size}${unit}`;
}

/** Makes a kind for durations, `500ms`, `30s`, `10m` or `1h`, which are milliseconds as options. */
export function duration(
  { never = false, zero = false, seconds = false }: DurationOptions = {},
): ValueKind {
  function fromText(text: string): number | undefined {
    if (text === NEVER) return Infinity;
    const [, digits, unit = seconds ? "s" : undefined] =
      /^([0-9]{1,9})(ms|s|m|h)?$/.exec(text) ?? [];
    if (digits === undefined || unit === undefined) return undefined;
    return Number(digits) * UNITS[unit as keyof typeof UNITS]; // one of them matched
  }
  return {
    takes: "value",
    hint: "DURATION",
    wanted: `a duration${zero ? "" : " above 0"} such as 500ms, 30s, 10m or 1h${
      never ? `, or ${NEVER}` : ""
    }`,
    fromText,
    fromJson: (value) =>
      typeof value === "string" ? fromText(value) ?? value : value,
    toJson,
  };
}
