import type { ValueKind } from "./kind.ts";

/**
 * Makes a kind whose values are taken as they are.
 *
 * @param hint What stands for one in the help.
 * @param wanted What is wanted, in words.
 */
export function text(hint: string, wanted: string): ValueKind {
  return {
    takes: "value",
    hint,
    wanted,
    fromText: (text) => text === "" ? undefined : text,
    fromJson: (value) => value,
    toJson: (value) => value,
  };
}
