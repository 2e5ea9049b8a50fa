import type { Clock } from "../../src/fetch/clock.ts";
import type { Log, Retention, TopicFacts } from "../topics/log.ts";
import type { ListQuery, Store, StoredTopic } from "../topics/store.ts";
import { MemoryLog } from "./memory_log.ts";
import { SortedNames } from "./sorted_names.ts";

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
  readonly #names = new SortedNames(this.#logs);
  readonly #values = new Map<string, Value>();
  #sweepAt = MIN_SWEEP;

  /** Makes an empty store, whose logs keep this much. */
  constructor(retention: Retention, clock: Clock) {
    this.#retention = retention;
    this.#clock = clock;
  }

  async open(): Promise<void> {}

  create(name: string, facts: TopicFacts): Log {
    const log = new MemoryLog(this.#retention, this.#clock, name, facts);
    this.#logs.set(name, log);
    this.#names.changed();
    return log;
  }

  find(name: string): Log | undefined {
    return this.#logs.get(name);
  }

  list(query: ListQuery): StoredTopic[] {
    return this.#list(query, () => true);
  }

  listUnended(query: ListQuery): StoredTopic[] {
    return this.#list(query, ({ ended }) => ended === undefined);
  }

  delete(name: string, epoch: string): void {
    if (this.#logs.get(name)?.epoch !== epoch) return;
    this.#logs.delete(name);
    this.#names.changed();
  }

  deleteEnded(before: number): void {
    let isChanged = false;
    for (const [name, { ended }] of this.#logs) {
      if (!ended || ended.at > before) continue;
      this.#logs.delete(name);
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
    this.#values.clear();
    this.#names.changed();
    return Promise.resolve();
  }

  #list(
    { after, prefix, limit }: ListQuery,
    isWanted: (log: MemoryLog) => boolean,
  ): StoredTopic[] {
    const topics: StoredTopic[] = [];
    for (const name of this.#names.inOrder(after, prefix)) {
      if (topics.length >= limit) break;
      const log = this.#logs.get(name)!; // the names are those of the logs
      if (isWanted(log)) topics.push(describe(name, log));
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

function describe(
  name: string,
  { epoch, createdAt, facts, first, next, bytes, ended }: MemoryLog,
): StoredTopic {
  return { name, epoch, createdAt, facts, first, next, bytes, end: ended };
}
