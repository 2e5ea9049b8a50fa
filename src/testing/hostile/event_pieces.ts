// This module is browser compatible.
import type { Piece } from "./reply.ts";

const CR = 0x0D;
const LF = 0x0A;
const DATA = [..."data"].map((letter) => letter.charCodeAt(0));

/**
 * Takes the body of an event stream apart where its events end, byte for byte:
 * whatever its lines end in, and with its comments.
 */
export function* eventPieces(
  body: Uint8Array<ArrayBuffer>,
): Generator<Piece> {
  let start = 0;
  // Lines are looked at after a byte order mark.
  let line = body[0] === 0xEF && body[1] === 0xBB && body[2] === 0xBF ? 3 : 0;
  let hasData = false;
  for (let at = line; at < body.length; at++) {
    if (body[at] !== CR && body[at] !== LF) continue;
    const length = at - line;
    if (body[at] === CR && body[at + 1] === LF) at++;
    if (length > 0) {
      hasData ||= isData(body, line, length);
    } else {
      yield { bytes: body.slice(start, at + 1), isEvent: hasData };
      start = at + 1;
      hasData = false;
    }
    line = at + 1;
  }
  if (start < body.length) yield { bytes: body.slice(start), isEvent: false };
}

function isData(body: Uint8Array, line: number, length: number): boolean {
  return DATA.every((byte, index) => body[line + index] === byte) &&
    (length === DATA.length || body[line + DATA.length] === 0x3A);
}
