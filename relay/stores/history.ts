import type { Hole, LogEntry, LogRange, ReadBudget } from "../topics/log.ts";
import { StoreError } from "../topics/store.ts";
import type { Segment } from "./segment.ts";

/** A log that is read. */
export interface ReadLog {
  readonly name: string;
  readonly next: number;
  /** Whether the topic was deleted. */
  readonly isGone: boolean;
  /** The newest events. */
  readonly window: { at(offset: number): Segment | undefined };
  /** Returns the hole that an offset is in. */
  holeAt(offset: number): Hole | undefined;
  /** Called when events were fetched. */
  onRead(): void;
}

/** The place where the events are that are not in memory. */
export interface SegmentSource<L extends ReadLog> {
  /** The name of the place, for messages. */
  readonly name: string;
  /**
   * Reads events.
   *
   * @param from The offset of the first of them.
   * @param bytes The approximate size.
   */
  load(log: L, from: number, bytes: number): Promise<readonly Segment[]>;
  /** Says what has gone wrong. */
  errorOf(error: unknown): StoreError;
}

/**
 * The size of one fetch, in bytes: several messages to a subscriber, so that
 * most reads find their events in memory.
 */
const FETCH_BYTES = 128 * 1024;

/** The most bytes of rows that are kept for the readers that follow close behind. */
const CACHE_BYTES = 16 * 1024 * 1024;

/**
 * The approximate cost of a row in memory besides the bytes of its events, and
 * of each event.
 */
const ROW_COST = 200;
const ENTRY_COST = 150;

interface CachedRow<L> {
  readonly segment: Segment;
  readonly log: L;
  readonly cost: number;
}

/** The rows of a log that are in memory, and those that are being fetched. */
interface LogRows<L> {
  /** By the offset that they begin at. */
  readonly rows: Map<number, CachedRow<L>>;
  /** The offsets that they begin at, in order. */
  starts: number[];
  /** By the offset that was asked for. */
  readonly fetches: Map<number, Promise<readonly Segment[]>>;
}

/** Reads events of all logs of a store: from memory if they are there, or else from where they are. */
export class History<L extends ReadLog> {
  readonly #source: SegmentSource<L>;
  readonly #logs = new Map<L, LogRows<L>>();
  /** Every row in memory; the one that was used last is the last. */
  readonly #recent = new Set<CachedRow<L>>();
  #bytes = 0;

  /** Begins with nothing in memory. */
  constructor(source: SegmentSource<L>) {
    this.#source = source;
  }

  /** The lowest offset that is being fetched of a log. */
  lowestRead(log: L): number | undefined {
    const fetches = this.#logs.get(log)?.fetches;
    return fetches?.size ? Math.min(...fetches.keys()) : undefined;
  }

  /** Reads events: at once, if they are in memory. */
  read(
    log: L,
    from: number,
    budget: ReadBudget,
  ): LogRange | Promise<LogRange> {
    const rows = this.#logs.get(log);
    const find = (offset: number): Segment | undefined =>
      log.window.at(offset) ?? this.#cached(rows, offset);
    const entries = gather(log, from, budget, find);
    if (entries.length === 0) return this.#fetched(log, from, budget);
    if (rows && rows.rows.size > 0) {
      this.#readAhead(log, from + entries.length, find);
    }
    return { offset: from, entries };
  }

  /** Gives up what is in memory of a log. */
  forget(log: L): void {
    const rows = this.#logs.get(log);
    if (!rows) return;
    for (const row of rows.rows.values()) this.#drop(rows, row);
    if (rows.fetches.size === 0) this.#logs.delete(log);
  }

  async #fetched(
    log: L,
    from: number,
    budget: ReadBudget,
  ): Promise<LogRange> {
    const rows = await this.#fetch(log, from);
    const find = (offset: number): Segment | undefined =>
      log.window.at(offset) ?? rows.find((row) => isIn(row, offset));
    const entries = gather(log, from, budget, find);
    if (entries.length > 0) return { offset: from, entries };
    if (log.isGone) {
      throw new StoreError(
        "closed",
        `Cannot read topic '${log.name}' as it was deleted meanwhile`,
      );
    }
    throw new StoreError(
      "corrupt",
      `Cannot read topic '${log.name}' from ${from}: ${this.#source.name} does not have the event`,
    );
  }

  /** Readers of one place wait for the same rows. */
  #fetch(log: L, from: number): Promise<readonly Segment[]> {
    let rows = this.#logs.get(log);
    if (!rows) {
      rows = { rows: new Map(), starts: [], fetches: new Map() };
      this.#logs.set(log, rows);
    }
    const known = rows;
    const underWay = known.fetches.get(from);
    if (underWay) return underWay;
    const fetch = this.#source.load(log, from, FETCH_BYTES).then(
      (segments) => {
        known.fetches.delete(from);
        if (!log.isGone) this.#keep(log, known, segments);
        log.onRead();
        return segments;
      },
      (error: unknown) => {
        known.fetches.delete(from);
        log.onRead();
        throw this.#source.errorOf(error);
      },
    );
    known.fetches.set(from, fetch);
    return fetch;
  }

  #readAhead(
    log: L,
    next: number,
    find: (offset: number) => Segment | undefined,
  ): void {
    if (next >= log.next || log.holeAt(next) || find(next)) return;
    // Whoever needs the events asks again, and is told what is wrong.
    this.#fetch(log, next).catch(() => {});
  }

  #keep(log: L, rows: LogRows<L>, segments: readonly Segment[]): void {
    for (const segment of segments) {
      const { first, entries } = segment;
      // Some rows may have become one since they were read.
      for (;;) {
        const start = rows.starts[indexAfter(rows.starts, first - 1)];
        const old = start === undefined ? undefined : rows.rows.get(start);
        if (!old || !isIn(segment, old.segment.first)) break;
        this.#drop(rows, old);
      }
      const cost = entries.reduce(
        (sum, { size }) => sum + size + ENTRY_COST,
        ROW_COST,
      );
      const row = { segment, log, cost };
      rows.rows.set(first, row);
      rows.starts.splice(indexAfter(rows.starts, first), 0, first);
      this.#recent.add(row);
      this.#bytes += cost;
    }
    for (const oldest of this.#recent) {
      if (this.#bytes <= CACHE_BYTES) break;
      const rows = this.#logs.get(oldest.log);
      if (rows) this.#drop(rows, oldest);
    }
  }

  #cached(rows: LogRows<L> | undefined, offset: number): Segment | undefined {
    if (!rows) return undefined;
    const start = rows.starts[indexAfter(rows.starts, offset) - 1];
    const row = start === undefined ? undefined : rows.rows.get(start);
    if (!row || !isIn(row.segment, offset)) return undefined;
    this.#recent.delete(row);
    this.#recent.add(row);
    return row.segment;
  }

  #drop(rows: LogRows<L>, row: CachedRow<L>): void {
    const { first } = row.segment;
    rows.rows.delete(first);
    rows.starts.splice(indexAfter(rows.starts, first) - 1, 1);
    this.#recent.delete(row);
    this.#bytes -= row.cost;
  }
}

function isIn({ first, entries }: Segment, offset: number): boolean {
  return first <= offset && offset < first + entries.length;
}

/** Returns the number of offsets that are not greater than one. */
function indexAfter(starts: readonly number[], offset: number): number {
  let [low, high] = [0, starts.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= offset) low = middle + 1; // within the array
    else high = middle;
  }
  return low;
}

/** Puts events together, as far as they are in memory and follow each other. */
function gather(
  log: ReadLog,
  from: number,
  budget: ReadBudget,
  find: (offset: number) => Segment | undefined,
): LogEntry[] {
  const entries: LogEntry[] = [];
  let bytes = 0;
  for (let offset = from; offset < log.next;) {
    const segment = find(offset);
    if (!segment) break;
    const end = Math.min(segment.first + segment.entries.length, log.next);
    for (; offset < end; offset++) {
      const entry = segment.entries[offset - segment.first]!; // within the segment
      bytes += entry.size;
      const isTooMuch = entries.length >= budget.events ||
        bytes > budget.bytes;
      if (isTooMuch && entries.length > 0) return entries;
      entries.push(entry);
    }
  }
  return entries;
}
