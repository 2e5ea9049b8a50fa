// A store that has to fetch topics, as one does that other processes share.
import type {
  CancelAnswer,
  Lease,
  LeaseRequest,
  ListQuery,
  Log,
  PrepareOptions,
  Store,
  StoredTopic,
  TopicFacts,
  TopicNews,
  WatchQuery,
} from "../../../../relay/mod.ts";

function delay(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

/** Knows nothing of a topic of another store that was not prepared. */
export class FetchedStore implements Store {
  readonly failure = undefined;
  readonly isLasting: boolean;
  readonly isShared = true;
  readonly #store: Store;
  readonly #atHand = new Set<string>();

  constructor(store: Store) {
    this.#store = store;
    this.isLasting = store.isLasting;
  }

  open(): Promise<void> {
    return this.#store.open();
  }

  async prepare(name: string, { makes }: PrepareOptions): Promise<void> {
    await delay();
    if (!this.#store.find(name) && makes) {
      this.#store.create(name, { isOpen: false, isAwaited: true });
    }
    this.#atHand.add(name);
  }

  create(name: string, facts: TopicFacts): Log {
    this.#atHand.add(name);
    return this.#store.create(name, facts);
  }

  find(name: string, epoch?: string): Log | undefined {
    return this.#atHand.has(name) ? this.#store.find(name, epoch) : undefined;
  }

  async list(query: ListQuery): Promise<readonly StoredTopic[]> {
    await delay();
    return await this.#store.list(query);
  }

  async listUnended(query: ListQuery): Promise<readonly StoredTopic[]> {
    await delay();
    return await this.#store.listUnended(query);
  }

  watch(query: WatchQuery, signal: AbortSignal): AsyncIterable<TopicNews> {
    return this.#store.watch(query, signal);
  }

  async hold(request: LeaseRequest): Promise<Lease> {
    await delay();
    return await this.#store.hold(request);
  }

  async cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): Promise<CancelAnswer> {
    await delay();
    return await this.#store.cancel(name, epoch, reason);
  }

  async delete(name: string, epoch: string): Promise<void> {
    await delay();
    await this.#store.delete(name, epoch);
  }

  async deleteEnded(before: number): Promise<void> {
    await this.#store.deleteEnded(before);
  }

  async get(bucket: string, key: string): Promise<string | undefined> {
    await delay();
    return await this.#store.get(bucket, key);
  }

  async put(
    bucket: string,
    key: string,
    value: string,
    expires: number,
  ): Promise<void> {
    await delay();
    await this.#store.put(bucket, key, value, expires);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
