import { z } from "zod";
import { messageOf } from "../../src/fetch/message_of.ts";

/** A kind of option: the values that it accepts, and their notations. */
export type Kind = ValueKind | ToggleKind | ListKind;

/** One value: `--port 8787`, `RIVULET_PORT=8787`, `"port": 8787`. */
export interface ValueKind<S extends z.ZodType = z.ZodType> {
  /** The number of values. */
  readonly takes: "value";
  /** Accepts a value. */
  readonly schema: S;
  /** The placeholder of a value in the help: `NUMBER`. */
  readonly hint: string;
  /** The values that are accepted, in words. */
  readonly wanted: string;
  /**
   * Reads the text of a flag or a variable.
   *
   * @returns `undefined` if the text is not of this kind.
   */
  fromText(text: string): unknown;
  /**
   * Reads a value of the configuration file, which may be a text where the
   * option is not. Returns a wrong value as it is, for the schema to refuse.
   */
  fromJson(value: unknown): unknown;
  /** Writes a value as the configuration file has it. */
  toJson(value: unknown): unknown;
}

/** Yes or no: `--x`, `--no-x`, `RIVULET_X=true`, `"x": true`. */
export interface ToggleKind {
  /** The number of values. */
  readonly takes: "nothing";
  /** Accepts a value. */
  readonly schema: z.ZodBoolean;
  /** Whether the flag turns the option off rather than on. */
  readonly negated: boolean;
}

/** Any number of values: `--x A --x B`, `RIVULET_X="A B"`, `"x": ["A", "B"]`. */
export interface ListKind<S extends z.ZodType = z.ZodType> {
  /** The number of values. */
  readonly takes: "values";
  /** Accepts all values. */
  readonly schema: z.ZodArray<S>;
  /** The kind of each value. */
  readonly item: ValueKind<S>;
}

/** A flag that turns its option on. */
export const toggle: ToggleKind = {
  takes: "nothing",
  schema: z.boolean(),
  negated: false,
};

/** A flag that turns its option off. */
export const negatedToggle: ToggleKind = { ...toggle, negated: true };

/** Makes a kind for any number of values. */
export function list<S extends z.ZodType>(item: ValueKind<S>): ListKind<S> {
  return { takes: "values", schema: z.array(item.schema), item };
}

function same(value: unknown): unknown {
  return value;
}

/**
 * Makes a kind whose texts are taken as they are.
 *
 * @param hint The placeholder of a value in the help.
 * @param wanted The values that are accepted, in words.
 * @param schema Accepts a value. Default: any text but an empty one.
 */
export function text(
  hint: string,
  wanted: string,
  schema: z.ZodType<string, string> = z.string().min(1),
): ValueKind<z.ZodType<string, string>> {
  return {
    takes: "value",
    schema,
    hint,
    wanted,
    fromText: (text) => text === "" ? undefined : text,
    fromJson: same,
    toJson: same,
  };
}

/** Accepts a text that `read` can read, and passes on the reason for another. */
export function readable(
  read: (text: string) => unknown,
): z.ZodType<string, string> {
  return z.string().min(1).superRefine((text, context) => {
    try {
      read(text);
    } catch (error) {
      const message = messageOf(error);
      context.addIssue({ code: "custom", message });
    }
  });
}

/**
 * Makes a kind for one of several words.
 *
 * @param hint The placeholder of a value in the help. Default: the words.
 */
export function choice<const W extends readonly string[]>(
  words: W,
  hint: string = words.join("|"),
): ValueKind<z.ZodType<W[number], W[number]>> {
  return {
    takes: "value",
    schema: z.enum(words),
    hint,
    wanted: `one of ${words.join(", ")}`,
    fromText: (text) => words.includes(text) ? text : undefined,
    fromJson: same,
    toJson: same,
  };
}

type NumberKind = ValueKind<z.ZodType<number, number>>;

function numberKind(
  schema: z.ZodType<number, number>,
  wanted: string,
  pattern: RegExp,
): NumberKind {
  return {
    takes: "value",
    schema,
    hint: "NUMBER",
    wanted,
    fromText: (text) => pattern.test(text) ? Number(text) : undefined,
    fromJson: same,
    toJson: same,
  };
}

/** Whole numbers from 1. */
export const count: NumberKind = numberKind(
  z.int().positive(),
  "a whole number, 1 at least",
  /^[0-9]{1,15}$/,
);

const AUTO = "auto";

/** Whole numbers from 1, and `auto` for as many as there are cores. */
export const countOrAuto: ValueKind<
  z.ZodType<number | typeof AUTO, number | typeof AUTO>
> = {
  takes: "value",
  schema: z.union([count.schema, z.literal(AUTO)]),
  hint: "NUMBER|auto",
  wanted: `${count.wanted}, or ${AUTO}`,
  fromText: (text) => text === AUTO ? AUTO : count.fromText(text),
  fromJson: same,
  toJson: same,
};

/** Ports, and 0 for any that is free. */
export const port: NumberKind = numberKind(
  z.int().min(0).max(65_535),
  "a whole number from 0 to 65535",
  /^[0-9]{1,15}$/,
);

/** Numbers above 0 that need not be whole: `100`, `0.5`. */
export const rate: NumberKind = numberKind(
  z.number().positive(),
  "a number above 0, such as 100 or 0.5",
  /^[0-9]{1,12}(\.[0-9]{1,6})?$/,
);

/** A unit of a table, from the largest; the tables begin with the smallest. */
function largestUnit(
  units: Readonly<Record<string, number>>,
  value: number,
): string | undefined {
  const [unit, size] =
    Object.entries(units).findLast(([, size]) => value % size === 0) ?? [];
  return size === undefined ? undefined : `${value / size}${unit}`;
}

const BYTES = { KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const;

function bytesFromText(text: string): number | undefined {
  const [, digits, unit] = /^([0-9]{1,15})(KiB|MiB|GiB)?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  if (unit === undefined) return Number(digits);
  return Number(digits) * BYTES[unit as keyof typeof BYTES]; // one of them matched
}

/** Sizes: `65536`, `64KiB`, `16MiB`. */
export const bytes: NumberKind = {
  takes: "value",
  schema: z.int().positive(),
  hint: "BYTES",
  wanted: "a number of bytes, 1 at least, such as 65536, 64KiB or 16MiB",
  fromText: bytesFromText,
  fromJson: (value) =>
    typeof value === "string" ? bytesFromText(value) ?? value : value,
  toJson: (value) =>
    typeof value === "number" ? largestUnit(BYTES, value) ?? value : value,
};

const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

const NEVER = "never";

/** The longest delay of a timer, in milliseconds. */
const MAX_DELAY = 2_147_483_647;

/** The durations that are accepted besides those above 0 with a unit. */
export interface DurationOptions {
  /** Whether `never` is one, which is `Infinity` as an option. */
  readonly never?: boolean;
  /** Whether 0 is one. */
  readonly zero?: boolean;
  /** Whether a number without a unit is one, in seconds. */
  readonly seconds?: boolean;
}

function durationToJson(value: unknown): unknown {
  if (value === Infinity) return NEVER;
  if (typeof value !== "number" || !Number.isInteger(value) || value === 0) {
    return value;
  }
  return largestUnit(MILLISECONDS, value) ?? value;
}

/** Makes a kind for durations, `500ms`, `30s`, `10m` or `1h`; as options they are milliseconds. */
export function duration(
  { never = false, zero = false, seconds = false }: DurationOptions = {},
): NumberKind {
  const finite = zero
    ? z.number().min(0).max(MAX_DELAY)
    : z.number().positive();
  function fromText(text: string): number | undefined {
    if (text === NEVER) return Infinity;
    const [, digits, unit = seconds ? "s" : undefined] =
      /^([0-9]{1,9})(ms|s|m|h)?$/.exec(text) ?? [];
    if (digits === undefined || unit === undefined) return undefined;
    return Number(digits) * MILLISECONDS[unit as keyof typeof MILLISECONDS]; // one of them matched
  }
  return {
    takes: "value",
    schema: never ? z.union([finite, z.literal(Infinity)]) : finite,
    hint: "DURATION",
    wanted: `a duration${zero ? "" : " above 0"} such as 500ms, 30s, 10m or 1h${
      never ? `, or ${NEVER}` : ""
    }`,
    fromText,
    fromJson: (value) =>
      typeof value === "string" ? fromText(value) ?? value : value,
    toJson: durationToJson,
  };
}

/** URLs of http and https. */
export const url: ValueKind<z.ZodType<string, string>> = text(
  "URL",
  "a URL of http or https",
  z.url({
    protocol: /^https?$/,
    message: "Expected a URL of http or https",
  }),
);

/** Addresses, and ranges of them in CIDR notation. */
export const addressRange: ValueKind<z.ZodType<string, string>> = text(
  "ADDRESS",
  "an address or a range of them, such as 10.0.0.0/8",
  z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
    message: "Expected an address or a range of them, such as 10.0.0.0/8",
  }),
);
