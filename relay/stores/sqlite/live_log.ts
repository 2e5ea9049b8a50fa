import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { StoredEnd } from "../../topics/end.ts";
import {
  type Appended,
  type AppendedPublication,
  type GapReason,
  type Hole,
  type LogEntry,
  sizeOf,
  type TopicFacts,
} from "../../topics/log.ts";
import { StaleWriterError, type StoreError } from "../../topics/store.ts";
import type { TopicRow } from "./catalog.ts";
import type { Work } from "./committer.ts";
import type { Operation, Standing } from "./messages.ts";
import { Window, type Windows } from "../window.ts";
import { formerName } from "../../topics/former_topics.ts";
import { AppendWork, SingleWork, type WorkOwner } from "./work.ts";
import { Wakes } from "../follow_log.ts";
import { addHole, holeAt } from "../holes.ts";

/** The parts of a store that a {@linkcode LiveLog} uses. */
export interface LiveLogStore {
  /** The windows of all logs. */
  readonly windows: Windows;
  /** The age after which events are given up, in milliseconds. */
  readonly maxAge: number;
  /** The reason why nothing can be written now. */
  readonly failure: StoreError | undefined;
  /** The time, in milliseconds since the epoch. */
  now(): number;
  /** Writes something. */
  add(work: Work): void;
  /** Takes note of events that retention has passed. */
  onPassed(log: LiveLog): void;
  /** Takes note of a log that may have become idle. */
  onIdle(log: LiveLog): void;
  /** Takes note of a topic that the file has, or whose end it has. */
  onNews(kind: "made" | "ended", log: LiveLog): void;
}

/** A caller that waits until all work up to a point is kept. */
interface Settling {
  readonly until: number;
  readonly result: PromiseWithResolvers<void>;
}

/**
 * A log that is in use, however many handles it has.
 *
 * Only this class knows of work under way: the fields that others see change
 * when the file has it.
 */
export class LiveLog implements WorkOwner {
  readonly id: number;
  /** The name of the topic. */
  readonly name: string;
  /** The name of the log among all logs: another, if the topic has a newer log. */
  key: string;
  readonly epoch: string;
  readonly createdAt: number;
  /** The newest events. */
  readonly window: Window;
  /** Wakes with each change. */
  readonly wakes = new Wakes();
  /** The number of handles. */
  handles = 0;
  /** Whether the topic was deleted. */
  isGone = false;
  /** The number of times that something was not kept: who waits counts anew from there. */
  losses = 0;
  readonly #store: LiveLogStore;
  readonly #holes: Hole[];
  readonly #settling: Settling[] = [];
  #facts: TopicFacts;
  #first: number;
  #next: number;
  #bytes: number;
  #oldest: number | undefined;
  #firstAt: number | undefined;
  #lastAt: number | undefined;
  #lastId: string;
  #ended: StoredEnd | undefined;
  #tail: number;
  #isEnding: boolean;
  /** Whether the file has the topic; `pending` while that is under way. */
  #made: "yes" | "pending" | "no";
  #appends: AppendWork | undefined;
  /** The publications of appends under way, by their keys. */
  readonly #publications = new Map<string, AppendedPublication>();
  #told = 0;
  #settled = 0;
  #isTrimming = false;

  /** Takes up a log where the file has it; `isNew` if it has yet to be made there. */
  constructor(
    store: LiveLogStore,
    row: TopicRow,
    holes: readonly Hole[],
    isNew: boolean,
  ) {
    this.#store = store;
    this.id = row.id;
    this.name = row.name.split("/")[0]!; // there is a part before a slash
    this.key = row.name;
    this.epoch = row.epoch;
    this.createdAt = row.createdAt;
    this.window = new Window(store.windows);
    this.#facts = row.facts;
    this.#first = row.first;
    this.#next = row.next;
    this.#tail = row.next;
    this.#bytes = row.bytes;
    this.#oldest = row.oldest;
    this.#firstAt = row.firstAt;
    this.#lastAt = row.lastAt;
    this.#lastId = row.lastId;
    this.#ended = row.end;
    this.#isEnding = row.end !== undefined;
    this.#holes = [...holes];
    this.#made = isNew ? "no" : "yes";
    // Whoever wants to know asks `settled`.
    if (isNew) void this.#make();
  }

  /** The facts kept besides the events. */
  get facts(): TopicFacts {
    return this.#facts;
  }

  /** The time of the first event, if it is known. */
  get firstAt(): number | undefined {
    return this.#firstAt;
  }

  /** The time of the newest event that is kept, if it is known. */
  get lastAt(): number | undefined {
    return this.#lastAt;
  }

  /** The offset of the oldest event that is kept. */
  get first(): number {
    return this.#first;
  }

  /** The offset that the next event will have, after those that are kept. */
  get next(): number {
    return this.#next;
  }

  /** The offset that the next event will have, after those that are under way. */
  get tail(): number {
    return this.#tail;
  }

  /** The bytes of what is kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The id of the last event that is kept. */
  get lastId(): string {
    return this.#lastId;
  }

  /** The end, once it is kept. */
  get ended(): StoredEnd | undefined {
    return this.#ended;
  }

  /** Whether nothing more may be appended. */
  get isClosed(): boolean {
    return this.isGone || this.#isEnding;
  }

  /** Whether something is under way. */
  get isBusy(): boolean {
    return this.#told > this.#settled;
  }

  /** Whether the file has the topic, as far as is known. */
  get isMade(): boolean {
    return this.#made === "yes";
  }

  /** Returns what is kept of a publication with an append that is under way. */
  publicationUnderWay(key: string): string | undefined {
    return this.#publications.get(key)?.value;
  }

  /** Adds events at the tail. */
  append(
    events: readonly ServerSentEvent[],
    publication: AppendedPublication | undefined,
  ): Promise<Appended> {
    const appended = this.#append(events, publication);
    if (!publication) return appended;
    const { key } = publication;
    this.#publications.set(key, publication);
    const over = (): void => {
      if (this.#publications.get(key) !== publication) return;
      this.#publications.delete(key);
    };
    void appended.then(over, over);
    return appended;
  }

  #append(
    events: readonly ServerSentEvent[],
    publication: AppendedPublication | undefined,
  ): Promise<Appended> {
    const time = this.#store.now();
    const entries = events.map((event) => ({
      event,
      size: sizeOf(event),
      time,
    }));
    if (!this.#appends?.isOpen) {
      this.#makeAgain();
      this.#appends = new AppendWork(this, this.#tail);
      const result = this.#appends.add(entries, publication);
      this.#tail += entries.length;
      this.#tell(this.#appends);
      return result;
    }
    this.#tail += entries.length;
    return this.#appends.add(entries, publication);
  }

  /** Leaves out offsets at the tail. */
  skip(count: number, reason: GapReason): Promise<void> {
    const from = this.#tail;
    this.#tail += count;
    return this.#do(
      ["skip", this.id, from, count, reason],
      () => this.onSkipped(from, count, reason),
      (next) => this.staleAt(from, next),
    );
  }

  /** Ends the log at the tail. */
  end(end: StoredEnd): void | Promise<void> {
    if (this.#ended) return;
    if (this.#isEnding) return this.settled();
    this.#isEnding = true;
    const { status, reason = null, isWhole, at } = end;
    const tail = this.#tail;
    return this.#do(
      ["end", this.id, tail, status, reason, isWhole, at],
      () => this.onEnded(end),
      (next) => this.staleAt(tail, next),
    );
  }

  /** Changes the facts. */
  update(facts: TopicFacts): Promise<void> {
    return this.#do(
      ["update", this.id, JSON.stringify(facts)],
      () => this.onUpdated(facts),
      () => this.staleAt(this.#tail, null),
    );
  }

  /** Gives up what has become too old. */
  trim(): void {
    const oldest = this.#store.now() - this.#store.maxAge;
    if (!(this.#oldest !== undefined && this.#oldest < oldest)) return;
    if (this.#isTrimming || this.isGone || this.#store.failure) return;
    this.#isTrimming = true;
    const over = (): void => void (this.#isTrimming = false);
    // If this fails, the next call tries again.
    this.#do(["trim", this.id], () => {}).then(over, over);
  }

  /** Resolves once all is kept that the log was told up to now. */
  settled(): void | Promise<void> {
    if (this.#made === "no" && !this.isGone) return this.#make();
    if (!this.isBusy) return;
    const result = Promise.withResolvers<void>();
    this.#settling.push({ until: this.#told, result });
    return result.promise;
  }

  /** All holes, in order. */
  get holes(): readonly Hole[] {
    return this.#holes;
  }

  /** Returns the hole that an offset is in, from that offset on. */
  holeAt(offset: number): Hole | undefined {
    return holeAt(this.#holes, offset);
  }

  /** The topic was deleted: what is in memory can still be read. */
  bury(): void {
    this.isGone = true;
    this.wakes.wake();
    this.#first = Math.max(this.#first, this.window.first ?? this.#next);
  }

  /** Takes over where the file has the log after a transaction. */
  stand({ first, bytes, oldest }: Standing): void {
    if (this.isGone) return;
    this.#bytes = bytes;
    this.#oldest = oldest ?? undefined;
    if (first === this.#first) return;
    this.#first = first;
    const kept = this.#holes.findIndex(({ to }) => to >= first);
    this.#holes.splice(0, kept < 0 ? this.#holes.length : kept);
    this.window.pass(first);
    this.#store.onPassed(this);
  }

  /** Events were fetched. */
  onRead(): void {
    this.#store.onIdle(this);
  }

  onAppended(
    first: number,
    entries: readonly LogEntry[],
    lastId: string,
  ): void {
    this.window.push(first, entries);
    if (first === 1) this.#firstAt = entries[0]?.time;
    this.#lastAt = entries.at(-1)?.time;
    this.#next = first + entries.length;
    this.#lastId = lastId;
    this.wakes.wake();
  }

  onSkipped(from: number, count: number, reason: GapReason): void {
    this.#next = from + count;
    addHole(this.#holes, from, count, reason);
    this.wakes.wake();
  }

  onEnded(end: StoredEnd): void {
    this.#ended = end;
    this.wakes.wake();
    this.#store.onNews("ended", this);
  }

  onUpdated(facts: TopicFacts): void {
    this.#facts = facts;
    this.wakes.wake();
  }

  staleAt(expected: number, next: number | null): Error {
    return new StaleWriterError(this.name, expected, next ?? undefined);
  }

  #do(
    operation: Operation,
    onDone: () => void,
    onStale?: (next: number | null) => Error | undefined,
  ): Promise<void> {
    this.#makeAgain();
    const work = new SingleWork(operation, onDone, onStale);
    this.#tell(work);
    return work.result;
  }

  /** Makes the topic before anything else, if it could not be made before. */
  #makeAgain(): void {
    if (this.#made === "no" && !this.isGone) this.#make();
  }

  #make(): Promise<void> {
    const { id, name, epoch, createdAt } = this;
    const { follows } = this.#facts;
    const facts = JSON.stringify(this.#facts);
    const former = follows === undefined ? null : formerName(name, follows);
    const work = new SingleWork(
      ["create", id, name, epoch, createdAt, facts, former],
      () => {
        this.#made = "yes";
        this.#store.onNews("made", this);
      },
    );
    // Work for this topic fails with it, and reports the error.
    work.result.catch(() => {});
    this.#made = "pending";
    this.#tell(work, () => void (this.#made = "no"));
    return work.result;
  }

  /** Has work done after all that the log was told before. */
  #tell(work: Work, onFailed: () => void = () => {}): void {
    if (work !== this.#appends) this.#appends = undefined;
    this.#told++;
    this.#store.add({
      get bytes() {
        return work.bytes;
      },
      ...(work.makesRoom && { makesRoom: true }),
      pack: () => work.pack(),
      done: (stale) => {
        work.done(stale);
        this.#onSettled(
          typeof stale === "number" || stale === null
            ? this.staleAt(this.#tail, stale)
            : undefined,
        );
      },
      failed: (error) => {
        onFailed();
        work.failed(error);
        this.#onSettled(error);
      },
    });
  }

  #onSettled(error: Error | undefined): void {
    this.#settled++;
    if (error) {
      this.losses++;
      this.#tail = this.#next;
      this.#isEnding = this.#ended !== undefined;
      this.#appends = undefined;
      for (const { result } of this.#settling.splice(0)) result.reject(error);
    }
    for (;;) {
      const [oldest] = this.#settling;
      if (!oldest || oldest.until > this.#settled) break;
      this.#settling.shift();
      oldest.result.resolve();
    }
    // Followers wait for the writes from before the deletion.
    if (this.isGone && !this.isBusy) this.wakes.wake();
    this.#store.onIdle(this);
  }
}
