import type { ValueKind } from "./kind.ts";

function numberKind(wanted: string, pattern: RegExp): ValueKind {
  return {
    takes: "value",
    hint: "NUMBER",
    wanted,
    fromText: (text) => pattern.test(text) ? Number(text) : undefined,
    fromJson: (value) => value,
    toJson: (value) => value,
  };
}

/**
 * Makes a kind for whole numbers.
 *
 * @param wanted What is wanted, in words.
 */
export function wholeNumber(wanted: string): ValueKind {
  return numberKind(wanted, /^[0-9]{1,15}$/);
}

/** Numbers that need not be whole: `100`, `0.5`. */
export const rate: ValueKind = numberKind(
  "a number above 0, such as 100 or 0.5",
  /^[0-9]{1,12}(\.[0-9]{1,6})?$/,
);
