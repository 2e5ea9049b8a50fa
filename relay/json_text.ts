/**
 * JSON text that is looked through in steps, each of which takes well under a
 * millisecond, however long the text is.
 *
 * @module
 */

/** The work of a step: the UTF-16 code units that are looked at. */
export const TEXT_STEP: number = 8 * 1024;

/** The part of a string in which its end is looked for in one step: that is quickly done. */
const QUOTE_STEP = 8 * TEXT_STEP;

/** An escape of JSON is at most this long. */
const MAX_ESCAPE = "\\u0000".length;

const BACKSLASH = 92;

/** Returns where the next character is that is no space of JSON, or the end. */
export function* skipSpace(
  text: string,
  from: number,
): Generator<void, number> {
  let at = from;
  // The four that JSON has; beyond the end there is none.
  while (" \t\r\n".includes(text[at] ?? "-")) {
    at++;
    if ((at - from) % TEXT_STEP === 0) yield;
  }
  return at;
}

/**
 * Returns where the closing quote of a string is, or -1 if there is none.
 *
 * @param text The text.
 * @param start The place of the opening quote.
 */
export function* endOfString(
  text: string,
  start: number,
): Generator<void, number> {
  let looked = 0;
  for (let from = start + 1; from < text.length; from += QUOTE_STEP) {
    if (from > start + 1) yield;
    const part = text.slice(from, from + QUOTE_STEP);
    for (
      let quote = part.indexOf('"');
      quote >= 0;
      quote = part.indexOf('"', quote + 1)
    ) {
      let escapes = 0;
      while (text.charCodeAt(from + quote - 1 - escapes) === BACKSLASH) {
        escapes++;
        if (++looked % TEXT_STEP === 0) yield;
      }
      if (escapes % 2 === 0) return from + quote;
    }
  }
  return -1;
}

/**
 * Returns a place to cut a string, of which a part begins at `from`: at the given one,
 * or before the escape that this is within.
 */
export function beforeEscape(text: string, from: number, at: number): number {
  for (let last = at - 1; last > at - MAX_ESCAPE; last--) {
    if (text.charCodeAt(last) !== BACKSLASH) continue;
    let first = last;
    while (first > from && text.charCodeAt(first - 1) === BACKSLASH) first--;
    // Of an even number of them, each second ends the escape of the one before.
    return (last - first) % 2 === 0 ? last : at;
  }
  return at;
}
