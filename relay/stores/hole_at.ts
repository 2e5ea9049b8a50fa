import type { Hole } from "../topics/log.ts";

/** Returns the hole that an offset is in, from that offset on, of holes in order. */
export function holeAt(
  holes: readonly Hole[],
  offset: number,
): Hole | undefined {
  // Most readers are near the end.
  for (let index = holes.length - 1; index >= 0; index--) {
    const { from, to, reason } = holes[index]!; // within the array
    if (to < offset) return undefined;
    if (from <= offset) return { from: offset, to, reason };
  }
  return undefined;
}
