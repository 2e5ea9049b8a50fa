import type { Clock } from "../../../src/fetch/clock.ts";
import { type Channel, LinkLostError } from "../../links/channel.ts";
import {
  arrayAt,
  type LogState,
  numberAt,
  type Operation,
  unpackEntries,
} from "../../links/wire.ts";
import {
  type Appended,
  type Hole,
  type LogEntry,
  sizeOf,
} from "../../topics/log.ts";
import { StaleWriterError, type StoreError } from "../../topics/store.ts";
import type { UpstreamState } from "../../topics/upstream_state.ts";
import { type FollowedLog, Wakes } from "../follow_log.ts";
import type { ReadLog } from "../history.ts";
import { holeAt } from "../holes.ts";
import { rememberPublication } from "../publications.ts";
import { maxAhead, Pace } from "../pace.ts";
import type { Segment } from "../segment.ts";
import { StandingHandle } from "../standing_handle.ts";
import type { Window, Windows } from "../window.ts";
import { KnownState, type NewLog } from "./known_state.ts";
import { NOTHING_APPENDED, type Work } from "./parent_work.ts";
import { type WorkedLog, WorkLine, type WorkLineStore } from "./work_line.ts";

/** The parts of a store that a log uses. */
export interface ParentLogStore extends WorkLineStore {
  readonly windows: Windows;
  readonly clock: Clock;
  /** The logs by the numbers under which the link has them. */
  readonly numbers: Map<number, ParentLog>;
  /** Resolves with the link once there is one, and the name is at hand there. */
  linked(name: string): Promise<Channel>;
  /** Returns the number of a log that is made here: the parent's own are positive. */
  nextOwn(): number;
  /** Takes note of events that were fetched, or a log that nobody uses. */
  onIdle(log: ParentLog): void;
}

/**
 * The number of times that the parent is told what was taken, while the log gets as far
 * ahead as it may: with it, a tree can have as many levels.
 */
const TAKEN_STEPS = 16;

/**
 * A log of the parent that is at hand here, however many handles it has: the newest
 * events, and one line of what this relay has the parent do.
 */
export class ParentLog extends StandingHandle
  implements FollowedLog, ReadLog, WorkedLog {
  readonly name: string;
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
  readonly #store: ParentLogStore;
  readonly #state: KnownState;
  readonly #line: WorkLine;
  /** The number that was given to it here, if it was made here. */
  #own: number | undefined;
  /** The offset before which the parent knows that all events were taken here. */
  #toldTaken = 1;
  #publications: Map<string, string> | undefined;
  #wantsTrim = false;

  /** Takes up a log of the parent's, or one that is to be made there. */
  constructor(store: ParentLogStore, name: string, start: NewLog) {
    const state = new KnownState(start, store.windows);
    super(state);
    this.#store = store;
    this.#state = state;
    this.name = name;
    this.#line = new WorkLine(store, this);
    this.pace = new Pace(this, store.clock);
  }

  /** The newest events. */
  get window(): Window {
    return this.#state.window;
  }

  get holes(): readonly Hole[] {
    return this.#state.holes;
  }

  /**
   * The state of its filler's upstream. If the parent is away, that takes
   * precedence.
   */
  get upstream(): UpstreamState | undefined {
    return this.#state.upstream;
  }

  /** Whether something is to be done. */
  get isBusy(): boolean {
    return this.#line.isBusy;
  }

  /** Whether the parent does not have it yet, as far as is known. */
  get isMaking(): boolean {
    return this.#line.isMaking;
  }

  holeAt(offset: number): Hole | undefined {
    return holeAt(this.holes, offset);
  }

  onRead(): void {
    this.onIdle();
  }

  onIdle(): void {
    this.#store.onIdle(this);
  }

  onChange(listener: () => void): () => void {
    return this.wakes.listen(listener);
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
      rememberPublication(all, key, value);
    }
  }

  /** Tells the parent how the upstream of a filler here is. */
  tellUpstream(upstream: UpstreamState): void {
    this.#state.upstream = upstream;
    if (this.h !== undefined) {
      this.#store.link()?.send(["up", this.h, upstream]);
    }
    this.changed();
  }

  /**
   * Tells the parent how far those have got who read it here, and below: once they have
   * taken a part of what the log may be ahead of them.
   */
  tellTaken(): void {
    const { place } = this.pace;
    if (place - this.#toldTaken < maxAhead(this) / TAKEN_STEPS) return;
    if (this.h === undefined || this.ended) return;
    this.#toldTaken = place;
    this.#store.link()?.send(["got", this.h, place]);
  }

  /** Has the parent do something, after all that it was told before. */
  do(work: Work): Promise<Appended> {
    return this.#line.do(work);
  }

  /** Makes it, at the parent. */
  make(): void {
    this.h = this.#own = this.#store.nextOwn();
    this.#store.numbers.set(this.h, this);
    this.#line.make(this.facts);
  }

  /** Resolves once all is done that is to be done. */
  settled(): void | Promise<void> {
    const trimmed = this.#wantsTrim ? this.#trimmed() : undefined;
    if (!this.isBusy) return trimmed;
    return Promise.all([trimmed, ...this.#line.results]).then(() => {});
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
    this.#line.clear(() => this.stale());
    // Events in memory can still be read.
    this.#state.bury();
    this.changed();
    this.onIdle();
  }

  /** The parent has lost it: nobody can go on with it. */
  lose(): void {
    this.isLost = true;
    this.bury();
  }

  /** The store was closed. */
  close(error: StoreError): void {
    this.#line.clear(() => error);
    this.window.clear();
  }

  /** Refuses what cannot wait for a parent that is away for long. */
  giveUp(error: StoreError): void {
    this.#line.giveUp(error);
  }

  /** There is no link any more. */
  onDown(): void {
    this.h = undefined;
    this.#line.onDown();
    if (this.ended || this.isGone) return;
    this.#state.isAway = true;
    this.changed();
  }

  /** The parent tells of it over a link of its own: from then on, it tells what is new. */
  resume(state: LogState, channel: Channel): void {
    const from = this.next;
    this.h = state.h;
    this.#store.numbers.set(state.h, this);
    this.#state.resume(state);
    this.#toldTaken = state.next;
    this.changed();
    this.#line.resume(from, channel);
  }

  /** A log that is made here goes on to be made over a new link. */
  resumeMaking(): void {
    if (this.#own === undefined) return;
    this.h = this.#own;
    this.#store.numbers.set(this.h, this);
    this.#state.isAway = false;
    this.#line.pump();
  }

  /** Goes on with what waited for a lease. */
  onLease(): void {
    this.#line.pump();
  }

  /** Takes what the parent tells of it. */
  told(operation: Operation): void {
    if (operation[0] === "x") return this.lose();
    if (this.#state.told(operation)) this.changed();
  }

  /** Reads events at the parent. */
  async load(from: number, bytes: number): Promise<readonly Segment[]> {
    for (;;) {
      const channel = await this.#store.linked(this.name);
      if (this.isGone || this.h === undefined) return [];
      try {
        return await this.loadOver(channel, from, bytes);
      } catch (error) {
        // Whoever reads waits for the parent.
        if (!(error instanceof LinkLostError)) throw error;
      }
    }
  }

  /** Reads events over a link. */
  async loadOver(
    channel: Channel,
    from: number,
    bytes: number,
  ): Promise<readonly Segment[]> {
    const answer = await channel.ask("read", [this.h, from, bytes]);
    const read = arrayAt(answer, 2);
    const first = numberAt(read, 0);
    if (first > this.first) this.#state.passTo(first, this.bytes);
    const entries = unpackEntries(read, 3);
    return entries.length === 0 ? [] : [{ first: numberAt(read, 2), entries }];
  }

  /** Takes over the result of work, and tells nobody yet. */
  apply(work: Work, answer: Operation): Appended {
    const state = this.#state;
    switch (work.kind) {
      case "make":
        state.createdAt = numberAt(answer, 2);
        state.facts = work.facts;
        return NOTHING_APPENDED;
      case "append":
        return this.#appended(work, answer);
      case "facts":
        // Others may have changed meanwhile, as the parent has told.
        state.facts = work.changes
          ? { ...state.facts, ...work.changes }
          : work.facts;
        return NOTHING_APPENDED;
      case "end":
        // The end that stands may be another one, which is told before.
        state.ended ??= work.end;
        return NOTHING_APPENDED;
      case "skip":
        return NOTHING_APPENDED;
    }
  }

  /** Keeps a publication of this relay. */
  rememberOwn(
    { key, value, valueAt }: NonNullable<
      Extract<Work, { kind: "append" }>["publication"]
    >,
    first: number,
  ): void {
    this.remember([[key, valueAt?.(first) ?? value]]);
  }

  /** Returns the reason to refuse a writer that came second. */
  stale(expected: number = this.next): StaleWriterError {
    return new StaleWriterError(this.name, expected, undefined);
  }

  /** Tells those who follow it, and the parent, of a change. */
  changed(): void {
    this.tellTaken();
    this.wakes.wake();
  }

  #appended(
    work: Extract<Work, { kind: "append" }>,
    answer: Operation,
  ): Appended {
    const first = numberAt(answer, 2);
    const time = numberAt(answer, 3);
    const { events, bytes, publication } = work;
    const entries = events.map((event): LogEntry => ({
      event,
      size: sizeOf(event),
      time,
    }));
    this.#state.add(first, entries, numberAt(answer, 4), numberAt(answer, 5));
    if (publication) this.rememberOwn(publication, first);
    return { first, count: events.length, bytes };
  }

  async #trimmed(): Promise<void> {
    this.#wantsTrim = false;
    const channel = this.#store.link();
    if (!channel || this.h === undefined) return;
    const answer = arrayAt(await channel.ask("trim", [this.h]), 2);
    this.#state.passTo(numberAt(answer, 0), numberAt(answer, 1));
  }
}
