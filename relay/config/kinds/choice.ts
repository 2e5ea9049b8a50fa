import type { ValueKind } from "./kind.ts";

/**
 * Makes a kind for one of several words.
 *
 * @param hint What stands for it in the help; default: the words.
 */
export function choice(
  words: readonly string[],
  hint: string = words.join("|"),
): ValueKind {
  return {
    takes: "value",
    hint,
    wanted: `one of ${words.join(", ")}`,
    fromText: (text) => words.includes(text) ? text : undefined,
    fromJson: (value) => value,
    toJson: (value) => value,
  };
}
