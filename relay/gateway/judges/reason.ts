import type { Redact } from "./judge.ts";

/** In UTF-16 code units. */
const LONGEST = 1_000;

/**
 * Makes a text fit to be the reason of an end. The secrets are taken out first, as
 * half of one would not be found.
 *
 * @param text What is to be said, perhaps in a provider's words.
 * @param redact Takes the secrets out.
 */
export function reason(text: string, redact: Redact): string {
  const clean = redact(text);
  const cut = clean.length > LONGEST
    ? `${clean.slice(0, LONGEST - 1)}…`
    : clean;
  // The cut, or the provider, may have left half of a character.
  return cut.toWellFormed();
}
