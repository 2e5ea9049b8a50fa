import type { SecretReplacer } from "../../src/fetch/secrets/secret_replacer.ts";

/** The part of a text that is looked through in a step, in UTF-16 code units. */
const STEP = 64 * 1024;

/**
 * Takes the secrets out of a text, as the replacer does. A long text is looked through
 * in steps, and only one that has a secret is gone through at once.
 */
export function* cleaned(
  secrets: SecretReplacer,
  text: string,
): Generator<void, string> {
  for (let at = 0; at < text.length; at += STEP) {
    // A secret may lie across the end of a part.
    const part = text.slice(at, at + STEP + secrets.longest);
    if (secrets.text(part) !== part) return secrets.text(text);
    if (at + STEP < text.length) yield;
  }
  return text;
}
