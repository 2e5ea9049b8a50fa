/** The names of some topics: a name with `*` for any run of characters, or none. */
export class Pattern {
  /** The texts between the asterisks. */
  readonly #parts: readonly string[];

  /** Reads a pattern; nothing but `*` is special. */
  constructor(text: string) {
    this.#parts = text.split("*");
  }

  /**
   * Whether it is the pattern of a name. Each part is looked for once, from left
   * to right: to take the first place that fits leaves most room for the others,
   * so that nothing is ever tried again.
   */
  matches(name: string): boolean {
    const parts = this.#parts;
    const last = parts.length - 1;
    const start = parts[0]!; // split gives one part at least
    if (last === 0) return name === start;
    const end = parts[last]!; // as above
    const until = name.length - end.length;
    let at = start.length;
    if (!name.startsWith(start) || !name.endsWith(end)) return false;
    for (let index = 1; index < last; index++) {
      const part = parts[index]!; // there are more than `last`
      const found = name.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at <= until;
  }
}
