// This module is browser compatible.

/**
 * The number of deltas of a shape before it is learned: learning takes as long
 * as parsing 100.
 */
const FIRST_WAIT = 64;
const LONGEST_WAIT = 65_536;
/**
 * The number of deltas that a shape must have read for the next to be learned
 * as soon.
 */
const WORTH_IT = 1_024;

/** In UTF-16 code units; above, what is repeated is not what takes the time. */
const LONGEST = 4_096;

/** V8 copies what is cut from a string up to this length, and points into it above. */
const COPIED = 12;

// The characters that JSON allows in a string. An escape may still be none:
// `JSON.parse` tells.
const STRING = String.raw`[^"\\\x00-\x1f]*(?:\\[^\x00-\x1f][^"\\\x00-\x1f]*)*`;
const PADDING = String.raw`[^"\\\x00-\x1f]*`;
/** A whole number that JavaScript has exactly. */
const NUMBER = String.raw`0|[1-9][0-9]{0,14}`;

const NUMBER_FIELD = new RegExp(`"sequence_number":(${NUMBER})`);
const PADDING_FIELD = new RegExp(`"obfuscation":"(${PADDING})"`);

/** Two, as a value that is in another place may be one of them by chance. */
const PROBES = [["one", 1], ["two", 2]] as const;

/** The values that differ from one delta to the next. */
export interface DeltaValues {
  /** The text. */
  readonly text: unknown;
  /** The number of the event, where there are such. */
  readonly number?: unknown;
}

/** Finds the values that can vary in a delta that was parsed. */
export type DeltaValuesOf = (event: unknown) => DeltaValues;

/**
 * Reads deltas that differ from one before in nothing but their text, their number
 * and their padding, without `JSON.parse`.
 *
 * Nearly all of a response is such deltas. `JSON.parse` makes objects of what they
 * repeat, and takes 0.6 to 1 µs for one of 260 to 320 bytes; a regular expression
 * that has the repeated parts as they are takes 0.2 µs. What it matches gives what
 * parsing it would give; what it doesn't match is to be parsed.
 */
export class DeltaShape {
  readonly #textField: RegExp;
  readonly #valuesOf: DeltaValuesOf;
  #pattern: RegExp | undefined;
  /** The groups of the pattern; 0 for none. */
  #textGroup = 0;
  #numberGroup = 0;
  /** The number of deltas since the last attempt to learn. */
  #waited = 0;
  #wait = FIRST_WAIT;
  /** The number of deltas read with the shape since then. */
  #read = 0;

  /** The text of the delta that was read. */
  text = "";
  /** The number of the delta that was read; `undefined` if it has none. */
  number: number | undefined;

  /**
   * Makes a reader that has learnt nothing yet.
   *
   * @param field The name of the field that has the text.
   * @param valuesOf Finds the values in a parsed delta.
   */
  constructor(field: string, valuesOf: DeltaValuesOf) {
    this.#textField = new RegExp(`"${field}":"(${STRING})"`);
    this.#valuesOf = valuesOf;
  }

  /**
   * Reads a delta.
   *
   * @param data The event's data.
   * @returns Whether it has the shape that was learnt; if not, it is unlearnt.
   */
  read(data: string): boolean {
    const pattern = this.#pattern;
    if (pattern === undefined) return false;
    const groups = data.length > LONGEST ? null : pattern.exec(data);
    if (groups === null) {
      this.#forget();
      return false;
    }
    let text = groups[this.#textGroup] ?? "";
    if (text.length > COPIED || text.includes("\\")) {
      try {
        // Also copies it, so that who keeps it does not keep what is around it.
        text = JSON.parse(`"${text}"`) as string; // what is in quotes is a string
      } catch {
        return false;
      }
    }
    this.text = text;
    if (this.#numberGroup > 0) this.number = Number(groups[this.#numberGroup]);
    this.#read++;
    return true;
  }

  /**
   * Learns from a delta, once some have come.
   *
   * @param data The data of an event that was parsed, and of which nothing came
   * but its text and its number: every event of its shape is then the same but
   * for those.
   */
  learn(data: string): void {
    if (++this.#waited < this.#wait || data.length > LONGEST) return;
    this.#waited = 0;
    const text = find(this.#textField, data);
    if (text === undefined) return;
    const number = find(NUMBER_FIELD, data);
    const padding = find(PADDING_FIELD, data);
    const places = [text, number, padding]
      .filter((place) => place !== undefined)
      .sort((a, b) => a.start - b.start);
    const fill = (
      textValue: string,
      numberValue: string,
      paddingValue: string,
      repeat: (repeated: string) => string,
    ): string => {
      let filled = "";
      let at = 0;
      for (const place of places) {
        filled += repeat(data.slice(at, place.start)) +
          (place === text
            ? textValue
            : place === number
            ? numberValue
            : paddingValue);
        at = place.end;
      }
      return filled + repeat(data.slice(at));
    };
    // Another field may have that name: then it is of no use.
    for (const [textProbe, numberProbe] of PROBES) {
      const probe = fill(textProbe, `${numberProbe}`, "", (part) => part);
      const values = this.#valuesOf(JSON.parse(probe));
      const numberValue = number === undefined ? undefined : numberProbe;
      if (values.text !== textProbe || values.number !== numberValue) return;
    }
    const hasNumber = number !== undefined;
    this.#textGroup = hasNumber && number.start < text.start ? 2 : 1;
    this.#numberGroup = hasNumber ? 3 - this.#textGroup : 0;
    this.number = undefined;
    const source = fill(`(${STRING})`, `(${NUMBER})`, PADDING, escape)
      // Anthropic pads a delta with spaces before its last brace.
      .replace(/ *\\\}$/, " *\\}");
    this.#pattern = new RegExp(`^${source}$`);
  }

  #forget(): void {
    this.#pattern = undefined;
    this.#wait = this.#read < WORTH_IT
      ? Math.min(this.#wait * 2, LONGEST_WAIT)
      : FIRST_WAIT;
    this.#read = 0;
  }
}

/** Returns the place of a field's value that the pattern's group matches. */
function find(
  field: RegExp,
  data: string,
): { start: number; end: number } | undefined {
  const match = field.exec(data);
  if (match === null) return undefined;
  const [all, value = ""] = match;
  const end = match.index + all.length - (all.endsWith('"') ? 1 : 0);
  return { start: end - value.length, end };
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
