import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
} from "../json_bytes.ts";
import { endOfString, skipSpace } from "../json_steps.ts";

/** The fields of an object of JSON, by name: the bytes of each value, as they were written. */
export type Members = ReadonlyMap<string, Uint8Array>;

/** The bytes that are looked at in a step. */
const STEP = 16 * 1024;

/**
 * Finds the fields of an object in steps, and leaves their values as they are: what is
 * passed on word for word is not parsed. Whether a value is JSON within is not looked at.
 *
 * @param bytes The object, in UTF-8. Of a name that comes twice, the last value counts, as
 * in `JSON.parse`.
 * @throws {SyntaxError} If it is no object.
 */
export function* membersOf(bytes: Uint8Array): Generator<void, Members> {
  const members = new Map<string, Uint8Array>();
  let at = yield* skipSpace(bytes, 0);
  if (bytes[at] !== OPEN_BRACE) throw notAnObject();
  at = yield* skipSpace(bytes, at + 1);
  if (bytes[at] === CLOSE_BRACE) return members;
  for (;;) {
    if (bytes[at] !== QUOTE) throw notAnObject();
    const nameEnd = yield* endOfString(bytes, at);
    const name: unknown = JSON.parse(textOf(bytes.subarray(at, nameEnd + 1)));
    at = yield* skipSpace(bytes, nameEnd + 1);
    if (bytes[at] !== COLON) throw notAnObject();
    const start = yield* skipSpace(bytes, at + 1);
    const end = yield* endOfValue(bytes, start);
    members.set(String(name), bytes.subarray(start, end));
    at = yield* skipSpace(bytes, end);
    if (bytes[at] === CLOSE_BRACE) break;
    if (bytes[at] !== COMMA) throw notAnObject();
    at = yield* skipSpace(bytes, at + 1);
  }
  at = yield* skipSpace(bytes, at + 1);
  if (at < bytes.length) throw notAnObject();
  return members;
}

/** Returns where a value ends: behind its last byte. */
function* endOfValue(
  bytes: Uint8Array,
  start: number,
): Generator<void, number> {
  let depth = 0;
  let looked = 0;
  for (let at = start; at < bytes.length; at++) {
    if (++looked % STEP === 0) yield;
    switch (bytes[at]) {
      case QUOTE:
        at = yield* endOfString(bytes, at);
        if (depth === 0) return at + 1;
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        depth++;
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        // Of a number or a word, this ends what it is in.
        if (depth === 0) return trimmed(bytes, start, at);
        if (--depth === 0) return at + 1;
        break;
      case COMMA:
        if (depth === 0) return trimmed(bytes, start, at);
        break;
    }
  }
  throw notAnObject();
}

/** Returns where a number or a word ends that stands before other bytes. */
function trimmed(bytes: Uint8Array, start: number, end: number): number {
  let at = end;
  while (at > start && bytes[at - 1]! <= 0x20) at--;
  if (at === start) throw notAnObject();
  return at;
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

function notAnObject(): SyntaxError {
  return new SyntaxError("Expected an object of JSON");
}
