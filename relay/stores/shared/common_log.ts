import type { Clock } from "../../../src/fetch/clock.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { StoredEnd } from "../../topics/end.ts";
import { type Lease, LeaseLostError } from "../../topics/lease.ts";
import type {
  Appended,
  GapReason,
  Hole,
  Log,
  LogAppendOptions,
  LogEndOptions,
  LogProgress,
  LogRange,
  LogUpdateOptions,
  ReadBudget,
  TopicFacts,
} from "../../topics/log.ts";
import { type LogName, StaleWriterError } from "../../topics/store.ts";
import { type Stored, whenStored } from "../../topics/stored.ts";
import type { UpstreamState } from "../../topics/upstream_state.ts";
import { followLog, Wakes } from "../follow_log.ts";
import { Pace, type Pacer, withWaiting } from "../pace.ts";
import { StandingHandle } from "../standing_handle.ts";

/** The events that a {@linkcode CommonLog} reports to its store. */
export interface CommonLogStore {
  readonly clock: Clock;
  /** Whether somebody fills a log. */
  isHeld(log: LogName): boolean;
  /** Called with the facts of a log that has others now. */
  onUpdated(log: CommonLog): void;
  /** Called when nobody has a handle any more. */
  onReleased(log: CommonLog): void;
}

/**
 * A log of a private store that several relays write to: one handle of the store for all
 * of them, since a store takes two handles for two writers of which one is wrong.
 */
export class CommonLog {
  /** The name of the topic. */
  readonly name: string;
  /** The log, as the private store has it. */
  readonly inner: Log;
  /** Wakes with each change. */
  readonly wakes = new Wakes();
  /** The number of handles. */
  handles = 0;
  /** Whether the topic was deleted. */
  isGone = false;
  /** Whether writes from before the deletion are under way. */
  isBusy = false;
  /** The state of its filler's upstream. */
  upstream: UpstreamState | undefined;
  readonly store: CommonLogStore;
  /** The places of the relays that read it. */
  readonly pace: Pace;
  /** The appends and holes that are under way. */
  #underWay = 0;
  /** The offset after what is under way. */
  #tail = 1;
  /** The newest of what is under way. */
  #newest: Promise<unknown> | undefined;
  /** The facts after what is under way. */
  #facts: TopicFacts | undefined;

  constructor(store: CommonLogStore, name: string, inner: Log) {
    this.store = store;
    this.name = name;
    this.inner = inner;
    this.pace = new Pace(withWaiting(inner, () => this.tail), store.clock);
  }

  get next(): number {
    return this.inner.next;
  }

  get facts(): TopicFacts {
    return this.inner.facts;
  }

  get ended(): StoredEnd | undefined {
    return this.inner.ended;
  }

  /** The offset that the next event to be appended will have. */
  get tail(): number {
    return this.#underWay === 0 ? this.inner.next : this.#tail;
  }

  /** Has offsets taken at the end, and tells of them when the store has them. */
  take<T>(count: number, act: () => Stored<T>): Stored<T> {
    this.#tail = this.tail + count;
    this.#underWay++;
    let taken: Stored<T>;
    try {
      taken = act();
    } catch (error) {
      this.#underWay--;
      throw error;
    }
    if (!(taken instanceof Promise)) {
      this.#underWay--;
      this.changed();
      return taken;
    }
    const settled = taken.finally(() => {
      this.#underWay--;
      if (this.#newest === settled) this.#newest = undefined;
      this.changed();
    });
    this.#newest = settled;
    return settled;
  }

  /** Resolves once all that is under way now is kept or refused; `undefined` for nothing. */
  appended(): Promise<void> | undefined {
    // Whoever has appended it hears of a failure.
    return this.#newest?.then(() => {}, () => {});
  }

  /** Keeps facts: of several relays that change some at once, none undoes what others do. */
  update(
    facts: TopicFacts,
    changes: Partial<TopicFacts> | undefined,
  ): Stored<void> {
    const all = changes ? { ...this.#facts ?? this.facts, ...changes } : facts;
    const kept = this.inner.update(all);
    if (!(kept instanceof Promise)) return kept;
    this.#facts = all;
    return kept.finally(() => {
      if (this.#facts === all) this.#facts = undefined;
    });
  }

  /** Tells those who listen that something is different. */
  changed(): void {
    this.wakes.wake();
  }

  /** Calls a listener with each change. */
  onChange(listener: () => void): () => void {
    return this.wakes.listen(listener);
  }

  /** The topic was deleted. */
  bury(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.pace.close();
    void this.#rest();
    this.changed();
  }

  /** Waits for the writes from before the deletion. */
  async #rest(): Promise<void> {
    const settled = this.inner.settled();
    if (!(settled instanceof Promise)) return;
    this.isBusy = true;
    // Who has told it hears of a failure.
    await settled.catch(() => {});
    this.isBusy = false;
    this.changed();
  }
}

/** One writer's handle of a log that several relays write to. */
export class CommonLogHandle extends StandingHandle implements Log {
  readonly #common: CommonLog;
  readonly #inner: Log;
  #refused: StaleWriterError | undefined;
  #isReleased = false;
  #pacer: Pacer | undefined;
  readonly clear?: () => void;
  readonly skip?: (count: number, reason: GapReason) => Stored<void>;
  readonly holeAt?: (offset: number) => Hole | undefined;
  readonly publications?: () => Iterable<readonly [string, string]>;

  constructor(common: CommonLog) {
    super(common.inner);
    this.#common = common;
    const inner = this.#inner = common.inner;
    common.handles++;
    // Not there where the store's are not.
    if (inner.clear) this.clear = () => inner.clear?.();
    if (inner.skip) this.skip = (...hole) => this.#skip(...hole);
    if (inner.holeAt) this.holeAt = (offset) => inner.holeAt?.(offset);
    if (inner.publications) {
      this.publications = () => inner.publications?.() ?? [];
    }
  }

  get holes(): readonly Hole[] {
    return this.#inner.holes ?? [];
  }

  get upstream(): UpstreamState | undefined {
    return this.#common.upstream;
  }

  tellUpstream(upstream: UpstreamState): void {
    this.#common.upstream = upstream;
    this.#common.changed();
  }

  append(
    events: readonly ServerSentEvent[],
    { expected, publication, lease }: LogAppendOptions = {},
  ): Stored<Appended> {
    const { tail, name } = this.#common;
    if (lease?.isHeld === false) {
      return Promise.reject(new LeaseLostError(name));
    }
    const error = this.#refusal(expected);
    if (error) return Promise.reject(error);
    const own = publication && {
      ...publication,
      value: publication.valueAt?.(tail) ?? publication.value,
      valueAt: undefined,
    };
    return this.#common.take(
      events.length,
      () => this.#inner.append(events, own && { publication: own }),
    );
  }

  end(end: StoredEnd, { lease }: LogEndOptions = {}): Stored<void> {
    if (this.#inner.ended) return;
    const error = lease?.isHeld === false
      ? new LeaseLostError(this.#common.name)
      : this.#refusal();
    if (error) return Promise.reject(error);
    return this.#told(this.#inner.end(end));
  }

  update(
    facts: TopicFacts,
    { lease, changes }: LogUpdateOptions = {},
  ): Stored<void> {
    const error = lease?.isHeld === false
      ? new LeaseLostError(this.#common.name)
      : this.#refusal();
    if (error) return Promise.reject(error);
    const { store } = this.#common;
    // The writer does not know yet that another relay fills the topic.
    if ((changes ?? facts).isAwaited && this.#isTakenBy(lease)) return;
    return whenStored(this.#told(this.#common.update(facts, changes)), () => {
      store.onUpdated(this.#common);
    });
  }

  settled(): Stored<void> {
    return this.#inner.settled();
  }

  publication(key: string): string | undefined {
    return this.#inner.publication(key);
  }

  follow(from: number, signal: AbortSignal): AsyncIterable<LogProgress> {
    return followLog(this.#common, from, signal);
  }

  onChange(listener: () => void): () => void {
    return this.#common.onChange(listener);
  }

  get caughtUp(): Promise<void> | undefined {
    return this.#common.pace.caughtUp;
  }

  taken(offset: number): void {
    const { pace } = this.#common;
    if (this.#pacer) pace.took(this.#pacer, offset);
    else if (!this.#isReleased) this.#pacer = pace.join(offset);
  }

  read(from: number, budget: ReadBudget): LogRange | Promise<LogRange> {
    return this.#inner.read(from, budget);
  }

  trim(): void {
    this.#inner.trim();
  }

  [Symbol.dispose](): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#pacer) this.#common.pace.leave(this.#pacer);
    this.#common.handles--;
    if (this.#common.handles === 0) {
      this.#common.store.onReleased(this.#common);
    }
  }

  #skip(count: number, reason: GapReason): Stored<void> {
    const error = this.#refusal();
    if (error) return Promise.reject(error);
    return this.#common.take(count, () => this.#inner.skip?.(count, reason));
  }

  #told(done: Stored<void>): Stored<void> {
    return whenStored(done, () => this.#common.changed());
  }

  /** Whether the topic has events or an end, or a holder of another lease fills it. */
  #isTakenBy(lease: Lease | undefined): boolean {
    const { tail, ended, name, inner: { epoch }, store } = this.#common;
    return tail > 1 || ended !== undefined ||
      !lease && store.isHeld({ name, epoch });
  }

  /** Returns why this writer may not write: another one was first. */
  #refusal(expected?: number): StaleWriterError | undefined {
    if (this.#refused) return this.#refused;
    const { tail, name, isGone } = this.#common;
    if (isGone) {
      return this.#refused = new StaleWriterError(
        name,
        expected ?? tail,
        undefined,
      );
    }
    if (expected === undefined || expected === tail) return undefined;
    const next = this.#inner.ended ? undefined : tail;
    return this.#refused = new StaleWriterError(name, expected, next);
  }
}
