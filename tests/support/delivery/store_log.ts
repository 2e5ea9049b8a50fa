import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import type {
  Appended,
  Log,
  LogAppendOptions,
  LogEndOptions,
  LogProgress,
  LogRange,
  LogUpdateOptions,
  ReadBudget,
  TopicFacts,
} from "../../../relay/topics/log.ts";
import type { Stored } from "../../../relay/topics/stored.ts";
import type { StoredEnd } from "../../../relay/topics/end.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { FakeClock } from "../../../src/testing/fake_clock.ts";
import { DEFAULT_RETENTION } from "../retention.ts";

/** A log of a store that tests hold up: to be subclassed. Of itself it does all at once. */
export class StoreLog implements Log {
  /** The log behind it. */
  readonly memory: MemoryLog;

  /** Makes an empty log. */
  constructor(clock: FakeClock) {
    this.memory = new MemoryLog(DEFAULT_RETENTION, clock);
  }

  get epoch(): string {
    return this.memory.epoch;
  }

  get createdAt(): number {
    return this.memory.createdAt;
  }

  get first(): number {
    return this.memory.first;
  }

  get next(): number {
    return this.memory.next;
  }

  get bytes(): number {
    return this.memory.bytes;
  }

  get facts(): TopicFacts {
    return this.memory.facts;
  }

  get ended(): StoredEnd | undefined {
    return this.memory.ended;
  }

  get lastId(): string {
    return this.memory.lastId;
  }

  append(
    events: readonly ServerSentEvent[],
    options?: LogAppendOptions,
  ): Stored<Appended> {
    return this.memory.append(events, options);
  }

  read(from: number, budget: ReadBudget): Stored<LogRange> {
    return this.memory.read(from, budget);
  }

  end(end: StoredEnd, options?: LogEndOptions): Stored<void> {
    this.memory.end(end, options);
  }

  update(facts: TopicFacts, options?: LogUpdateOptions): Stored<void> {
    this.memory.update(facts, options);
  }

  settled(): Stored<void> {}

  publication(key: string): string | undefined {
    return this.memory.publication(key);
  }

  follow(from: number, signal: AbortSignal): AsyncIterable<LogProgress> {
    return this.memory.follow(from, signal);
  }

  trim(): void {}

  [Symbol.dispose](): void {}
}

/** A {@linkcode StoreLog} that keeps what it was told when the test says so, in order. */
export class HeldLog extends StoreLog {
  readonly #waiting: {
    readonly keep: () => void;
    readonly refuse: (error: unknown) => void;
  }[] = [];

  /** The number of calls that are under way. */
  get waiting(): number {
    return this.#waiting.length;
  }

  override append(
    events: readonly ServerSentEvent[],
    options?: LogAppendOptions,
  ): Promise<Appended> {
    return this.#hold(() => this.memory.append(events, options));
  }

  override end(end: StoredEnd): Promise<void> {
    return this.#hold(() => this.memory.end(end));
  }

  override update(facts: TopicFacts): Promise<void> {
    return this.#hold(() => this.memory.update(facts));
  }

  /** Keeps what the next calls have told. */
  keep(count = Infinity): void {
    for (const { keep } of this.#waiting.splice(0, count)) keep();
  }

  /** Refuses all that is under way. */
  refuse(error: unknown): void {
    for (const { refuse } of this.#waiting.splice(0)) refuse(error);
  }

  #hold<T>(keep: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.push({ keep: () => resolve(keep()), refuse: reject });
    return promise;
  }
}
