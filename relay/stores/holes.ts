import type { GapReason, Hole } from "../topics/log.ts";

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

/** Adds a hole behind all others; one that they end at becomes longer, with the new reason. */
export function addHole(
  holes: Hole[],
  from: number,
  count: number,
  reason: GapReason,
): void {
  const last = holes.at(-1);
  const continued = last?.to === from - 1 ? holes.pop() : undefined;
  holes.push({ from: continued?.from ?? from, to: from + count - 1, reason });
}
