// This module is browser compatible.

/**
 * Cuts a text that is too long, and never within a pair of surrogates. (Written
 * out, as `toWellFormed` is younger than some runtimes.)
 *
 * @param text The text.
 * @param most The most that is kept, in UTF-16 code units.
 * @returns The text; `…` ends one that was cut.
 */
export function cutText(text: string, most: number): string {
  if (text.length <= most) return text;
  return `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
