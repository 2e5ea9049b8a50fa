// This module is browser compatible.
import { formsOf, REDACTED } from "./definition.ts";

/** Replaces secrets in text by `[redacted]`, in each form that they are written in. */
export class SecretReplacer {
  /** The longest first, so that none is hidden by a part of it. */
  readonly #forms: readonly string[];

  /** Makes a replacer of secrets that are known. */
  constructor(secrets: Iterable<string>) {
    const forms = new Set<string>();
    for (const secret of secrets) {
      for (const form of formsOf(secret)) forms.add(form);
    }
    this.#forms = [...forms].sort((a, b) => b.length - a.length);
  }

  /** The length of the longest form of a secret, in UTF-16 code units; 0 if there are none. */
  get longest(): number {
    return this.#forms[0]?.length ?? 0;
  }

  /** Takes the secrets out of a text; returns the same text if it has none. */
  text(text: string): string {
    for (const form of this.#forms) {
      if (text.includes(form)) text = text.replaceAll(form, REDACTED);
    }
    return text;
  }
}
