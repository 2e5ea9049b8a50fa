import {
  isSameItem,
  mergeDeltas,
  readDelta,
} from "../../src/model/wires/merge.ts";
import type { WireDelta } from "../../src/model/wires/wire_delta.ts";
import type { LogEntry, LogRange } from "../topics/log.ts";

/** An event of a log, or adjacent deltas of one item that have become one. */
export type FoldedEvent =
  | {
    readonly kind: "event";
    /** Its offset. */
    readonly offset: number;
    /** The event. */
    readonly entry: LogEntry;
  }
  | {
    readonly kind: "merged";
    /** The offset of the first delta. */
    readonly offset: number;
    /** The offset of the last. */
    readonly to: number;
    /** The event's name. */
    readonly event: string;
    /** The event's data. */
    readonly data: string;
    /** The upstream's id that is in force after the last delta. */
    readonly id: string;
  };

/** Whether it is worth looking closer: no delta is without this, and it costs next to nothing. */
export function mayBeDelta({ event: { data } }: LogEntry): boolean {
  return data.includes('"delta"');
}

/** The deltas found in entries: each entry is parsed once for all readers. */
const known = new WeakMap<LogEntry, WireDelta | "none">();

/**
 * The entry as a delta, if it is one.
 *
 * @param entry The entry to look at.
 * @param before The delta before it: what is the same in both is kept once.
 */
function deltaOf(
  entry: LogEntry,
  before: WireDelta | undefined,
): WireDelta | undefined {
  if (!mayBeDelta(entry)) return undefined;
  let found = known.get(entry);
  if (found === undefined) {
    const { event, data } = entry.event;
    const delta = readDelta(event, data);
    found = delta && before && isSameItem(before, delta)
      ? { ...delta, rest: before.rest }
      : delta ?? "none";
    known.set(entry, found);
  }
  return found === "none" ? undefined : found;
}

/** Folds consecutive events, as they come. */
export class Folder {
  readonly #folded: FoldedEvent[] = [];
  /** The deltas that the next may be merged with. */
  #run: WireDelta[] = [];
  /** The last entry of them. */
  #last: LogEntry | undefined;
  #next: number;
  #size = 0;

  /**
   * Makes a folder of nothing.
   *
   * @param offset The offset of the first event that it will be given.
   */
  constructor(offset: number) {
    this.#next = offset;
  }

  /** The offset of the next event. */
  get next(): number {
    return this.#next;
  }

  /** About how many bytes it has come to. */
  get size(): number {
    return this.#size;
  }

  /** Takes an event in. */
  add(entry: LogEntry): void {
    const delta = deltaOf(entry, this.#run.at(-1));
    const [first] = this.#run;
    if (!delta || !first || !isSameItem(first, delta)) {
      this.#flush();
      this.#size += entry.size;
    } else {
      // Log probabilities are kept as they are: they are most of what there is.
      this.#size += delta.logprobs ? entry.size : delta.text.length;
    }
    const offset = this.#next++;
    if (delta) {
      this.#run.push(delta);
      this.#last = entry;
    } else {
      this.#folded.push({ kind: "event", offset, entry });
    }
  }

  /** Ends it: what it has come to. */
  end(): readonly FoldedEvent[] {
    this.#flush();
    return this.#folded;
  }

  #flush(): void {
    const count = this.#run.length;
    const entry = this.#last;
    if (!entry || count === 0) return;
    const to = this.#next - 1;
    const offset = this.#next - count;
    if (count === 1) {
      this.#folded.push({ kind: "event", offset, entry });
    } else {
      const { event, id } = entry.event;
      const data = mergeDeltas(this.#run);
      this.#folded.push({ kind: "merged", offset, to, event, data, id });
    }
    this.#run = [];
    this.#last = undefined;
  }
}

/** Folds a range of a log. */
export function foldRange(
  { offset, entries }: LogRange,
): readonly FoldedEvent[] {
  const folder = new Folder(offset);
  for (const entry of entries) folder.add(entry);
  return folder.end();
}
