import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { StoredEnd } from "../../topics/end.ts";
import type {
  Appended,
  AppendedPublication,
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
import { LeaseLostError } from "../../topics/lease.ts";
import { StaleWriterError } from "../../topics/store.ts";
import { followLog } from "../follow_log.ts";
import type { LiveLog } from "./live_log.ts";
import { StandingHandle } from "../standing_handle.ts";

/** The parts of a store that a {@linkcode SqliteLog} uses. */
export interface SqliteLogStore {
  /** Reads events. */
  read(
    log: LiveLog,
    from: number,
    budget: ReadBudget,
  ): LogRange | Promise<LogRange>;
  /** Returns what was kept with the events of a publication. */
  publication(log: LiveLog, key: string): string | undefined;
  /** Lists what was kept with the events of publications. */
  publications(log: LiveLog): readonly (readonly [string, string])[];
  /** Takes note of a handle that is not needed any more. */
  release(log: LiveLog): void;
}

/**
 * One writer's handle of a log.
 *
 * It knows up to where it has appended itself. Another writer's events behind that are
 * a reason to refuse its own.
 */
export class SqliteLog extends StandingHandle implements Log {
  readonly #store: SqliteLogStore;
  readonly #log: LiveLog;
  #tail: number | undefined;
  #losses: number;
  #refused: StaleWriterError | undefined;
  #isReleased = false;

  /** Makes a handle. */
  constructor(store: SqliteLogStore, log: LiveLog) {
    super(log);
    this.#store = store;
    this.#log = log;
    this.#losses = log.losses;
    log.handles++;
  }

  append(
    events: readonly ServerSentEvent[],
    options: LogAppendOptions = {},
  ): Promise<Appended> {
    const { expected, publication, lease } = options;
    const error = lease?.isHeld === false
      ? new LeaseLostError(this.#log.name)
      : this.#fence(expected) ?? this.#closed(expected) ??
        this.#anothers(publication);
    if (error) return Promise.reject(error);
    const appended = this.#log.append(events, publication);
    this.#tail = this.#log.tail;
    return appended;
  }

  skip(count: number, reason: GapReason): Promise<void> {
    const error = this.#fence() ?? this.#closed();
    if (error) return Promise.reject(error);
    const skipped = this.#log.skip(count, reason);
    this.#tail = this.#log.tail;
    return skipped;
  }

  end(
    end: StoredEnd,
    { lease }: LogEndOptions = {},
  ): void | Promise<void> {
    if (this.#log.ended) return;
    const error = lease?.isHeld === false
      ? new LeaseLostError(this.#log.name)
      : this.#fence() ?? (this.#log.isGone ? this.#closed() : undefined);
    return error ? Promise.reject(error) : this.#log.end(end);
  }

  update(
    facts: TopicFacts,
    { lease }: LogUpdateOptions = {},
  ): Promise<void> {
    const error = lease?.isHeld === false
      ? new LeaseLostError(this.#log.name)
      : this.#refused ?? (this.#log.isGone ? this.#closed() : undefined);
    return error ? Promise.reject(error) : this.#log.update(facts);
  }

  settled(): void | Promise<void> {
    return this.#log.settled();
  }

  publication(key: string): string | undefined {
    return this.#store.publication(this.#log, key);
  }

  publications(): readonly (readonly [string, string])[] {
    return this.#store.publications(this.#log);
  }

  get holes(): readonly Hole[] {
    return this.#log.holes;
  }

  follow(from: number, signal: AbortSignal): AsyncIterable<LogProgress> {
    return followLog(this.#log, from, signal);
  }

  trim(): void {
    this.#log.trim();
  }

  read(from: number, budget: ReadBudget): LogRange | Promise<LogRange> {
    return this.#store.read(this.#log, from, budget);
  }

  holeAt(offset: number): Hole | undefined {
    return this.#log.holeAt(offset);
  }

  [Symbol.dispose](): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#log.handles--;
    this.#store.release(this.#log);
  }

  /** Returns why this handle may not write any more: another one was first. */
  #fence(expected?: number): StaleWriterError | undefined {
    if (this.#refused) return this.#refused;
    const { losses, tail, name } = this.#log;
    // Events that the file did not keep were not appended: the tail is known
    // anew.
    if (this.#losses !== losses) {
      this.#losses = losses;
      this.#tail = undefined;
    }
    const own = expected ?? this.#tail ?? tail;
    if (own === tail) return undefined;
    return this.#refused = new StaleWriterError(name, own, tail);
  }

  /** Returns why a publication is not added: another writer was first with it. */
  #anothers(
    publication: AppendedPublication | undefined,
  ): StaleWriterError | undefined {
    if (!publication?.before) return undefined;
    const { key, before: { value } } = publication;
    const kept = this.#log.publicationUnderWay(key) ?? this.publication(key);
    if (kept === undefined || kept === value) return undefined;
    const { name, tail } = this.#log;
    return new StaleWriterError(name, tail, tail);
  }

  #closed(expected = this.#log.tail): StaleWriterError | undefined {
    const { isClosed, name } = this.#log;
    if (!isClosed) return undefined;
    return this.#refused = new StaleWriterError(name, expected, undefined);
  }
}
