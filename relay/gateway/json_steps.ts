// JSON that is read in steps, each of which takes well under a millisecond, however
// long it is (`relay/slices.ts`). It is read from its bytes: to make a text of 16 MiB
// takes 50 ms and more by itself.
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
} from "./json_bytes.ts";

/** The work of a step: the bytes that are looked at. */
const STEP = 8 * 1024;

/** The bytes that a value counts for, besides its own. */
const VALUE_COST = 64;

/** JSON up to this long is parsed at once. In bytes. */
const SMALL = 64 * 1024;

/** The longest number, in bytes: no known program writes more than 30. */
const MAX_WORD = 4 * 1024;

/** An escape of JSON is at most this long. */
const MAX_ESCAPE = "\\u0000".length;

const SPACE = 0x20;

/** An object or an array that is not whole yet. */
type Open =
  | { readonly close: typeof CLOSE_BRACKET; readonly value: unknown[] }
  | {
    readonly close: typeof CLOSE_BRACE;
    readonly value: Record<string, unknown>;
    name: string;
  };

/** Options of {@linkcode parseJson}. */
export interface ParseJsonOptions {
  /** The length up to which all is parsed at once, in bytes. Default: 65,536. */
  readonly small?: number;
  /** A string that is longer, in bytes, stands as an empty one. Default: none does. */
  readonly maxString?: number;
}

/**
 * Parses UTF-8 as `JSON.parse` does, in steps. `JSON.parse` takes a tenth of a second
 * for 16 MiB, in which nobody else is served.
 *
 * @param bytes The bytes, without a byte order mark.
 * @param options The differences from the default.
 * @throws {SyntaxError} If they are not JSON, or have a number of more than 4,096 bytes.
 */
export function* parseJson(
  bytes: Uint8Array,
  { small = SMALL, maxString = Infinity }: ParseJsonOptions = {},
): Generator<void, unknown> {
  if (bytes.length <= small) return JSON.parse(decode(bytes));
  const open: Open[] = [];
  let worked = 0;
  let at = yield* skipSpace(bytes, 0);
  for (;;) {
    if (worked >= STEP) {
      worked = 0;
      yield;
    }
    const start = at;
    let value: unknown;
    const begun = beginOf(bytes[at]);
    if (begun) {
      at = yield* skipSpace(bytes, at + 1);
      if (bytes[at] !== begun.close) {
        open.push(begun);
        if ("name" in begun) at = yield* readName(bytes, at, begun, maxString);
        worked += VALUE_COST + at - start;
        continue;
      }
      at++;
      value = begun.value;
    } else if (bytes[at] === QUOTE) {
      const end = yield* endOfString(bytes, at);
      value = yield* stringOf(bytes, at, end, maxString);
      at = end + 1;
    } else {
      at = endOfWord(bytes, at);
      value = JSON.parse(decode(bytes.subarray(start, at)));
    }
    worked += VALUE_COST + at - start;
    // If this value is the last of an object or array, that is complete too.
    for (;;) {
      at = yield* skipSpace(bytes, at);
      const within = open.at(-1);
      if (!within) {
        if (at < bytes.length) throw notJson();
        return value;
      }
      put(within, value);
      if (bytes[at] === within.close) {
        at++;
        value = within.value;
        open.pop();
        worked += VALUE_COST;
        if (worked < STEP) continue;
        worked = 0;
        yield;
        continue;
      }
      if (bytes[at] !== COMMA) throw notJson();
      at = yield* skipSpace(bytes, at + 1);
      if ("name" in within) at = yield* readName(bytes, at, within, maxString);
      break;
    }
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** Returns what a byte begins, if that is an object or an array. */
function beginOf(byte: number | undefined): Open | undefined {
  if (byte === OPEN_BRACKET) return { close: CLOSE_BRACKET, value: [] };
  return byte === OPEN_BRACE
    ? { close: CLOSE_BRACE, value: {}, name: "" }
    : undefined;
}

function put(within: Open, value: unknown): void {
  if (!("name" in within)) within.value.push(value);
  // An assignment would set the prototype.
  else if (within.name === "__proto__") {
    Object.defineProperty(within.value, within.name, {
      value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  } else within.value[within.name] = value;
}

/** Reads the name of a field; returns where its value begins. */
function* readName(
  bytes: Uint8Array,
  start: number,
  into: { name: string },
  maxString: number,
): Generator<void, number> {
  if (bytes[start] !== QUOTE) throw notJson();
  const end = yield* endOfString(bytes, start);
  into.name = yield* stringOf(bytes, start, end, maxString);
  const colon = yield* skipSpace(bytes, end + 1);
  if (bytes[colon] !== COLON) throw notJson();
  return yield* skipSpace(bytes, colon + 1);
}

/** Returns where a number, `true`, `false` or `null` ends. */
function endOfWord(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && !endsWord(bytes[at]!)) {
    at++;
    if (at - start > MAX_WORD) throw notJson();
  }
  return at;
}

function endsWord(byte: number): boolean {
  return byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET ||
    isSpace(byte);
}

/** Whether a byte is one of the four that JSON has between its values. */
function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === 0x0A || byte === 0x0D || byte === 0x09;
}

/**
 * Returns where the closing quote of a string is.
 *
 * @param bytes The JSON.
 * @param start The place of the opening quote.
 * @throws {SyntaxError} If there is none.
 */
export function* endOfString(
  bytes: Uint8Array,
  start: number,
): Generator<void, number> {
  let looked = 0;
  for (
    let quote = bytes.indexOf(QUOTE, start + 1);
    quote >= 0;
    quote = bytes.indexOf(QUOTE, quote + 1)
  ) {
    let escapes = 0;
    while (bytes[quote - 1 - escapes] === BACKSLASH) {
      escapes++;
      if (++looked % STEP === 0) yield;
    }
    if (escapes % 2 === 0) return quote;
  }
  throw notJson();
}

/** Returns where the next byte is that is no space, or the end. */
export function* skipSpace(
  bytes: Uint8Array,
  from: number,
): Generator<void, number> {
  let at = from;
  while (isSpace(bytes[at])) {
    at++;
    if ((at - from) % STEP === 0) yield;
  }
  return at;
}

/** Parses a string between two quotes; one that is too long is looked through only. */
function* stringOf(
  bytes: Uint8Array,
  start: number,
  end: number,
  maxString: number,
): Generator<void, string> {
  if (end - start <= STEP) {
    return parseString(decode(bytes.subarray(start, end + 1)));
  }
  const isKept = end - start <= maxString;
  const pieces: string[] = [];
  for (let at = start + 1; at < end;) {
    const next = Math.min(at + STEP, end);
    const cut = next < end ? beforeEscape(bytes, at, next) : end;
    const piece = parseString(`"${decode(bytes.subarray(at, cut))}"`);
    if (isKept) pieces.push(piece);
    at = cut;
    yield;
  }
  return pieces.join("");
}

function parseString(json: string): string {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "string") throw notJson();
  return value;
}

/**
 * Returns a place to cut a string, of which a part begins at `from`: here, or before
 * the escape or the character that this is within.
 */
function beforeEscape(bytes: Uint8Array, from: number, at: number): number {
  let place = at;
  // The second to fourth byte of a character.
  while (at - place < 3 && (bytes[place]! & 0xC0) === 0x80) place--;
  for (let last = place - 1; last > place - MAX_ESCAPE; last--) {
    if (bytes[last] !== BACKSLASH) continue;
    let first = last;
    while (first > from && bytes[first - 1] === BACKSLASH) first--;
    // Of an even number of them, each second ends the escape of the one before.
    return (last - first) % 2 === 0 ? last : place;
  }
  return place;
}

function notJson(): SyntaxError {
  return new SyntaxError("Expected JSON");
}
