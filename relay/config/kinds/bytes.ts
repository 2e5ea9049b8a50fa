import type { ValueKind } from "./kind.ts";

const UNITS = { KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const;

function fromText(text: string): number | undefined {
  const [, digits, unit] = /^([0-9]{1,15})(KiB|MiB|GiB)?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  if (unit === undefined) return Number(digits);
  return Number(digits) * UNITS[unit as keyof typeof UNITS]; // one of them matched
}

/** Sizes: `65536`, `64KiB`, `16MiB`. */
export const bytes: ValueKind = {
  takes: "value",
  hint: "BYTES",
  wanted: "a number of bytes, 1 at least, such as 65536, 64KiB or 16MiB",
  fromText,
  fromJson: (value) =>
    typeof value === "string" ? fromText(value) ?? value : value,
  toJson(value) {
    if (typeof value !== "number") return value;
    const [unit, size] =
      Object.entries(UNITS).findLast(([, size]) => value % size === 0) ?? [];
    return unit === undefined || size === undefined
      ? value
      : `${value / size}${unit}`;
  },
};
