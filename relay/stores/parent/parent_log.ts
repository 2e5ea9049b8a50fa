import type { Clock } from "../../../src/fetch/clock.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { type Channel, LinkLostError } from "../../links/channel.ts";
import {
  arrayAt,
  holesSchema,
  type LogState,
  numberAt,
  type Operation,
  packEvents,
  unpackEntries,
  upstreamSchema,
  valueAt,
} from "../../links/wire.ts";
import type { StoredEnd } from "../../topics/end.ts";
import { LeaseLostError } from "../../topics/lease.ts";
import {
  type Appended,
  type Hole,
  type LogEntry,
  MAX_PUBLICATIONS,
  sizeOf,
  type TopicFacts,
} from "../../topics/log.ts";
import { StaleWriterError, StoreError } from "../../topics/store.ts";
import { endSchema, factsSchema } from "../../topics/stored_schemas.ts";
import type { UpstreamState } from "../../topics/upstream_state.ts";
import { type FollowedLog, Wakes } from "../follow_log.ts";
import { holeAt } from "../hole_at.ts";
import type { ReadLog } from "../history.ts";
import type { Segment } from "../segment.ts";
import { maxAhead, Pace } from "../pace.ts";
import { Window, type Windows } from "../window.ts";
import { NOTHING_APPENDED, type Work } from "./parent_work.ts";

/** The parts of a store that a log uses. */
export interface ParentLogStore {
  readonly windows: Windows;
  readonly clock: Clock;
  /** The link, if there is one. */
  readonly link: () => Channel | undefined;
  /** The logs by the numbers under which the link has them. */
  readonly numbers: Map<number, ParentLog>;
  /** Resolves with the link once there is one, and the name is at hand there. */
  linked(name: string): Promise<Channel>;
  /**
   * Returns the reason to refuse work that cannot wait for the parent;
   * `undefined` while it waits.
   */
  refusal(): StoreError | undefined;
  /** Returns the number of a log that is made here: the parent's own are positive. */
  nextOwn(): number;
  /** Takes note of events that were fetched, or a log that nobody uses. */
  onIdle(log: ParentLog): void;
}

/** The start of a log that is made here. */
export interface NewLog {
  readonly epoch: string;
  readonly createdAt: number;
  readonly facts: TopicFacts;
}

/** Facts that the parent is told: as long as their message has not left, others take their place. */
interface ToldFacts {
  readonly work: Extract<Work, { kind: "make" | "facts" }>;
  readonly request: unknown[];
  readonly channel: Channel;
  /** The number of messages that were sent before theirs. */
  readonly message: number;
}

/** The state that subscribers are told while the parent is away. */
const AWAY: UpstreamState = { state: "retrying" };

/** The same when it is back, and says nothing of the upstream. */
const BACK: UpstreamState = { state: "open" };

/** The most events that are read to find out what has become of those that were sent. */
const MAX_SOUGHT = 10_000;

/**
 * The number of times that the parent is told what was taken, while the log gets as far
 * ahead as it may: with it, a tree can have as many levels.
 */
const TAKEN_STEPS = 16;

/** The bytes of one read for that. */
const SEEK_BYTES = 512 * 1024;

/**
 * A log of the parent that is at hand here, however many handles it has: the newest
 * events, and one line of what this relay has the parent do.
 */
export class ParentLog implements FollowedLog, ReadLog {
  readonly name: string;
  readonly epoch: string;
  /** The newest events. */
  readonly window: Window;
  /** The places of those who read it here, and below. */
  readonly pace: Pace;
  /** Wakes with each change. */
  readonly wakes = new Wakes();
  /** The number under which the link has it; `undefined` until the parent has told. */
  h: number | undefined;
  /** The number of handles. */
  handles = 0;
  /** Whether the topic was deleted. */
  isGone = false;
  /** Whether the parent has lost it. */
  isLost = false;
  createdAt: number;
  readonly #store: ParentLogStore;
  readonly #listeners = new Set<() => void>();
  #facts: TopicFacts;
  #first = 1;
  #next = 1;
  #bytes = 0;
  #firstAt: number | undefined;
  #lastAt: number | undefined;
  #lastId = "";
  #ended: StoredEnd | undefined;
  #holes: readonly Hole[] = [];
  #upstream: UpstreamState | undefined;
  #isAway = false;
  /** The offset before which the parent knows that all events were taken here. */
  #toldTaken = 1;
  #publications: Map<string, string> | undefined;
  /**
   * The work that is not done yet, in order. The first `#sent` of it were sent
   * over this link.
   */
  #line: Work[] = [];
  #sent = 0;
  /** The work that must be answered before more is sent. */
  #barrier: Work | undefined;
  /** Whether it is found out what has become of what was sent over another link. */
  #isResuming = false;
  #wantsTrim = false;
  /** The last facts that were sent to the parent. */
  #toldFacts: ToldFacts | undefined;
  /**
   * The work that was refused after it was sent, because nobody knew its fate.
   */
  #givenUp: Extract<Work, { kind: "append" }>[] = [];
  /**
   * The appends among these that were kept, by their events: whoever tries
   * again with them is told so.
   */
  readonly #keptAfterAll = new WeakMap<
    readonly ServerSentEvent[],
    Appended
  >();

  /** Takes up a log of the parent's, or one that is to be made there. */
  constructor(
    store: ParentLogStore,
    name: string,
    { epoch, createdAt, facts }: NewLog,
  ) {
    this.#store = store;
    this.name = name;
    this.epoch = epoch;
    this.createdAt = createdAt;
    this.#facts = facts;
    this.window = new Window(store.windows);
    this.pace = new Pace(this, store.clock);
  }

  get facts(): TopicFacts {
    return this.#facts;
  }

  get first(): number {
    return this.#first;
  }

  get next(): number {
    return this.#next;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The time of its first event, if it is known. */
  get firstAt(): number | undefined {
    return this.#firstAt;
  }

  /** The time of its newest event, if it is known. */
  get lastAt(): number | undefined {
    return this.#lastAt;
  }

  get lastId(): string {
    return this.#lastId;
  }

  get ended(): StoredEnd | undefined {
    return this.#ended;
  }

  get holes(): readonly Hole[] {
    return this.#holes;
  }

  /**
   * The state of its filler's upstream. If the parent is away, that takes
   * precedence.
   */
  get upstream(): UpstreamState | undefined {
    return this.#isAway ? AWAY : this.#upstream;
  }

  /** Whether something is to be done. */
  get isBusy(): boolean {
    return this.#line.length > 0;
  }

  /** Whether the parent does not have it yet, as far as is known. */
  get isMaking(): boolean {
    return this.#line[0]?.kind === "make";
  }

  holeAt(offset: number): Hole | undefined {
    return holeAt(this.#holes, offset);
  }

  onRead(): void {
    this.#store.onIdle(this);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  publication(key: string): string | undefined {
    return this.#publications?.get(key);
  }

  publications(): Iterable<readonly [key: string, value: string]> {
    return this.#publications ?? [];
  }

  /** Keeps what is known of publications: the oldest go first. */
  remember(publications: readonly (readonly [string, string])[]): void {
    const all = this.#publications ??= new Map();
    for (const [key, value] of publications) {
      all.delete(key);
      all.set(key, value);
    }
    for (const oldest of all.keys()) {
      if (all.size <= MAX_PUBLICATIONS) break;
      all.delete(oldest);
    }
  }

  /** Tells the parent how the upstream of a filler here is. */
  tellUpstream(upstream: UpstreamState): void {
    this.#upstream = upstream;
    if (this.h !== undefined) {
      this.#store.link()?.send(["up", this.h, upstream]);
    }
    this.#changed();
  }

  /**
   * Tells the parent how far those have got who read it here, and below: once they have
   * taken a part of what the log may be ahead of them.
   */
  tellTaken(): void {
    const { place } = this.pace;
    if (place - this.#toldTaken < maxAhead(this) / TAKEN_STEPS) return;
    if (this.h === undefined || this.#ended) return;
    this.#toldTaken = place;
    this.#store.link()?.send(["got", this.h, place]);
  }

  /** Has the parent do something, after all that it was told before. */
  do(work: Work): Promise<Appended> {
    const refusal = this.#store.refusal();
    if (refusal && !this.#mayWait(work)) return Promise.reject(refusal);
    const joined = work.kind === "facts" && this.#join(work);
    if (joined) return joined;
    this.#line.push(work);
    this.#pump();
    return work.result.promise;
  }

  /** Makes it, at the parent. */
  make(): void {
    this.h = this.#store.nextOwn();
    this.#store.numbers.set(this.h, this);
    const result = Promise.withResolvers<Appended>();
    // Whoever wants to know asks `settled`.
    result.promise.catch(() => {});
    const facts = this.#facts;
    const writer = { refused: undefined };
    this.#line.push({
      kind: "make",
      facts,
      writer,
      result,
      isUncertain: false,
    });
    this.#pump();
  }

  /** Resolves once all is done that is to be done. */
  settled(): void | Promise<void> {
    const trimmed = this.#wantsTrim ? this.#trimmed() : undefined;
    if (this.#line.length === 0) return trimmed;
    return Promise.all([
      trimmed,
      ...this.#line.map(({ result }) => result.promise),
    ]).then(() => {});
  }

  /**
   * Gives up what is too old, when somebody waits for that: the parent does so by itself,
   * and to ask it each second for each topic would be for nothing.
   */
  trim(): void {
    this.#wantsTrim = true;
  }

  /** The topic was deleted, or never came to be. */
  bury(): void {
    if (this.isGone) return;
    this.isGone = true;
    const line = this.#line;
    this.#line = [];
    this.#sent = 0;
    this.#barrier = undefined;
    for (const { result } of line) result.reject(this.#stale());
    // Events in memory can still be read.
    this.#first = Math.max(this.#first, this.window.first ?? this.#next);
    this.#changed();
    this.#store.onIdle(this);
  }

  /** The parent has lost it: nobody can go on with it. */
  lose(): void {
    this.isLost = true;
    this.bury();
  }

  /** The store was closed. */
  close(error: StoreError): void {
    for (const { result } of this.#line.splice(0)) result.reject(error);
    this.#sent = 0;
    this.#barrier = undefined;
    this.window.clear();
  }

  /** Refuses what cannot wait for a parent that is away for long. */
  giveUp(error: StoreError): void {
    const line: Work[] = [];
    let waits = false;
    for (const work of this.#line) {
      waits ||= isFillers(work);
      // Work waits, too, that comes after work that waits.
      if (waits || work.kind === "make" || work.kind === "facts") {
        line.push(work);
        continue;
      }
      if (work.kind === "append" && work.isUncertain) this.#givenUp.push(work);
      work.result.reject(error);
    }
    this.#line = line;
    this.#store.onIdle(this);
  }

  /** There is no link any more. */
  onDown(): void {
    if (!this.isMaking) this.h = undefined;
    this.#sent = 0;
    this.#barrier = undefined;
    if (this.#ended || this.isGone) return;
    this.#isAway = true;
    this.#changed();
  }

  /** The parent tells of it over a link of its own: from then on, it tells what is new. */
  resume(state: LogState, channel: Channel): void {
    const from = this.#next;
    const wasAway = this.#isAway;
    this.h = state.h;
    this.#store.numbers.set(state.h, this);
    this.#isAway = false;
    this.createdAt = state.createdAt;
    this.#firstAt = state.firstAt;
    this.#lastAt = state.lastAt;
    this.#facts = state.facts;
    this.#holes = state.holes ?? [];
    this.#lastId = state.lastId;
    this.#next = state.next;
    this.#toldTaken = state.next;
    this.#passTo(state.first, state.bytes);
    this.#ended ??= state.end;
    this.#upstream = state.upstream ?? (wasAway ? BACK : this.#upstream);
    this.#changed();
    const isUncertain = this.#givenUp.length > 0 ||
      this.#line.some((work) => work.isUncertain);
    if (isUncertain) {
      void this.#findOut(from, channel);
    } else this.#pump();
  }

  /** A log that is made here goes on to be made over a new link. */
  resumeMaking(): void {
    this.#isAway = false;
    if (this.h !== undefined) this.#store.numbers.set(this.h, this);
    this.#pump();
  }

  /** Takes what the parent tells of it. */
  told(operation: Operation): void {
    switch (operation[0]) {
      case "p": {
        const entries = unpackEntries(operation, 5);
        const bytes = numberAt(operation, 4);
        this.#add(
          numberAt(operation, 2),
          entries,
          numberAt(operation, 3),
          bytes,
        );
        return this.#changed();
      }
      case "j": {
        const next = numberAt(operation, 2);
        const holes = valueAt(holesSchema, operation, 5);
        const known = this.#holes.filter(({ from }) =>
          !holes.some((hole) => hole.from <= from)
        );
        this.#holes = [...known, ...holes];
        this.#next = Math.max(this.#next, next);
        this.#passTo(numberAt(operation, 3), numberAt(operation, 4));
        return this.#changed();
      }
      case "t":
        return this.#passTo(numberAt(operation, 2), numberAt(operation, 3));
      case "f":
        this.#facts = valueAt(factsSchema, operation, 2);
        return this.#changed();
      case "u":
        this.#upstream = valueAt(upstreamSchema, operation, 2);
        return this.#changed();
      case "e":
        this.#next = numberAt(operation, 2);
        this.#ended ??= valueAt(endSchema, operation, 3);
        return this.#changed();
      case "x":
        return this.lose();
    }
  }

  /** Reads events at the parent. */
  async load(from: number, bytes: number): Promise<readonly Segment[]> {
    for (;;) {
      const channel = await this.#store.linked(this.name);
      if (this.isGone || this.h === undefined) return [];
      try {
        return await this.#loadOver(channel, from, bytes);
      } catch (error) {
        // Whoever reads waits for the parent.
        if (!(error instanceof LinkLostError)) throw error;
      }
    }
  }

  async #loadOver(
    channel: Channel,
    from: number,
    bytes: number,
  ): Promise<readonly Segment[]> {
    const answer = await channel.ask("read", [this.h, from, bytes]);
    const read = arrayAt(answer, 2);
    const first = numberAt(read, 0);
    if (first > this.#first) this.#passTo(first, this.#bytes);
    const entries = unpackEntries(read, 3);
    return entries.length === 0 ? [] : [{ first: numberAt(read, 2), entries }];
  }

  async #trimmed(): Promise<void> {
    this.#wantsTrim = false;
    const channel = this.#store.link();
    if (!channel || this.h === undefined) return;
    const answer = arrayAt(await channel.ask("trim", [this.h]), 2);
    this.#passTo(numberAt(answer, 0), numberAt(answer, 1));
  }

  /** Whether work waits for the parent, however long it is away. */
  #mayWait(work: Work): boolean {
    return work.kind === "facts" || isFillers(work) ||
      this.#line.some(isFillers);
  }

  #add(
    from: number,
    entries: readonly LogEntry[],
    first: number,
    bytes: number,
  ): void {
    const known = Math.min(entries.length, Math.max(0, this.#next - from));
    // Known events may be missing in memory: they are fetched when they are
    // needed.
    const added = known === 0 ? entries : entries.slice(known);
    if (added.length > 0) {
      this.window.push(from + known, added);
      if (from === 1) this.#firstAt = entries[0]?.time;
      this.#lastAt = added.at(-1)?.time;
      this.#next = from + entries.length;
      this.#lastId = added.at(-1)?.event.id ?? "";
    }
    this.#passTo(first, bytes);
  }

  #passTo(first: number, bytes: number): void {
    this.#bytes = bytes;
    if (first <= this.#first) return;
    this.#first = first;
    if (this.#holes.length > 0) {
      this.#holes = this.#holes.filter(({ to }) => to >= first);
    }
    this.window.pass(first);
  }

  #changed(): void {
    this.tellTaken();
    this.wakes.wake();
    for (const listener of this.#listeners) listener();
  }

  #stale(expected = this.#next): StaleWriterError {
    return new StaleWriterError(this.name, expected, undefined);
  }

  /** Sends what can be sent. */
  #pump(): void {
    const channel = this.#store.link();
    if (!channel || this.h === undefined || this.#isResuming) return;
    while (!this.#barrier) {
      const work = this.#line[this.#sent];
      if (!work) return;
      const kept = work.kind === "append"
        ? this.#keptAfterAll.get(work.events)
        : undefined;
      if (kept && work.kind === "append") {
        this.#keptAfterAll.delete(work.events);
        this.#line.splice(this.#sent, 1);
        work.result.resolve(kept);
        continue;
      }
      const error = this.#refusal(work);
      if (error) {
        this.#line.splice(this.#sent, 1);
        work.result.reject(error);
        continue;
      }
      if (isBarrier(work)) {
        if (this.#sent > 0) return;
        this.#barrier = work;
      }
      this.#sent++;
      this.#send(work, channel);
    }
  }

  /**
   * Puts facts in the place of facts that have not left yet: a run changes its own five
   * times in one turn of the event loop.
   *
   * @returns The promise of these; `undefined` if they have left, or are not the last.
   */
  #join(
    { writer, facts }: Extract<Work, { kind: "facts" }>,
  ): Promise<Appended> | undefined {
    const told = this.#toldFacts;
    if (!told || told.work !== this.#line.at(-1)) return undefined;
    const { work, request, channel, message } = told;
    if (work.writer !== writer && work.kind !== "make") return undefined;
    if (channel !== this.#store.link() || channel.sent !== message) {
      return undefined;
    }
    work.facts = facts;
    request[request.length - 1] = facts;
    return work.result.promise;
  }

  #refusal(work: Work): Error | undefined {
    if (work.writer.refused) return work.writer.refused;
    if (this.isGone) return this.#stale();
    if (work.kind !== "append") return undefined;
    if (work.lease?.isHeld === false) return new LeaseLostError(this.name);
    return this.#ended ? this.#stale(work.expected) : undefined;
  }

  #send(work: Work, channel: Channel, at = this.#next): void {
    // Once it was sent, nobody knows what has become of it if there is no answer.
    work.isUncertain = true;
    const [name, values, weight] = this.#request(work, at);
    const message = channel.sent;
    const request = channel.request(name, values, {
      resolve: (answer) => this.#done(work, answer),
      reject: (error) => this.#failed(work, error, channel),
    }, weight);
    if (work.kind !== "make" && work.kind !== "facts") return;
    this.#toldFacts = { work, request, channel, message };
  }

  #request(
    work: Work,
    at: number,
  ): readonly [name: string, values: readonly unknown[], weight?: number] {
    const { h } = this;
    switch (work.kind) {
      case "make":
        return ["make", [h, this.name, this.epoch, work.facts]];
      case "append": {
        const { events, bytes, expected, publication, lease } = work;
        const values: unknown[] = [
          h,
          lease?.number ?? 0,
          expected ?? 0,
          packEvents(events),
        ];
        if (publication) {
          const { key, valueAt, before } = publication;
          const place = work.sentAt = expected ?? at;
          const value = valueAt?.(place) ?? publication.value;
          values.push(key, value);
          if (before) values.push(before.value ?? null);
          values[2] = place;
        }
        return ["a", values, bytes + 16 * events.length];
      }
      case "skip":
        return ["skip", [h, work.count, work.reason]];
      case "facts":
        return ["facts", [h, work.facts]];
      case "end":
        return ["end", [h, work.end]];
    }
  }

  #done(work: Work, answer: Operation): void {
    if (!this.#takeOut(work)) return;
    if (this.#toldFacts?.work === work) this.#toldFacts = undefined;
    switch (work.kind) {
      case "make":
        this.createdAt = numberAt(answer, 2);
        this.#facts = work.facts;
        work.result.resolve(NOTHING_APPENDED);
        break;
      case "append":
        this.#appended(work, answer);
        break;
      case "facts":
        this.#facts = work.facts;
        work.result.resolve(NOTHING_APPENDED);
        this.#changed();
        break;
      case "end":
        // The end that stands may be another one, which is told before.
        this.#ended ??= work.end;
        work.result.resolve(NOTHING_APPENDED);
        this.#changed();
        break;
      case "skip":
        work.result.resolve(NOTHING_APPENDED);
        break;
    }
    this.#pump();
    this.#store.onIdle(this);
  }

  #appended(
    work: Extract<Work, { kind: "append" }>,
    answer: Operation,
  ): void {
    const first = numberAt(answer, 2);
    const time = numberAt(answer, 3);
    const { events, bytes, publication, result } = work;
    const entries = events.map((event): LogEntry => ({
      event,
      size: sizeOf(event),
      time,
    }));
    this.#add(first, entries, numberAt(answer, 4), numberAt(answer, 5));
    if (publication) this.#rememberOwn(publication, first);
    result.resolve({ first, count: events.length, bytes });
    this.#changed();
  }

  #rememberOwn(
    { key, value, valueAt }: NonNullable<
      Extract<Work, { kind: "append" }>["publication"]
    >,
    first: number,
  ): void {
    this.remember([[key, valueAt?.(first) ?? value]]);
  }

  #failed(work: Work, error: unknown, channel: Channel): void {
    // It is found out with the next link.
    if (error instanceof LinkLostError || !channel.isOpen) return;
    if (!this.#line.includes(work)) return;
    const moved = error instanceof StaleWriterError ? error.next : undefined;
    if (
      work.kind === "append" && work.publication &&
      work.expected === undefined && moved !== undefined &&
      moved !== work.sentAt
    ) {
      // Another relay was first: it is written behind that.
      return this.#send(work, channel, moved);
    }
    this.#takeOut(work);
    const refused = this.#named(error, work);
    if (work.kind === "append") {
      if (error instanceof LeaseLostError) work.lease?.lose();
      if (work.expected !== undefined) work.writer.refused ??= refused;
    }
    work.result.reject(refused);
    if (work.kind === "make") this.bury();
    this.#pump();
    this.#store.onIdle(this);
  }

  /** The parent does not know what is asked of a log that is gone there. */
  #named(error: unknown, work: Work): Error {
    if (error instanceof StaleWriterError && error.topic === "") {
      return this.#stale(work.kind === "append" ? work.expected : undefined);
    }
    return error instanceof Error
      ? error
      : new StoreError("io", "The parent could not do it");
  }

  #takeOut(work: Work): boolean {
    const index = this.#line.indexOf(work);
    if (index < 0) return false;
    this.#line.splice(index, 1);
    if (index < this.#sent) this.#sent--;
    if (this.#barrier === work) this.#barrier = undefined;
    return true;
  }

  /**
   * Finds out what has become of what was sent over a link that is gone: the parent has
   * done it in order, up to some work.
   *
   * @param from The offset at which the log stood when it was sent.
   */
  async #findOut(from: number, channel: Channel): Promise<void> {
    this.#isResuming = true;
    try {
      const found = await this.#readSince(from, channel);
      let place = 0;
      for (const { events, bytes } of this.#givenUp.splice(0)) {
        const at = placeOf(events, found, place);
        if (at === undefined) break;
        place = at + events.length;
        const first = found[at]!.offset; // it was found there
        const count = events.length;
        this.#keptAfterAll.set(events, { first, count, bytes });
      }
      for (const work of [...this.#line]) {
        if (!work.isUncertain) break;
        if (work.kind === "append") {
          const at = placeOf(work.events, found, place);
          if (at === undefined) break;
          place = at + work.events.length;
          const first = found[at]!.offset; // it was found there
          this.#takeOut(work);
          if (work.publication) this.#rememberOwn(work.publication, first);
          const { bytes, result, events } = work;
          result.resolve({ first, count: events.length, bytes });
        } else if (work.kind === "skip") {
          const next = found[place]?.offset ?? this.#next;
          if (!this.#holes.some(({ to }) => to >= from && to < next)) break;
          this.#takeOut(work);
          work.result.resolve(NOTHING_APPENDED);
        } else if (work.kind === "end" && this.#ended) {
          this.#takeOut(work);
          work.result.resolve(NOTHING_APPENDED);
        } else if (work.kind === "make") {
          this.#takeOut(work);
          work.result.resolve(NOTHING_APPENDED);
        }
      }
    } catch (error) {
      if (error instanceof LinkLostError || !channel.isOpen) return;
      for (const work of [...this.#line]) {
        if (!work.isUncertain) continue;
        this.#takeOut(work);
        work.result.reject(error);
      }
    } finally {
      this.#isResuming = false;
    }
    if (!channel.isOpen) return;
    for (const work of this.#line) work.isUncertain = false;
    this.#pump();
    this.#store.onIdle(this);
  }

  async #readSince(
    from: number,
    channel: Channel,
  ): Promise<{ readonly offset: number; readonly event: ServerSentEvent }[]> {
    const found: { offset: number; event: ServerSentEvent }[] = [];
    for (
      let offset = Math.max(from, this.#first);
      offset < this.#next && found.length < MAX_SOUGHT;
    ) {
      const hole = this.holeAt(offset);
      if (hole) {
        offset = hole.to + 1;
        continue;
      }
      const [segment] = await this.#loadOver(channel, offset, SEEK_BYTES);
      if (!segment) {
        if (this.#first <= offset) break;
        offset = this.#first;
        continue;
      }
      offset = segment.first;
      for (const { event } of segment.entries) {
        found.push({ offset: offset++, event });
      }
    }
    return found;
  }
}

/** Whether work is of one who fills the topic, and goes on with that when it can. */
function isFillers(work: Work): boolean {
  return work.kind === "append" && work.lease !== undefined;
}

function isBarrier(work: Work): boolean {
  return work.kind === "append" &&
    (work.expected !== undefined || work.publication !== undefined);
}

/** Returns the place at which events are, of those that were found from a place on. */
function placeOf(
  events: readonly ServerSentEvent[],
  found: readonly {
    readonly offset: number;
    readonly event: ServerSentEvent;
  }[],
  from: number,
): number | undefined {
  for (let place = from; place + events.length <= found.length; place++) {
    const isThere = events.every(({ data, event, id }, index) => {
      const other = found[place + index]!.event; // within the array
      return other.data === data && other.event === event && other.id === id;
    });
    if (isThere) return place;
  }
  return undefined;
}
