// This module is browser compatible.
import type { HostilePlan } from "./plan.ts";
import { type Piece, remark } from "./reply.ts";

const COMMENT = remark(": hostile\n\n");
const BOM = remark("\uFEFF");

/** Puts the pieces of a body into the order that is planned, and pings between them. */
export function* arrange(
  pieces: Iterable<Piece>,
  { sequence, comments, pings, bom }: HostilePlan,
  ping: Piece | undefined,
): Generator<Piece> {
  // No event stream: it has no place for them.
  if (!ping) return yield* reorder(pieces, sequence);
  if (bom) yield BOM;
  let events = 0;
  for (const piece of reorder(pieces, sequence)) {
    if (piece.isEvent) {
      if (comments && events % comments === 0) yield COMMENT;
      // It is not one of the events that faults are counted by.
      if (pings && events % pings === 0) yield { ...ping, isEvent: false };
      events++;
    }
    yield piece;
  }
}

function* reorder(
  pieces: Iterable<Piece>,
  sequence: HostilePlan["sequence"],
): Generator<Piece> {
  if (!sequence || sequence.kind === "unnumbered") return yield* pieces;
  const { kind } = sequence;
  let number = 0;
  let held: Piece | undefined;
  for (const piece of pieces) {
    const isIt = piece.isEvent && ++number === sequence.event;
    if (isIt && kind === "missing") continue;
    if (isIt && kind === "reordered") {
      held = piece;
      continue;
    }
    yield piece;
    if (isIt) yield piece;
    if (held && piece.isEvent) {
      yield held;
      held = undefined;
    }
  }
  // Nothing follows it: it stays the last.
  if (held) yield held;
}
