import type { Clock } from "../../src/fetch/clock.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { createEpoch } from "../topics/position.ts";
import {
  type Appended,
  type AppendedPublication,
  type GapReason,
  type Hole,
  type Log,
  type LogAppendOptions,
  type LogEndOptions,
  type LogEntry,
  type LogProgress,
  type LogRange,
  type LogUpdateOptions,
  type ReadBudget,
  type Retention,
  sizeOf,
  type TopicFacts,
} from "../topics/log.ts";
import type { StoredEnd } from "../topics/end.ts";
import { LeaseLostError } from "../topics/lease.ts";
import { StaleWriterError } from "../topics/store.ts";
import { followLog, Wakes } from "./follow_log.ts";
import { holeAt } from "./holes.ts";
import { rememberPublication } from "./publications.ts";

/** The smallest number of dropped events to be cut off the array at once. */
const COMPACT_AT = 1_024;

/** A hole, with the number of offsets in it and in all holes before it. */
interface CountedHole extends Hole {
  readonly skipped: number;
}

/** A {@linkcode Log} with nothing behind it: what leaves its window is gone. */
export class MemoryLog implements Log {
  readonly epoch: string;
  readonly createdAt: number;
  /** Wakes with each change. */
  readonly wakes = new Wakes();
  /** Called when it has ended. */
  onEnded: () => void = () => {};
  readonly #name: string;
  readonly #retention: Retention;
  readonly #clock: Clock;
  #facts: TopicFacts;
  #firstAt: number | undefined;
  #lastAt: number | undefined;
  #ended: StoredEnd | undefined;
  #isGone = false;
  #lastId = "";
  /** The publications with a key: the oldest first. */
  #publications: Map<string, string> | undefined;
  /** Entries before `#head` are given up, and not yet cut off. */
  #entries: (LogEntry | undefined)[] = [];
  #head = 0;
  #first = 1;
  #bytes = 0;
  /** The holes after `#first`, in order. */
  #holes: CountedHole[] = [];
  /** The offsets in all holes that there ever were, and in those before `#first`. */
  #skipped = 0;
  #passed = 0;

  /**
   * Makes an empty log, with an epoch of its own.
   *
   * @param name The name of the topic, for messages.
   * @param facts The facts kept besides the events.
   * @param made The time at which it was made, and its epoch, if it is the copy
   * of another log.
   */
  constructor(
    retention: Retention,
    clock: Clock,
    name = "",
    facts: TopicFacts = { isOpen: false },
    made?: { readonly epoch: string; readonly createdAt: number },
  ) {
    this.epoch = made?.epoch ?? createEpoch();
    this.#name = name;
    this.#retention = retention;
    this.#clock = clock;
    this.#facts = facts;
    this.createdAt = made?.createdAt ?? clock.now();
  }

  get facts(): TopicFacts {
    return this.#facts;
  }

  get firstAt(): number | undefined {
    return this.#firstAt;
  }

  get lastAt(): number | undefined {
    return this.#lastAt;
  }

  get ended(): StoredEnd | undefined {
    return this.#ended;
  }

  /** Whether the topic was deleted. */
  get isGone(): boolean {
    return this.#isGone;
  }

  get lastId(): string {
    return this.#lastId;
  }

  get first(): number {
    return this.#first;
  }

  get next(): number {
    return this.#first + this.#entries.length - this.#head +
      this.#skipped - this.#passed;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(
    events: readonly ServerSentEvent[],
    { expected, publication, lease }: LogAppendOptions = {},
  ): Appended {
    if (lease?.isHeld === false) throw new LeaseLostError(this.#name);
    const first = this.next;
    if (this.#ended || (expected !== undefined && expected !== first)) {
      throw new StaleWriterError(
        this.#name,
        expected ?? first,
        this.#ended ? undefined : first,
      );
    }
    const { key, before } = publication ?? {};
    if (key !== undefined && before) {
      const kept = this.publication(key);
      if (kept !== undefined && kept !== before.value) {
        throw new StaleWriterError(this.#name, first, first);
      }
    }
    return this.add(events, this.#clock.now(), publication);
  }

  /** Adds events of a time: those of a copy have that of the log. */
  add(
    events: readonly ServerSentEvent[],
    time: number,
    publication?: AppendedPublication,
  ): Appended {
    const first = this.next;
    let bytes = 0;
    for (const event of events) {
      const size = sizeOf(event);
      bytes += size;
      this.#entries.push({ event, size, time });
    }
    // Of a copy, retention may have removed what was before.
    if (first === 1) this.#firstAt = time;
    this.#lastAt = time;
    this.#bytes += bytes;
    this.#lastId = events.at(-1)?.id ?? "";
    if (publication) this.remember(publication);
    this.trim();
    this.wakes.wake();
    return { first, count: events.length, bytes };
  }

  end(end: StoredEnd, { lease }: LogEndOptions = {}): void {
    if (this.#ended) return;
    if (lease?.isHeld === false) throw new LeaseLostError(this.#name);
    this.#ended = end;
    this.wakes.wake();
    this.onEnded();
  }

  update(facts: TopicFacts, { lease }: LogUpdateOptions = {}): void {
    if (lease?.isHeld === false) throw new LeaseLostError(this.#name);
    this.#facts = facts;
    this.wakes.wake();
  }

  follow(from: number, signal: AbortSignal): AsyncIterable<LogProgress> {
    return followLog(this, from, signal);
  }

  /** The topic was deleted: what is in memory can still be read. */
  bury(): void {
    this.#isGone = true;
    this.wakes.wake();
  }

  settled(): void {}

  publication(key: string): string | undefined {
    return this.#publications?.get(key);
  }

  publications(): Iterable<readonly [key: string, value: string]> {
    return this.#publications ?? [];
  }

  /** Keeps what is known of a publication. */
  remember({ key, value }: AppendedPublication): void {
    rememberPublication(this.#publications ??= new Map(), key, value);
  }

  read(from: number, budget: ReadBudget): LogRange {
    const { missing, hole } = this.#holesAround(from);
    const start = this.#head + (from - this.#first) - missing;
    const limit = Math.min(
      this.#entries.length,
      start + budget.events,
      hole ? start + hole.from - from : Infinity,
    );
    let end = start;
    for (let bytes = 0; end < limit; end++) {
      bytes += this.#entries[end]!.size; // within the retained part
      if (bytes > budget.bytes && end > start) break;
    }
    // the retained part has no hole
    const entries = this.#entries.slice(start, end) as LogEntry[];
    return { offset: from, entries };
  }

  skip(count: number, reason: GapReason): void {
    const from = this.next;
    this.wakes.wake();
    // In front of all events, it is as if retention had passed these.
    if (from === this.#first) return void (this.#first += count);
    this.#skipped += count;
    const last = this.#holes.at(-1);
    const continued = last?.to === from - 1 ? this.#holes.pop() : undefined;
    this.#holes.push({
      from: continued?.from ?? from,
      to: from + count - 1,
      reason,
      skipped: this.#skipped,
    });
  }

  get holes(): readonly Hole[] {
    return this.#holes;
  }

  holeAt(offset: number): Hole | undefined {
    return holeAt(this.#holes, offset);
  }

  /** Returns the hole after an event, and how many offsets are missing before it. */
  #holesAround(
    offset: number,
  ): { readonly missing: number; readonly hole: Hole | undefined } {
    let hole: Hole | undefined;
    for (let index = this.#holes.length - 1; index >= 0; index--) {
      const before = this.#holes[index]!; // within the array
      if (before.to < offset) {
        return { missing: before.skipped - this.#passed, hole };
      }
      hole = before;
    }
    return { missing: 0, hole };
  }

  /** The newest event is given up to age alone: it could not reach anybody otherwise. */
  trim(): void {
    const { maxEvents, maxBytes, maxAge } = this.#retention;
    // Time is asked for with each append: it costs a tenth of one.
    const oldest = maxAge === Infinity ? -Infinity : this.#clock.now() - maxAge;
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
      const hole = this.#holes[0];
      if (hole?.from !== this.#first) continue;
      // Nobody reads on from a hole that nothing is left before.
      this.#first = hole.to + 1;
      this.#passed = hole.skipped;
      this.#holes.shift();
    }
    // Cutting off moves what stays: done once per as many as stay, each append pays O(1).
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }

  clear(): void {
    this.#first = this.next;
    this.#entries = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#holes = [];
    this.#passed = this.#skipped;
  }

  [Symbol.dispose](): void {}
}
