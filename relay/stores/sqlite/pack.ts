import { type LogEntry, sizeOf } from "../../topics/log.ts";
import type { Segment } from "../segment.ts";
import type { PackedRange } from "./messages.ts";

/**
 * A row has at most this many events and, unless it has one, this many bytes. It is
 * about what a message to a subscriber carries: a row is read as a whole.
 */
export const ROW: { readonly events: number; readonly bytes: number } = {
  events: 512,
  bytes: 32 * 1024,
};

/**
 * Events of a row.
 *
 * V8 15.0 (Deno 2.9.6) may give the objects that a loop makes one box for a number of
 * theirs that is no small integer, as all numbers of SQLite are: every row of an answer
 * then began where the last one did. In a typed array the number has no box.
 */
class UnpackedRange implements Segment {
  readonly entries: readonly LogEntry[];
  readonly #first: Float64Array;

  /** Makes a segment. */
  constructor(first: number, entries: readonly LogEntry[]) {
    this.#first = Float64Array.of(first);
    this.entries = entries;
  }

  get first(): number {
    return this.#first[0]!; // it has one
  }
}

/** Packs events as rows. */
export function packRanges({ first, entries }: Segment): PackedRange[] {
  const ranges: PackedRange[] = [];
  for (let start = 0; start < entries.length;) {
    let end = start;
    let bytes = 0;
    while (end < entries.length && end - start < ROW.events) {
      const { size } = entries[end]!; // within the array
      if (end > start && bytes + size > ROW.bytes) break;
      bytes += size;
      end++;
    }
    ranges.push(packRange(first + start, entries.slice(start, end), bytes));
    start = end;
  }
  return ranges;
}

function packRange(
  first: number,
  entries: readonly LogEntry[],
  bytes: number,
): PackedRange {
  const texts: string[] = [];
  const sizes: number[] = [];
  const runs: number[] = [];
  for (const { event: { event, data, id }, size, time } of entries) {
    texts.push(event, data, id);
    sizes.push(size);
    const whole = Math.floor(time);
    if (runs.at(-1) === whole) runs[runs.length - 2]!++; // a run has two numbers
    else runs.push(1, whole);
  }
  return {
    first,
    count: entries.length,
    bytes,
    time: runs[1]!, // there is an event
    times: runs.length > 2 ? JSON.stringify(runs) : null,
    sizes: sizes.length > 1 ? JSON.stringify(sizes) : null,
    events: JSON.stringify(texts),
  };
}

/** Unpacks a row. */
export function unpackRange(range: PackedRange): Segment {
  const texts: string[] = JSON.parse(range.events);
  const runs: number[] = range.times === null
    ? [range.count, range.time]
    : JSON.parse(range.times);
  const entries: LogEntry[] = [];
  let run = 0;
  let left = runs[0] ?? 0;
  for (let at = 0; at < texts.length; at += 3) {
    const [event, data, id] = texts.slice(at, at + 3);
    if (event === undefined || data === undefined || id === undefined) {
      throw new SyntaxError("A row has events that are not whole");
    }
    if (left === 0) {
      run += 2;
      left = runs[run] ?? 0;
    }
    left--;
    const whole = { event, data, id };
    const size = sizeOf(whole);
    entries.push({ event: whole, size, time: runs[run + 1] ?? range.time });
  }
  return new UnpackedRange(range.first, entries);
}
