import { SourcePattern } from "./source_pattern.ts";
import { SourceRefusedError } from "./source_refused_error.ts";

/** The URLs allowed for sources that are made by request. */
export class SourcePolicy {
  readonly #patterns: readonly SourcePattern[];

  /**
   * Allows what matches one of the patterns.
   *
   * @param patterns As {@linkcode SourcePattern} has them; with none, nothing is allowed.
   * @throws {SourcePatternError} If one of them is none.
   */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map((text) => new SourcePattern(text));
  }

  /** Whether a URL is allowed. */
  allows(url: URL): boolean {
    return this.#patterns.some((pattern) => pattern.matches(url));
  }

  /**
   * Refuses a URL that is not allowed.
   *
   * @throws {SourceRefusedError} `source_not_allowed`.
   */
  check(url: URL): void {
    if (this.allows(url)) return;
    throw new SourceRefusedError({
      code: "source_not_allowed",
      host: url.host,
    });
  }
}
