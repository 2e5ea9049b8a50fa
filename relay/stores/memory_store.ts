import type { Clock } from "../../src/fetch/clock.ts";
import { formerName } from "../topics/former_topics.ts";
import type { CancelAnswer, Lease, LeaseRequest } from "../topics/lease.ts";
import type { Log, Retention, TopicFacts } from "../topics/log.ts";
import type {
  ListQuery,
  Store,
  StoredTopic,
  TopicNews,
  WatchQuery,
} from "../topics/store.ts";
import { describeLog } from "../topics/describe_log.ts";
import { MemoryLog } from "./memory_log.ts";
import { PrivateLeases } from "./private_leases.ts";
import { SortedNames } from "./sorted_names.ts";
import { Watchers } from "./watchers.ts";

/** A value of a bucket, and the time when it is forgotten. */
interface Value {
  readonly value: string;
  readonly expires: number;
}

/** The number of values at which those that have expired are looked for. */
const MIN_SWEEP = 1_000;

/** A {@linkcode Store} in the memory of the process: it does not outlive it. */
export class MemoryStore implements Store {
  readonly failure = undefined;
  readonly isLasting = false;
  readonly #retention: Retention;
  readonly #clock: Clock;
  readonly #logs = new Map<string, MemoryLog>();
  /** Logs whose names stand for newer ones, by their own. */
  readonly #former = new Map<string, MemoryLog>();
  readonly #names = new SortedNames(this.#logs);
  readonly #values = new Map<string, Value>();
  readonly #leases: PrivateLeases;
  readonly #watchers = new Watchers();
  #sweepAt = MIN_SWEEP;

  /** Makes an empty store, whose logs keep this much. */
  constructor(retention: Retention, clock: Clock) {
    this.#retention = retention;
    this.#clock = clock;
    this.#leases = new PrivateLeases(clock);
  }

  async open(): Promise<void> {}

  create(name: string, facts: TopicFacts, epoch?: string): Log {
    const made = epoch === undefined
      ? undefined
      : { epoch, createdAt: this.#clock.now() };
    const log = new MemoryLog(this.#retention, this.#clock, name, facts, made);
    const before = this.#logs.get(name);
    if (before && before.epoch === facts.follows) {
      this.#former.set(formerName(name, before.epoch), before);
    }
    this.#logs.set(name, log);
    this.#names.changed();
    log.onEnded = () => {
      // A topic that was deleted is told of no more.
      if (this.#logs.get(name) !== log) return;
      this.#watchers.tell("ended", () => describeLog(name, log));
    };
    this.#watchers.tell("made", () => describeLog(name, log));
    return log;
  }

  find(name: string, epoch?: string): Log | undefined {
    const log = this.#logs.get(name);
    return epoch === undefined || log?.epoch === epoch
      ? log
      : this.#former.get(formerName(name, epoch));
  }

  list(query: ListQuery): StoredTopic[] {
    return this.#list(query, () => true);
  }

  listUnended(query: ListQuery): StoredTopic[] {
    return this.#list(query, ({ ended }) => ended === undefined);
  }

  watch(
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncIterable<TopicNews> {
    return this.#watchers.watch((page) => this.list(page), query, signal);
  }

  hold(request: LeaseRequest): Lease {
    return this.#leases.hold(request);
  }

  cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): CancelAnswer | Promise<CancelAnswer> {
    return this.#leases.cancel(name, epoch, reason);
  }

  delete(name: string, epoch: string): void {
    const log = this.#logs.get(name);
    if (log?.epoch !== epoch) {
      const key = formerName(name, epoch);
      this.#former.get(key)?.bury();
      return void this.#former.delete(key);
    }
    this.#logs.delete(name);
    log.bury();
    this.#names.changed();
    const former = formerName(name, log.facts.follows ?? "");
    const before = this.#former.get(former);
    if (!before) return this.#watchers.deleted(name);
    this.#former.delete(former);
    this.#logs.set(name, before);
    this.#watchers.tell("ended", () => describeLog(name, before));
  }

  deleteEnded(before: number): void {
    for (const [key, log] of this.#former) {
      if (!log.ended || log.ended.at > before) continue;
      this.#former.delete(key);
      log.bury();
    }
    let isChanged = false;
    for (const [name, log] of this.#logs) {
      const { ended } = log;
      if (!ended || ended.at > before) continue;
      this.#remove(name, log);
      isChanged = true;
    }
    if (isChanged) this.#names.changed();
  }

  get(bucket: string, key: string): string | undefined {
    const known = this.#values.get(keyOf(bucket, key));
    return known && known.expires > this.#clock.now() ? known.value : undefined;
  }

  put(bucket: string, key: string, value: string, expires: number): void {
    if (this.#values.size >= this.#sweepAt) this.#sweep();
    this.#values.set(keyOf(bucket, key), { value, expires });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#logs.clear();
    this.#former.clear();
    this.#values.clear();
    this.#names.changed();
    return Promise.resolve();
  }

  #remove(name: string, log: MemoryLog): void {
    this.#logs.delete(name);
    log.bury();
    this.#watchers.deleted(name);
  }

  #list(
    { after, prefix, limit }: ListQuery,
    isWanted: (log: MemoryLog) => boolean,
  ): StoredTopic[] {
    const topics: StoredTopic[] = [];
    for (const name of this.#names.inOrder(after, prefix)) {
      if (topics.length >= limit) break;
      const log = this.#logs.get(name)!; // the names are those of the logs
      if (isWanted(log)) topics.push(describeLog(name, log));
    }
    return topics;
  }

  #sweep(): void {
    const now = this.#clock.now();
    for (const [key, { expires }] of this.#values) {
      if (expires <= now) this.#values.delete(key);
    }
    this.#sweepAt = Math.max(2 * this.#values.size, MIN_SWEEP);
  }
}

function keyOf(bucket: string, key: string): string {
  return `${bucket}\0${key}`;
}
