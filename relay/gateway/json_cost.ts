import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";
import {
  BACKSLASH,
  COLON,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
} from "./json_bytes.ts";

/**
 * The highest cost of a body. A value costs 1, an object, an array or a name 10 more,
 * as it takes so much longer to be parsed. At this cost, `JSON.parse` takes some
 * 50 ms, in which nobody else is served, and a body is parsed several times.
 *
 * An agent's turn with a call of a tool costs about 130.
 */
export const MAX_COST = 500_000;

const DEAR = 10;

/** The bytes that are looked at in a step. */
const STEP = 64 * 1024;

/**
 * Refuses a body of JSON that takes too long to be parsed: 15 MiB of `{},{},...` take
 * two seconds.
 *
 * @param body The body. It need not be JSON: then it is parsed up to where it is not.
 * @throws {Problem} 413 `body_too_large`.
 */
export function* assertCheap(body: Uint8Array): Generator<void, void> {
  let cost = 0;
  let isString = false;
  for (let at = 0; at < body.length;) {
    const end = Math.min(at + STEP, body.length);
    for (; at < end; at++) {
      const byte = body[at];
      if (isString) {
        if (byte === BACKSLASH) at++;
        else if (byte === QUOTE) isString = false;
        continue;
      }
      switch (byte) {
        case QUOTE:
          isString = true;
          break;
        case COMMA:
          cost++;
          break;
        case COLON:
        case OPEN_BRACKET:
        case OPEN_BRACE:
          cost += DEAR;
          break;
      }
    }
    if (cost > MAX_COST) throw tooDear();
    yield;
  }
}

function tooDear(): Problem {
  return new Problem(
    STATUS_CODE.ContentTooLarge,
    "body_too_large",
    `Expected a body of JSON that is faster to read: of at most ${MAX_COST} values, of which names, objects and arrays count for ${
      DEAR + 1
    }`,
  );
}
