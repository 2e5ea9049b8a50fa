import type { Clock } from "../../../src/fetch/clock.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { StoredEnd } from "../../topics/end.ts";
import {
  type GapReason,
  type Hole,
  type LogEntry,
  type LogProgress,
  type Retention,
  sizeOf,
  type TopicFacts,
} from "../../topics/log.ts";
import { type FollowedLog, followLog, Wakes } from "../follow_log.ts";
import { addHole, holeAt } from "../holes.ts";
import { rememberPublication } from "../publications.ts";
import { Window, type Windows } from "../window.ts";

/** The smallest number of sizes that were given up to be cut off the arrays at once. */
const COMPACT_AT = 1_024;

/**
 * Where a log of the stream stands, as this relay has read it: the newest events, and of
 * older ones no more than their sizes and times, which retention needs.
 */
export class LogCopy implements FollowedLog {
  readonly epoch: string;
  readonly createdAt: number;
  /** Wakes with each change. */
  readonly wakes = new Wakes();
  /** The newest events. */
  readonly window: Window;
  readonly #retention: Retention;
  readonly #clock: Clock;
  #facts: TopicFacts;
  #firstAt: number | undefined;
  #lastAt: number | undefined;
  #lastId = "";
  #ended: StoredEnd | undefined;
  #isGone = false;
  /** The publications with a key: the oldest first. */
  readonly #publications = new Map<string, string>();
  #first = 1;
  #next = 1;
  #bytes = 0;
  /** Of each event: those before `#head` are given up, and not yet cut off. */
  #sizes: number[] = [];
  #times: number[] = [];
  #head = 0;
  /** The holes after `#first`, in order. */
  readonly #holes: Hole[] = [];

  /** Makes the copy of a log of which nothing was read yet. */
  constructor(
    { retention, clock, windows }: {
      readonly retention: Retention;
      readonly clock: Clock;
      readonly windows: Windows;
    },
    { epoch, createdAt, facts }: {
      readonly epoch: string;
      readonly createdAt: number;
      readonly facts: TopicFacts;
    },
  ) {
    this.epoch = epoch;
    this.createdAt = createdAt;
    this.window = new Window(windows);
    this.#retention = retention;
    this.#clock = clock;
    this.#facts = facts;
  }

  get facts(): TopicFacts {
    return this.#facts;
  }

  /** The time of the first event, if it is known. */
  get firstAt(): number | undefined {
    return this.#firstAt;
  }

  /** The time of the newest event, if it is known. */
  get lastAt(): number | undefined {
    return this.#lastAt;
  }

  get ended(): StoredEnd | undefined {
    return this.#ended;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** The id of the last event. */
  get lastId(): string {
    return this.#lastId;
  }

  /** The offset of the oldest event that is retained. */
  get first(): number {
    return this.#first;
  }

  get next(): number {
    return this.#next;
  }

  /** The bytes of what is retained. */
  get bytes(): number {
    return this.#bytes;
  }

  /** All holes, in order. */
  get holes(): readonly Hole[] {
    return this.#holes;
  }

  /** Returns the hole that an offset is in, from that offset on. */
  holeAt(offset: number): Hole | undefined {
    return holeAt(this.#holes, offset);
  }

  /** Adds events of a time. */
  add(events: readonly ServerSentEvent[], time: number): void {
    const entries: LogEntry[] = [];
    for (const event of events) {
      const size = sizeOf(event);
      this.#bytes += size;
      this.#sizes.push(size);
      this.#times.push(time);
      entries.push({ event, size, time });
    }
    // Retention may have removed what was before.
    if (this.#next === 1) this.#firstAt = time;
    this.#lastAt = time;
    this.#lastId = events.at(-1)?.id ?? "";
    this.window.push(this.#next, entries);
    this.#next += events.length;
    this.trim();
    this.wakes.wake();
  }

  /** Leaves out offsets. */
  skip(count: number, reason: GapReason): void {
    const from = this.#next;
    this.#next += count;
    this.wakes.wake();
    // In front of all events, it is as if retention had passed these.
    if (from === this.#first) return void (this.#first = this.#next);
    addHole(this.#holes, from, count, reason);
  }

  /** Changes the facts. */
  update(facts: TopicFacts): void {
    this.#facts = facts;
    this.wakes.wake();
  }

  /** Ends the log. */
  end(end: StoredEnd): void {
    this.#ended ??= end;
    this.wakes.wake();
  }

  /** The topic was deleted: what is in memory can still be read. */
  bury(): void {
    this.#isGone = true;
    this.#first = Math.max(this.#first, this.window.first ?? this.#next);
    this.wakes.wake();
  }

  /** Tells where the log has got to. */
  follow(from: number, signal: AbortSignal): AsyncIterable<LogProgress> {
    return followLog(this, from, signal);
  }

  /** Returns what is known of a publication. */
  publication(key: string): string | undefined {
    return this.#publications.get(key);
  }

  /** Returns the publications that are remembered. */
  publications(): Iterable<readonly [key: string, value: string]> {
    return this.#publications;
  }

  /** Keeps what is known of a publication. */
  remember(key: string, value: string): void {
    rememberPublication(this.#publications, key, value);
  }

  /** The newest event is given up to age alone: it could not reach anybody otherwise. */
  trim(): void {
    const { maxEvents, maxBytes, maxAge } = this.#retention;
    const oldest = this.#clock.now() - maxAge;
    for (;;) {
      const count = this.#sizes.length - this.#head;
      if (count === 0) break;
      const tooMuch = count > 1 &&
        (count > maxEvents || this.#bytes > maxBytes);
      if (!tooMuch && !(this.#times[this.#head]! < oldest)) break; // one is there
      this.#drop();
    }
    this.#trimmed();
  }

  /** Gives up events before an offset, which another relay has removed. */
  pass(first: number): void {
    while (this.#first < first && this.#head < this.#sizes.length) this.#drop();
    this.#trimmed();
    this.wakes.wake();
  }

  /** Gives up the oldest event. */
  #drop(): void {
    this.#bytes -= this.#sizes[this.#head++]!; // one is there
    this.#first++;
    const hole = this.#holes[0];
    if (hole?.from !== this.#first) return;
    // Nobody reads on from a hole that nothing is left before.
    this.#first = hole.to + 1;
    this.#holes.shift();
  }

  #trimmed(): void {
    this.window.pass(this.#first);
    // Cutting off moves what stays: done once per as many as stay, each append pays O(1).
    if (this.#head < COMPACT_AT || this.#head * 2 < this.#sizes.length) return;
    this.#sizes = this.#sizes.slice(this.#head);
    this.#times = this.#times.slice(this.#head);
    this.#head = 0;
  }
}
