import type { Clock } from "../../src/fetch/clock.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { createEpoch } from "../topics/position.ts";
import {
  type Appended,
  type Log,
  type LogEntry,
  type LogRange,
  type ReadBudget,
  type Retention,
  sizeOf,
} from "../topics/log.ts";

/** What is given up is removed from the array in steps of at least this many. */
const COMPACT_AT = 1_024;

/** A {@linkcode Log} with nothing behind it: what leaves its window is gone. */
export class MemoryLog implements Log {
  readonly epoch: string = createEpoch();
  readonly #retention: Retention;
  readonly #clock: Clock;
  /** Entries before `#head` are given up, and not yet cut off. */
  #entries: (LogEntry | undefined)[] = [];
  #head = 0;
  #first = 1;
  #bytes = 0;

  /** Makes an empty log, with an epoch of its own. */
  constructor(retention: Retention, clock: Clock) {
    this.#retention = retention;
    this.#clock = clock;
  }

  get first(): number {
    return this.#first;
  }

  get next(): number {
    return this.#first + this.#entries.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(events: readonly ServerSentEvent[]): Appended {
    const first = this.next;
    const time = this.#clock.now();
    let bytes = 0;
    for (const event of events) {
      const size = sizeOf(event);
      bytes += size;
      this.#entries.push({ event, size, time });
    }
    this.#bytes += bytes;
    this.trim();
    return { first, count: events.length, bytes };
  }

  read(from: number, budget: ReadBudget): LogRange {
    const start = this.#head + (from - this.#first);
    const limit = Math.min(this.#entries.length, start + budget.events);
    let end = start;
    for (let bytes = 0; end < limit; end++) {
      bytes += this.#entries[end]!.size; // within the retained part
      if (bytes > budget.bytes && end > start) break;
    }
    // the retained part has no hole
    const entries = this.#entries.slice(start, end) as LogEntry[];
    return { offset: from, entries };
  }

  /** The newest event is given up to age alone: it could not reach anybody otherwise. */
  trim(): void {
    const { maxEvents, maxBytes, maxAge } = this.#retention;
    const oldest = this.#clock.now() - maxAge;
    for (;;) {
      const count = this.#entries.length - this.#head;
      if (count === 0) break;
      const entry = this.#entries[this.#head]!; // within the retained part
      const tooMuch = count > 1 &&
        (count > maxEvents || this.#bytes > maxBytes);
      if (!tooMuch && !(entry.time < oldest)) break;
      this.#bytes -= entry.size;
      this.#entries[this.#head++] = undefined;
      this.#first++;
    }
    // Cutting off moves what stays: done once per as many as stay, each append pays O(1).
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  [Symbol.dispose](): void {}
}
