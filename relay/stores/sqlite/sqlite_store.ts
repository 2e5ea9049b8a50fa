import { getLogger } from "@logtape/logtape";
import { formerName } from "../../topics/former_topics.ts";
import type { CancelAnswer, Lease, LeaseRequest } from "../../topics/lease.ts";
import type {
  Log,
  LogRange,
  ReadBudget,
  TopicFacts,
} from "../../topics/log.ts";
import { createEpoch } from "../../topics/position.ts";
import {
  type ListQuery,
  type Store,
  type StoredTopic,
  StoreError,
  type TopicNews,
  type WatchQuery,
} from "../../topics/store.ts";
import { describeLog } from "../../topics/describe_log.ts";
import { PrivateLeases } from "../private_leases.ts";
import type { StoreCounts } from "../store_counts.ts";
import { Watchers } from "../watchers.ts";
import type { TopicRow } from "./catalog.ts";
import type { Work } from "./committer.ts";
import { storeErrorOf } from "./failures.ts";
import { Housekeeping } from "./housekeeping.ts";
import { LiveLog } from "./live_log.ts";
import type { EvictedLog, Standing } from "./messages.ts";
import { createFile } from "./open_file.ts";
import {
  type OpenStore,
  openStore,
  type SqliteStoreOptions,
} from "./open_store.ts";
import { SqliteLog } from "./sqlite_log.ts";
import { Windows } from "../window.ts";
import { SingleWork } from "./work.ts";

/** The counters and sizes of a store. */
export interface SqliteStoreCounts extends StoreCounts {
  /** The transactions. */
  readonly commits: number;
  /** The operations in them. */
  readonly operations: number;
  /** The bytes of events in them. */
  readonly bytes: number;
  /** The logs that are in use. */
  readonly logs: number;
  /** The bytes of events in memory. */
  readonly windowBytes: number;
}

const WINDOW_BYTES = 64 * 1024 * 1024;

/** The time between two searches for something to remove, in milliseconds. */
const TIDY_INTERVAL = 1_000;

/** The topics that one transaction forgets: it takes some milliseconds. */
const DELETED_AT_A_TIME = 200;

const logger = getLogger(["rivulet", "relay", "store"]);

/** Topics in a file of SQLite. */
export class SqliteStore implements Store {
  readonly isLasting = true;
  readonly #options: SqliteStoreOptions;
  readonly #windows: Windows;
  /** The logs that are in use, by their names among all logs. */
  readonly #live = new Map<string, LiveLog>();
  readonly #byId = new Map<number, LiveLog>();
  /** The ids of topics that are being deleted: the file has them still. */
  readonly #leaving = new Set<number>();
  readonly #leases: PrivateLeases;
  readonly #watchers = new Watchers();
  readonly #housekeeping = new Housekeeping(this.#places());
  #parts: OpenStore | undefined;
  #isClosed = false;
  #lastId = 0;
  #size = 0;
  #cancelTidy: () => void = () => {};
  readonly #counts = {
    commits: 0,
    operations: 0,
    bytes: 0,
    failures: 0,
    evicted: 0,
  };

  /** Makes a store that has yet to be opened. */
  constructor(options: SqliteStoreOptions) {
    this.#options = options;
    this.#leases = new PrivateLeases(options.clock);
    this.#windows = new Windows(options.windowBytes ?? WINDOW_BYTES);
  }

  /** The reason why nothing can be kept now. */
  get failure(): StoreError | undefined {
    return this.#parts?.committer.failure;
  }

  /** The number of logs. */
  get size(): number {
    return this.#size;
  }

  /** The counters and sizes of the store. */
  get counts(): SqliteStoreCounts {
    return {
      ...this.#counts,
      backlog: this.#parts?.committer.backlog ?? 0,
      fileBytes: this.#housekeeping.fileBytes,
      freeBytes: this.#housekeeping.freeBytes,
      logs: this.#byId.size,
      windowBytes: this.#windows.bytes,
    };
  }

  /**
   * Opens the file, made if there is none, and brings it in order.
   *
   * @throws {StoreError} If it cannot be used.
   */
  // deno-lint-ignore require-await -- opening is synchronous here, and not in other stores
  async open(): Promise<void> {
    const opened = openStore(this.#options, {
      housekeeping: this.#housekeeping,
      onStandings: (standings) => this.#stand(standings),
      onEvicted: (logs) => this.#onEvicted(logs),
      onFailure: () => void this.#counts.failures++,
      onCommit: (report) => {
        this.#counts.commits++;
        this.#counts.operations += report.operations;
        this.#counts.bytes += report.bytes;
        this.#options.onCommit?.(report);
      },
    });
    this.#parts = opened;
    this.#size = opened.catalog.count();
    this.#lastId = opened.catalog.lastId();
    this.#scheduleTidy();
  }

  /** Makes a topic. There is none of that name, or it is the one that this one follows. */
  create(
    name: string,
    facts: TopicFacts,
    epoch: string = createEpoch(),
  ): Log {
    this.#open();
    const { follows } = facts;
    const before = follows === undefined
      ? undefined
      : this.#rename(name, formerName(name, follows));
    const held = before && this.#handle(before);
    const now = this.#options.clock.now();
    const row: TopicRow = {
      id: ++this.#lastId,
      name,
      epoch,
      createdAt: now,
      firstAt: undefined,
      lastAt: undefined,
      facts,
      first: 1,
      next: 1,
      bytes: 0,
      end: undefined,
      oldest: undefined,
      lastId: "",
    };
    this.#size++;
    const log = new LiveLog(this.#logStore, row, [], true);
    // Nobody may look for it in the file before the file knows its name.
    if (held) void this.#release(held, log);
    return this.#use(log);
  }

  /** Finds the log of a topic, or a former one. */
  find(name: string, epoch?: string): Log | undefined {
    const log = epoch === undefined
      ? this.#find(name)
      : this.#findEpoch(name, epoch);
    return log && this.#handle(log);
  }

  /** Lists topics. */
  list(query: ListQuery): readonly StoredTopic[] {
    const { catalog } = this.#open();
    return this.#try(() => this.#present(catalog.list(query)));
  }

  /** Lists the topics that have not ended. */
  listUnended(query: ListQuery): readonly StoredTopic[] {
    const { catalog } = this.#open();
    return this.#try(() => this.#present(catalog.listUnended(query)));
  }

  /** Tells what topics there are, and which are made, end or are deleted. */
  watch(
    query: WatchQuery,
    signal: AbortSignal,
  ): AsyncIterable<TopicNews> {
    return this.#watchers.watch((page) => this.list(page), query, signal);
  }

  /** Takes the lease on filling a topic. The file is this process's alone. */
  hold(request: LeaseRequest): Lease {
    return this.#leases.hold(request);
  }

  /** Tells the holder of the lease on a topic to stop. */
  cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): CancelAnswer | Promise<CancelAnswer> {
    return this.#leases.cancel(name, epoch, reason);
  }

  /** Forgets a log and its events: that of a topic, or a former one. */
  delete(name: string, epoch: string): void | Promise<void> {
    this.#open();
    const log = this.#findEpoch(name, epoch);
    return log && this.#remove(log);
  }

  /** Forgets logs that ended before a time, some at a time. */
  async deleteEnded(before: number): Promise<void> {
    for (;;) {
      const { catalog } = this.#open();
      const limit = DELETED_AT_A_TIME + this.#leaving.size;
      const rows = this.#try(() =>
        this.#present(catalog.listEnded(before, limit))
      ).slice(0, DELETED_AT_A_TIME);
      if (rows.length === 0) return;
      await Promise.all(rows.map((row) => this.#remove(row)));
      if (this.#isClosed) return;
    }
  }

  /** Returns a value that was put under a key, unless it has expired. */
  get(bucket: string, key: string): string | undefined {
    const { catalog } = this.#open();
    const now = this.#options.clock.now();
    return this.#try(() => catalog.value(bucket, key, now));
  }

  /** Puts a value under a key. */
  put(
    bucket: string,
    key: string,
    value: string,
    expires: number,
  ): Promise<void> {
    const work = new SingleWork(["put", bucket, key, value, expires], () => {});
    this.#open().committer.add(work);
    return work.result;
  }

  /**
   * Makes a copy of the file as it is now, while the store is in use. When the copy
   * is opened, logs that go on get a new epoch: more was shown of them.
   *
   * @param path The path of the copy. A file that is there is replaced.
   */
  async backup(path: string): Promise<void> {
    const { reader } = this.#open();
    try {
      createFile(path);
      await reader.ask({ kind: "backup", path });
    } catch (error) {
      throw storeErrorOf(path, error);
    }
  }

  /** Writes what is left, and closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    const parts = this.#parts;
    this.#isClosed = true;
    this.#cancelTidy();
    await parts?.close();
    this.#parts = undefined;
  }

  #open(): OpenStore {
    if (this.#parts && !this.#isClosed) return this.#parts;
    throw new StoreError(
      "closed",
      `Cannot use the store ${this.#options.path} as it is not open`,
    );
  }

  #try<T>(look: () => T): T {
    try {
      return look();
    } catch (error) {
      throw storeErrorOf(this.#options.path, error);
    }
  }

  #use(log: LiveLog): Log {
    this.#live.set(log.key, log);
    this.#byId.set(log.id, log);
    return this.#handle(log);
  }

  /** Finds a log by its name among all logs. */
  #find(name: string): LiveLog | undefined {
    const { catalog } = this.#open();
    const live = this.#live.get(name);
    if (live) return live;
    return this.#try(() => {
      const row = catalog.find(name);
      if (!row || this.#leaving.has(row.id)) return undefined;
      const holes = catalog.holes(row.id);
      const log = new LiveLog(this.#logStore, row, holes, false);
      this.#live.set(name, log);
      this.#byId.set(log.id, log);
      return log;
    });
  }

  #findEpoch(name: string, epoch: string): LiveLog | undefined {
    const former = this.#find(formerName(name, epoch));
    if (former) return former;
    const log = this.#find(name);
    if (!log || log.epoch === epoch) return log;
    this.#onIdle(log);
    return undefined;
  }

  async #release(held: Log, until: LiveLog): Promise<void> {
    try {
      await until.settled();
    } catch {
      // The file has the log under the old name still.
    } finally {
      held[Symbol.dispose]();
    }
  }

  /** Gives a log another name, which the file has a moment later. */
  #rename(from: string, to: string): LiveLog | undefined {
    const log = this.#find(from);
    if (!log) return undefined;
    this.#live.delete(from);
    log.key = to;
    this.#live.set(to, log);
    return log;
  }

  #handle(log: LiveLog): Log {
    return new SqliteLog(this.#handleStore, log);
  }

  #present(rows: readonly TopicRow[]): readonly TopicRow[] {
    return this.#leaving.size === 0
      ? rows
      : rows.filter(({ id }) => !this.#leaving.has(id));
  }

  async #remove(
    { id, name, facts: { follows } }: Pick<TopicRow, "id" | "name" | "facts">,
  ): Promise<void> {
    const live = this.#byId.get(id);
    // The row of a former log is named so itself: it gives nothing back.
    const key = live?.key ?? name;
    const former = follows === undefined || key.includes("/")
      ? undefined
      : formerName(key, follows);
    let back: LiveLog | undefined;
    const work = new SingleWork(
      ["delete", id, former === undefined ? null : [former, key]],
      () => this.#tellDeleted(key, back),
      undefined,
      true,
    );
    this.#leaving.add(id);
    this.#size--;
    if (live) this.#part(live);
    if (former !== undefined) back = this.#rename(former, key);
    // Nobody may look for it in the file before the file knows its name.
    using _held = back && this.#handle(back);
    this.#open().committer.add(work);
    try {
      await work.result;
      this.#housekeeping.remind();
    } catch (error) {
      this.#size++;
      // It was left out of lists meanwhile.
      this.#watchers.reset();
      throw error;
    } finally {
      this.#leaving.delete(id);
    }
  }

  /** Tells of a log that was deleted, and of the one that has its name again. */
  #tellDeleted(key: string, back: LiveLog | undefined): void {
    // A former log was in no list.
    if (key.includes("/")) return;
    if (!back) return this.#watchers.deleted(key);
    // Another topic that has its name by now is told of when the file has it.
    if (back.key !== key) return;
    this.#watchers.tell("ended", () => describeLog(key, back));
  }

  /** Takes a deleted log out of use. Those who read it have what is in memory. */
  #part(log: LiveLog): void {
    log.bury();
    this.#live.delete(log.key);
    this.#onIdle(log);
  }

  #onEvicted(evicted: readonly EvictedLog[]): void {
    // A log may have another name by now than the file had for it.
    const logs = evicted.map(([id, name]) => {
      const live = this.#byId.get(id);
      return { live, name: live?.key ?? name };
    });
    const names = logs.map(({ name }) => name);
    this.#size -= names.length;
    this.#counts.evicted += names.length;
    logger.warn(
      "The store is full: deleted {count} ended topics before their time, the oldest first: {names}",
      { count: names.length, names: names.slice(0, 10) },
    );
    for (const { live, name } of logs) {
      if (live) this.#part(live);
      if (!name.includes("/")) this.#watchers.deleted(name);
    }
    this.#options.onEvicted?.(names);
  }

  #stand(standings: readonly Standing[]): void {
    for (const standing of standings) {
      const live = this.#byId.get(standing.id);
      if (live) live.stand(standing);
      else this.#housekeeping.passed(standing.id, standing.first);
    }
  }

  /** A log that nobody uses any more is in the file alone. */
  #onIdle(log: LiveLog): void {
    if (this.#byId.get(log.id) !== log) return;
    const history = this.#parts?.history;
    if (history?.lowestRead(log) !== undefined) return;
    // Handles of a deleted log have what is in memory, and need nothing else.
    if (!log.isGone && (log.handles > 0 || log.isBusy)) return;
    this.#byId.delete(log.id);
    if (this.#live.get(log.key) === log) this.#live.delete(log.key);
    if (!log.isMade && !log.isGone) this.#size--;
    if (log.handles === 0) log.window.clear();
    history?.forget(log);
  }

  #scheduleTidy(): void {
    this.#cancelTidy = this.#options.clock.setTimeout(() => {
      this.#housekeeping.remind();
      this.#parts?.committer.tidy();
      this.#scheduleTidy();
    }, TIDY_INTERVAL);
  }

  #places(): {
    lowestRead: (id: number) => number | undefined;
    readonly held: readonly number[];
  } {
    const lowestRead = (id: number): number | undefined => {
      const log = this.#byId.get(id);
      return log && this.#parts?.history.lowestRead(log);
    };
    const listHeld = (): readonly number[] => {
      const held: number[] = [];
      for (const [id, log] of this.#byId) {
        if (log.isGone && lowestRead(id) !== undefined) held.push(id);
      }
      return held;
    };
    return {
      lowestRead,
      get held() {
        return listHeld();
      },
    };
  }

  get #logStore() {
    // deno-lint-ignore no-this-alias -- the getters below have a `this` of their own
    const store = this;
    return {
      windows: this.#windows,
      maxAge: this.#options.retention.maxAge,
      get failure() {
        return store.failure;
      },
      now: () => this.#options.clock.now(),
      add: (work: Work) => {
        const { committer } = this.#parts ?? {};
        if (committer) return committer.add(work);
        work.failed(new StoreError("closed", "The store was closed"));
      },
      onPassed: (log: LiveLog) => this.#housekeeping.passed(log.id, log.first),
      onIdle: (log: LiveLog) => this.#onIdle(log),
      onNews: (kind: "made" | "ended", log: LiveLog) =>
        this.#watchers.tell(kind, () => describeLog(log.name, log)),
    };
  }

  get #handleStore() {
    return {
      read: (
        log: LiveLog,
        from: number,
        budget: ReadBudget,
      ): LogRange | Promise<LogRange> =>
        this.#open().history.read(log, from, budget),
      publication: (log: LiveLog, key: string): string | undefined => {
        const { catalog } = this.#open();
        return this.#try(() => catalog.publication(log.id, key));
      },
      publications: (log: LiveLog): readonly (readonly [string, string])[] => {
        const { catalog } = this.#open();
        return this.#try(() => catalog.publications(log.id));
      },
      release: (log: LiveLog) => this.#onIdle(log),
    };
  }
}
