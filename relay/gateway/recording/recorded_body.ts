import { abridge, type Shares } from "../abridge.ts";

/** A longer body is recorded in part, in bytes: to write it would take a tenth of a second and more. */
const LONG = 256 * 1024;

/** The part that is recorded of a longer one: its structure, and the start of what is long. */
const SHARES: Shares = {
  values: [128 * 1024, 96 * 1024, 64 * 1024, 32 * 1024, 8 * 1024],
  strings: [8 * 1024],
};

/** The bytes that are decoded in a step. */
const STEP = 64 * 1024;

/**
 * Returns the text of a request's body that is recorded, in steps: of a long body a
 * shorter one, of which long strings are cut and long lists have fewer elements.
 */
export function* recordedBody(bytes: Uint8Array): Generator<void, string> {
  const decoder = new TextDecoder();
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; at += STEP) {
    const part = bytes.subarray(at, at + STEP);
    pieces.push(decoder.decode(part, { stream: true }));
    if (at + STEP < bytes.length) yield;
  }
  const text = pieces.join("") + decoder.decode();
  if (bytes.length <= LONG) return text;
  yield;
  return (yield* abridge(text, SHARES)) ?? text.slice(0, LONG);
}
