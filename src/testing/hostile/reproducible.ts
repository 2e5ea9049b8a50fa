// This module is browser compatible.

/**
 * Makes an id of what it is for: equal requests get equal answers. It is no
 * protection against anything.
 *
 * @see {@link http://www.isthe.com/chongo/tech/comp/fnv/ | FNV-1a}, with two bases.
 */
export function digest(text: string): string {
  let first = 0x811C9DC5;
  let second = 0xCBF29CE4;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    first = Math.imul(first ^ code, 0x01000193);
    second = Math.imul(second ^ code, 0x01000197);
  }
  return [first, second]
    .map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

/**
 * The time at which everything was made, in seconds: equal requests get equal
 * answers.
 */
export const CREATED = 1_800_000_000;
