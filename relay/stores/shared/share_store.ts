import { getLogger } from "@logtape/logtape";
import { abortable } from "../../../src/fetch/abortable.ts";
import type { Clock } from "../../../src/fetch/clock.ts";
import { messageOf } from "../../../src/fetch/message_of.ts";
import { formerName } from "../../topics/former_topics.ts";
import type { CancelAnswer, Lease, LeaseRequest } from "../../topics/lease.ts";
import type { Log, TopicFacts } from "../../topics/log.ts";
import { isOnlyAwaited } from "../../topics/only_awaited.ts";
import {
  type ListQuery,
  type LogName,
  StaleWriterError,
  type Store,
  type StoredTopic,
  type StoreError,
  type TopicNews,
  type WatchQuery,
} from "../../topics/store.ts";
import { type Stored, whenStored } from "../../topics/stored.ts";
import { Wakes } from "../follow_log.ts";
import { Census, type TopicLimits } from "./census.ts";
import {
  CommonLog,
  CommonLogHandle,
  type CommonLogStore,
} from "./common_log.ts";
import { TrackedLeases } from "./tracked_leases.ts";

/** The settings for sharing a private store. */
export interface ShareOptions {
  readonly clock: Clock;
  /** The most topics of all relays. Default: any number. */
  readonly limits?: TopicLimits | undefined;
  /**
   * The time that relays have after a start to say what they still fill, in milliseconds.
   * Default: a lease of theirs, and the longest wait before they connect again.
   */
  readonly grace?: number | undefined;
}

/** The time between two searches for fillers that are gone, in milliseconds. */
const LOOK_INTERVAL = 500;

/**
 * The time that relays have after a start to say what they still fill, in milliseconds:
 * a lease of theirs, and the longest wait before they connect again.
 */
const GRACE = 10_000;

/**
 * The time after which orphans that nobody has taken over are reported again,
 * in milliseconds.
 */
const ORPHANS_INTERVAL = 15_000;

/** The topics of a page. */
const PAGE = 1_000;

const logger = getLogger(["rivulet", "relay", "store"]);

/**
 * Returns a store that relays can share, by links to this process: one that is shared
 * already as it is, whose writers wait for them, and a private one with what it lacks.
 */
export function shareStore(store: Store, options: ShareOptions): Store {
  if (!store.isShared) return new SharedStore(store, options);
  store.paceReaders?.();
  return store;
}

/** A claim that the store may not have yet. */
interface Claim {
  readonly value: string;
  readonly expires: number;
}

/** A private store, as the process that has it shares it with other relays. */
class SharedStore implements Store {
  readonly isShared = true;
  readonly #store: Store;
  readonly #grace: number;
  readonly #clock: Clock;
  readonly #census: Census;
  readonly #leases: TrackedLeases;
  readonly #logs = new Map<string, CommonLog>();
  readonly #heard = new Map<string, Set<() => void>>();
  readonly #claims = new Map<string, Claim>();
  readonly #orphans = new Map<string, LogName>();
  readonly #orphaned = new Wakes();
  readonly #closing = new AbortController();
  #cancelLook: () => void = () => {};
  #cancelGrace: () => void = () => {};
  readonly #logStore: CommonLogStore;

  constructor(
    store: Store,
    { clock, limits = {}, grace = GRACE }: ShareOptions,
  ) {
    this.#store = store;
    this.#grace = grace;
    this.#clock = clock;
    this.#census = new Census(limits, !store.isLasting);
    this.#leases = new TrackedLeases({
      clock,
      onOrphan: (log) => this.#addOrphan(log),
    });
    this.#logStore = {
      clock,
      isHeld: (log) => this.#leases.isHeld(log),
      onUpdated: ({ name, facts }) => this.#census.add(name, facts.owner),
      onReleased: (log) => this.#onReleased(log),
    };
  }

  get failure(): StoreError | undefined {
    return this.#store.failure;
  }

  get isLasting(): boolean {
    return this.#store.isLasting;
  }

  /** The counters and sizes of the store, if it has any. */
  get counts(): unknown {
    return (this.#store as { readonly counts?: unknown }).counts;
  }

  async open(): Promise<void> {
    await this.#store.open();
    void this.#count();
    this.#scheduleLook();
    if (this.isLasting) await this.#expectFillers();
  }

  create(name: string, facts: TopicFacts, epoch?: string): Log {
    this.#assertFree(name, facts);
    const inner = this.#store.create(name, facts, epoch);
    this.#census.add(name, facts.owner);
    const log = this.#handle(name, inner);
    this.#tell(name);
    return log;
  }

  find(name: string, epoch?: string): Log | undefined {
    const inner = this.#store.find(name, epoch);
    return inner && this.#handle(name, inner);
  }

  list(query: ListQuery): Stored<readonly StoredTopic[]> {
    return this.#store.list(query);
  }

  listUnended(query: ListQuery): Stored<readonly StoredTopic[]> {
    return this.#store.listUnended(query);
  }

  watch(query: WatchQuery, signal: AbortSignal): AsyncIterable<TopicNews> {
    return this.#store.watch(query, signal);
  }

  hear(name: string, listener: () => void): () => void {
    let listeners = this.#heard.get(name);
    if (!listeners) this.#heard.set(name, listeners = new Set());
    const heard = listeners;
    heard.add(listener);
    return () => {
      heard.delete(listener);
      if (heard.size === 0 && this.#heard.get(name) === heard) {
        this.#heard.delete(name);
      }
    };
  }

  hold(request: LeaseRequest): Stored<Lease> {
    const { topic, epoch, part } = request;
    const lease = this.#leases.hold(request);
    if (part === undefined) this.#orphans.delete(epoch);
    const appended = this.#logs.get(formerName(topic, epoch))?.appended();
    return appended ? appended.then(() => lease) : lease;
  }

  cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): Stored<CancelAnswer> {
    return this.#leases.cancel(name, epoch, reason);
  }

  delete(name: string, epoch: string): Stored<void> {
    const deleted = this.#store.delete(name, epoch);
    const key = formerName(name, epoch);
    this.#logs.get(key)?.bury();
    this.#logs.delete(key);
    this.#orphans.delete(epoch);
    using left = this.#store.find(name);
    if (!left) this.#census.remove(name);
    this.#tell(name);
    return whenStored(deleted, () => this.#tell(name));
  }

  async letGo(name: string, epoch: string): Promise<void> {
    const log = this.#logs.get(formerName(name, epoch));
    if (log && log.handles > 0) return;
    using found = this.#store.find(name, epoch);
    if (!found || !isOnlyAwaited(found)) return;
    await this.delete(name, epoch);
  }

  deleteEnded(before: number): Stored<void> {
    return whenStored(this.#store.deleteEnded(before), () => {
      for (const [key, log] of this.#logs) {
        const { ended, inner } = log;
        if (!ended || ended.at > before) continue;
        this.#logs.delete(key);
        log.bury();
        inner[Symbol.dispose]();
      }
    });
  }

  get(bucket: string, key: string): Stored<string | undefined> {
    return this.#store.get(bucket, key);
  }

  put(
    bucket: string,
    key: string,
    value: string,
    expires: number,
  ): Stored<void> {
    return this.#store.put(bucket, key, value, expires);
  }

  async claim(
    bucket: string,
    key: string,
    value: string,
    expires: number,
    instead?: string,
  ): Promise<string | undefined> {
    const own = `${bucket}\0${key}`;
    for (;;) {
      const claimed = this.#claims.get(own);
      const isHeld = claimed && claimed.expires > this.#clock.now();
      if (isHeld && claimed.value !== instead) return claimed.value;
      const known = this.#store.get(bucket, key);
      const found = known instanceof Promise ? await known : known;
      if (found !== undefined && found !== instead) return found;
      if (this.#claims.get(own) !== claimed) continue;
      // Until the store has it, it is known here.
      const claim = { value, expires };
      this.#claims.set(own, claim);
      try {
        await this.#store.put(bucket, key, value, expires);
        return undefined;
      } finally {
        if (this.#claims.get(own) === claim) this.#claims.delete(own);
      }
    }
  }

  async *orphans(signal: AbortSignal): AsyncGenerator<LogName, void> {
    for (;;) {
      signal.throwIfAborted();
      for (const [epoch, log] of [...this.#orphans]) {
        if (this.#isOrphan(log)) yield log;
        else this.#orphans.delete(epoch);
      }
      let stop = (): void => {};
      const later = new Promise<void>((resolve) => {
        stop = this.#clock.setTimeout(resolve, ORPHANS_INTERVAL);
      });
      try {
        const next = Promise.race([this.#orphaned.next, later]);
        await abortable(next, signal);
      } finally {
        stop();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#cancelLook();
    this.#cancelGrace();
    for (const { inner } of this.#logs.values()) inner[Symbol.dispose]();
    this.#logs.clear();
    await this.#store[Symbol.asyncDispose]();
  }

  /** Checks that a log may have a name: of several relays that make one, one is first. */
  #assertFree(name: string, { follows, owner }: TopicFacts): void {
    using current = this.#store.find(name);
    if (!current) return this.#census.assertRoom(name, owner);
    if (current.epoch === follows && current.ended) return;
    throw new StaleWriterError(name, 1, undefined);
  }

  /** Returns a handle of a log that the store has. */
  #handle(name: string, inner: Log): Log {
    const key = formerName(name, inner.epoch);
    let log = this.#logs.get(key);
    if (log && log.inner !== inner) inner[Symbol.dispose]();
    if (!log) {
      this.#logs.set(key, log = new CommonLog(this.#logStore, name, inner));
    }
    return new CommonLogHandle(log);
  }

  #onReleased(log: CommonLog): void {
    const key = formerName(log.name, log.inner.epoch);
    if (this.#logs.get(key) !== log) return;
    this.#logs.delete(key);
    log.inner[Symbol.dispose]();
  }

  #tell(name: string): void {
    for (const listener of this.#heard.get(name) ?? []) listener();
  }

  /** Counts the topics that there are, and hears of those that go by themselves. */
  async #count(): Promise<void> {
    const { signal } = this.#closing;
    try {
      const query = { prefix: "", limit: PAGE };
      for await (const news of this.#store.watch(query, signal)) {
        switch (news.kind) {
          case "reset":
            this.#census.clear();
            break;
          case "listed":
            for (const topic of news.topics) this.#census.tell(topic);
            break;
          case "made":
          case "ended":
            this.#census.tell(news.topic);
            break;
          case "deleted":
            this.#census.remove(news.name);
            this.#tell(news.name);
            break;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      logger.error("Stopped counting topics: {reason}", {
        reason: messageOf(error),
      });
    }
  }

  /** Waits for those who filled topics before this process, and takes what they left for orphans. */
  async #expectFillers(): Promise<void> {
    const left: LogName[] = [];
    for (let after = "";;) {
      const page = await this.#store.listUnended({
        after,
        prefix: "",
        limit: PAGE,
      });
      const last = page.at(-1);
      if (!last) break;
      after = last.name;
      for (const { name, epoch, facts } of page) {
        if (facts.isAwaited || facts.filling !== undefined) {
          left.push({ name, epoch });
        }
      }
    }
    if (left.length === 0) return;
    this.#cancelGrace = this.#clock.setTimeout(() => {
      for (const log of left) void this.#expected(log);
    }, this.#grace);
  }

  async #expected(log: LogName): Promise<void> {
    const { name, epoch } = log;
    try {
      using found = this.#store.find(name, epoch);
      if (!found || found.ended) return;
      if (found.facts.isAwaited) await this.letGo(name, epoch);
      else if (!this.#leases.isHeld(log)) this.#addOrphan(log);
    } catch (error) {
      // It is told of again after the next start.
      if (error instanceof StaleWriterError) return;
      logger.warn("Cannot look up topic {topic}: {reason}", {
        topic: name,
        reason: messageOf(error),
      });
    }
  }

  #addOrphan(log: LogName): void {
    this.#orphans.set(log.epoch, log);
    this.#orphaned.wake();
  }

  #isOrphan(log: LogName): boolean {
    if (this.#leases.isHeld(log)) return false;
    using found = this.#store.find(log.name, log.epoch);
    return found !== undefined && !found.ended;
  }

  #scheduleLook(): void {
    this.#cancelLook = this.#clock.setTimeout(() => {
      this.#leases.look();
      this.#scheduleLook();
    }, LOOK_INTERVAL);
  }
}
