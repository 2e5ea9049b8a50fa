import { getLogger } from "@logtape/logtape";
import type { Msg } from "@nats-io/transport-node";
import { abortable } from "../../../src/fetch/abortable.ts";
import type { Clock } from "../../../src/fetch/clock.ts";
import { messageOf } from "../../../src/fetch/message_of.ts";
import type { CancelAnswer, Lease, LeaseRequest } from "../../topics/lease.ts";
import { describeLog } from "../../topics/describe_log.ts";
import type { Appended, Log, Retention, TopicFacts } from "../../topics/log.ts";
import { isOnlyAwaited } from "../../topics/only_awaited.ts";
import { createEpoch } from "../../topics/position.ts";
import {
  type ListQuery,
  type LogName,
  type PrepareOptions,
  StaleWriterError,
  type Store,
  type StoredTopic,
  type StoreError,
  type TopicNews,
  type WatchQuery,
} from "../../topics/store.ts";
import { Wakes } from "../follow_log.ts";
import { History } from "../history.ts";
import { type CommitReport, SlowCommits } from "../slow_commits.ts";
import type { StoreCounts } from "../store_counts.ts";
import { Watchers } from "../watchers.ts";
import { Windows } from "../window.ts";
import { AFTER, Bucket } from "./bucket.ts";
import { atMost, Connection, pause } from "./connection.ts";
import { checkRights } from "./hearing.ts";
import { KnownName } from "./known_name.ts";
import { HEADER } from "./log_message.ts";
import { storeErrorOf } from "./failures.ts";
import { NameIndex, type NameNews } from "./name_index.ts";
import { type Names, namesOf } from "./names.ts";
import { removeSubject } from "./remove.ts";
import type { NatsAddress } from "./nats_address.ts";
import { Presence } from "./presence.ts";
import {
  currentOf,
  type NameRecord,
  type RecordedLog,
  withLog,
  withoutEnded,
  withoutGone,
  withoutLog,
} from "./record.ts";
import { SharedLeases } from "./shared_leases.ts";
import { SharedLog, type SharedLogStore } from "./shared_log.ts";
import { SharedLogHandle } from "./shared_log_handle.ts";
import { SharedValues } from "./shared_values.ts";
import { type MadeStreams, prepareStreams, verifyStreams } from "./streams.ts";
import { Summaries } from "./summaries.ts";

/** The address and the limits of a store in JetStream. */
export interface JetStreamStoreOptions {
  readonly address: NatsAddress;
  /** The bounds of each log. */
  readonly retention: Retention;
  readonly clock: Clock;
  /**
   * The time for which NATS is asked again before it counts as away, in
   * milliseconds. Default: 10 s.
   */
  readonly patience?: number;
  /** Called after each message of a log. Default: nobody is told. */
  readonly onCommit?: ((report: CommitReport) => void) | undefined;
}

/** The time for which an unused name stays at hand, in milliseconds. */
const IDLE = 60_000;

/** The most bytes of events of all logs that are in memory. */
const WINDOW_BYTES = 64 * 1024 * 1024;

/**
 * The time for which a log is read again that lacks what a reader has, after it was read
 * once, and between two reads, in milliseconds.
 */
const BEHIND = 5_000;
const BEHIND_INTERVAL = 50;

/** The time between two looks at the names at hand, in milliseconds. */
const LOOK_INTERVAL = 100;

/**
 * The time between two searches for fillers that are gone, in milliseconds. The
 * store also searches when a relay is gone.
 */
const ORPHANS_INTERVAL = 15_000;

/** The same while there are some, in milliseconds: NATS may not have let anybody take them. */
const FOUND_INTERVAL = 5_000;

/** The time that a relay may take to remove the messages of a log, in milliseconds, before another one does. */
const UNFINISHED_AFTER = 30_000;

/** The topics that are described or deleted at a time. */
const AT_A_TIME = 64;

/** The patience for other relays that may have a topic in use, in milliseconds. */
const WHO_TIMEOUT = 500;

const logger = getLogger(["rivulet", "relay", "store"]);

/** A {@linkcode Store} in a stream of NATS JetStream, which relays share. */
export class JetStreamStore implements Store {
  readonly isLasting = true;
  readonly isShared = true;
  readonly #names: Names;
  readonly #retention: Retention;
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #topics: Bucket;
  readonly #values: SharedValues;
  readonly #summaries: Summaries;
  readonly #presence: Presence;
  readonly #leases: SharedLeases;
  readonly #index: NameIndex;
  readonly #watchers = new Watchers();
  readonly #known = new Map<string, KnownName>();
  readonly #orphaned = new Wakes();
  readonly #logStore: SharedLogStore;
  readonly #windows: Windows;
  #cancelLook: () => void = () => {};
  #isDeleting = false;
  #streams: MadeStreams = new Map();
  #removing: Promise<void> | undefined;
  /** The newest place in the stream that was seen: what is made later is behind it. */
  #place = 0;
  #cancels: Disposable | undefined;
  #failures = 0;
  #missed = 0;

  /** Makes a store that is not connected yet. */
  constructor(
    { address, retention, clock, patience, onCommit }: JetStreamStoreOptions,
  ) {
    this.#retention = retention;
    this.#clock = clock;
    const names = this.#names = namesOf(address.prefix);
    const connection = this.#connection = new Connection(address, {
      prepare: async (connected) => {
        await checkRights(connected.nats, names);
        this.#streams = await prepareStreams(connected, names, address);
      },
      verify: (connected) =>
        verifyStreams(connected, this.#streams, {
          name: names.stream,
          place: this.#place,
        }),
      onConnect: () => this.#onConnect(),
      onReconnect: () => this.#onReconnect(),
    }, patience);
    this.#topics = new Bucket(connection, names.topics);
    this.#values = new SharedValues(
      new Bucket(connection, names.values),
      clock,
    );
    this.#summaries = new Summaries(clock);
    const presence = this.#presence = new Presence(names.beats, clock, {
      onGone: () => this.#orphaned.wake(),
      onAhead: (relay, duration) =>
        logger.warn(
          "The clock of relay {relay} is {seconds} s ahead of this one's: set both by NTP, as --max-age and --ttl go by the clocks of relays",
          { relay, seconds: Math.round(duration / 1_000) },
        ),
    });
    this.#leases = new SharedLeases({
      connection,
      names,
      clock,
      presence,
      fence: (...told) => this.#fence(...told),
    });
    this.#index = new NameIndex(connection, names.topics, clock, {
      onChanged: (news) => this.#onChanged(news),
      onReset: () => this.#watchers.reset(),
    });
    const slow = new SlowCommits(
      "NATS is slow: {count} messages took {limit} ms or more, the longest {longest} ms",
      clock,
    );
    const windows = this.#windows = new Windows(WINDOW_BYTES);
    this.#logStore = {
      connection,
      stream: names.stream,
      retention: this.#retention,
      clock,
      windows,
      isPaced: false,
      history: new History({
        name: names.stream,
        load: (log, from, bytes) => log.fetch(from, bytes),
        errorOf: (error) => storeErrorOf(error, connection.servers),
      }),
      onEnded: (log) => this.#onEnded(log),
      isDeleted: (log) => this.#isDeleted(log),
      onPlace: (seq) => void (this.#place = Math.max(this.#place, seq)),
      onWritten: (duration, operations, bytes) => {
        const isSlow = slow.note(duration);
        onCommit?.({ duration, operations, bytes, isSlow });
      },
      onFailed: () => void this.#failures++,
      onMissed: () => void this.#missed++,
    };
  }

  get failure(): StoreError | undefined {
    return this.#connection.failure;
  }

  /** The figures of the store. */
  get counts(): StoreCounts {
    let backlog = 0;
    let followed = 0;
    for (const { logs } of this.#known.values()) {
      for (const log of logs.values()) {
        backlog += log.backlog;
        if (log.isLoaded && !log.copy.ended && !log.isGone) followed++;
      }
    }
    const { isConnected, retries } = this.#connection;
    return {
      ...{ backlog, failures: this.#failures },
      ...{ evicted: 0, fileBytes: 0, freeBytes: 0 },
      nats: {
        ...{ isConnected, retries, missed: this.#missed, followed },
        windowBytes: this.#windows.bytes,
        lag: this.#presence.lag,
      },
    };
  }

  async open(): Promise<void> {
    await this.#connection.open();
    this.#scheduleLook();
  }

  paceReaders(): void {
    this.#logStore.isPaced = true;
  }

  prepare(name: string, options: PrepareOptions): Promise<void> | undefined {
    let known: KnownName;
    try {
      known = this.#touch(name);
    } catch (error) {
      // NATS was never there: whoever waits is told, as of all that goes wrong later.
      return Promise.reject(error);
    }
    const current = known.isRead ? this.#currentLog(known) : undefined;
    // Whoever prepares it finds it later.
    if (current) current.usedAt = known.usedAt;
    // A log that has not ended reports its changes by itself.
    const isAtHand = current?.isLoaded && current.isMade &&
      !current.copy.ended &&
      !current.copy.isGone && !options.publications;
    if (!isAtHand) return this.#prepare(known, options);
    return options.isFresh ? this.#fresh(current, options) : undefined;
  }

  async *orphans(signal: AbortSignal): AsyncGenerator<LogName, void> {
    for (;;) {
      signal.throwIfAborted();
      let wait = 500;
      if (this.#presence.isSettled) {
        wait = ORPHANS_INTERVAL;
        let found: readonly LogName[] = [];
        try {
          const orphans = await this.#leases.orphans();
          const lost = await this.#leases.lost(
            ({ name, epoch }) => this.#index.isOpen(name, epoch),
            (log) => this.#isOver(log),
          );
          found = [...orphans, ...lost];
        } catch (error) {
          logger.warn("Cannot read the leases of other relays: {reason}", {
            reason: messageOf(error),
          });
        }
        if (found.length > 0) wait = FOUND_INTERVAL;
        yield* found;
        // In trouble, it takes a while: others that are found meanwhile do not wait.
        this.#removing ??= this.#removeLeases().finally(() => {
          this.#removing = undefined;
        });
      }
      await abortable(
        atMost(wait, this.#orphaned.next, signal),
        signal,
      );
    }
  }

  hear(name: string, listener: () => void): () => void {
    const { listeners } = this.#touch(name);
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  claim(
    ...claim: Parameters<SharedValues["claim"]>
  ): Promise<string | undefined> {
    return this.#values.claim(...claim);
  }

  create(
    name: string,
    facts: TopicFacts,
    epoch: string = createEpoch(),
  ): Log {
    const known = this.#touch(name);
    const recorded: RecordedLog = {
      epoch,
      createdAt: this.#clock.now(),
      since: this.#place,
      facts,
    };
    const made = known.change((record) => {
      const current = currentOf(record);
      // It was kept, and not answered.
      if (current?.epoch === recorded.epoch) return record;
      if (current && current.epoch !== facts.follows) {
        throw new StaleWriterError(name, 1, undefined);
      }
      return withLog(record, recorded);
    });
    const log = this.#logOf(known, recorded, made);
    // NATS may have kept what it has not answered: then it is there as if another relay had
    // made it, and has to be taken up anew.
    made.catch(() => {
      if (known.logs.get(log.epoch) === log) known.logs.delete(log.epoch);
    });
    log.begin();
    return this.#handle(known, log);
  }

  find(name: string, epoch?: string): Log | undefined {
    const known = this.#known.get(name);
    const recorded = known?.find(epoch);
    if (!known || !recorded) return undefined;
    known.usedAt = this.#clock.now();
    const log = this.#logOf(known, recorded);
    // One that has not ended has to be loaded first.
    if (!log.isLoaded && !log.summary) return undefined;
    return this.#handle(known, log);
  }

  list(query: ListQuery): Promise<readonly StoredTopic[]> {
    return this.#list(query, () => true);
  }

  listUnended(query: ListQuery): Promise<readonly StoredTopic[]> {
    return this.#list(query, (name) => this.#index.isOpen(name));
  }

  watch(query: WatchQuery, signal: AbortSignal): AsyncIterable<TopicNews> {
    return this.#watchers.watch((page) => this.list(page), query, signal);
  }

  hold(request: LeaseRequest): Promise<Lease> {
    return this.#leases.hold(request);
  }

  cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): Promise<CancelAnswer> {
    return this.#leases.cancel(name, epoch, reason);
  }

  async delete(name: string, epoch: string): Promise<void> {
    const known = this.#touch(name);
    if (!known.isRead) await known.refresh();
    await this.#delete(known, (record) => withoutLog(record, epoch));
  }

  async letGo(name: string, epoch: string): Promise<void> {
    const { nats } = this.#connection.connected;
    const who = `${this.#names.liveOf(name)}.who`;
    const { self } = this.#presence;
    const answers = await nats.requestMany(who, self, {
      strategy: "timer",
      maxWait: WHO_TIMEOUT,
    });
    for await (const answer of answers) {
      if (answer.string() === "used") return;
    }
    await this.prepare(name, { isFresh: true });
    using found = this.find(name, epoch);
    if (!found || !isOnlyAwaited(found)) return;
    await this.delete(name, epoch);
  }

  async deleteEnded(before: number): Promise<void> {
    // One relay does it for all.
    if (this.#isDeleting || !this.#presence.isFirst) return;
    this.#isDeleting = true;
    try {
      for (;;) {
        const ended = this.#index.endedBefore(before, AT_A_TIME);
        // Others may have died in the middle of it.
        const late = this.#clock.now() - UNFINISHED_AFTER;
        const unfinished = this.#index.unfinishedBefore(late, AT_A_TIME);
        const names = new Set([...ended, ...unfinished]);
        if (names.size === 0) return;
        await Promise.all([...names].map(async (name) => {
          const known = this.#touch(name);
          await known.refresh();
          await this.#delete(known, (record) => withoutEnded(record, before));
        }));
      }
    } finally {
      this.#isDeleting = false;
    }
  }

  get(bucket: string, key: string): Promise<string | undefined> {
    return this.#values.get(bucket, key);
  }

  put(
    ...[bucket, key, value, expires]: Parameters<SharedValues["put"]>
  ): Promise<void> {
    return this.#values.put(bucket, key, value, expires);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancelLook();
    this.#index[Symbol.dispose]();
    const busy = [...this.#known.values()].flatMap(({ logs }) => [
      ...logs.values(),
    ]);
    await atMost(
      1_000,
      Promise.allSettled(busy.map((log) => log.settled())),
    );
    this.#presence.leave();
    this.#cancels?.[Symbol.dispose]();
    for (const known of this.#known.values()) known.stopHearing();
    await this.#connection[Symbol.asyncDispose]();
    await this.#removing;
  }

  #onConnect(): void {
    this.#cancels = this.#connection.hear(
      this.#names.cancelOf(this.#presence.self),
      (message) => void this.#leases.answer(message),
    );
    this.#presence.start(this.#connection);
    this.#index.start();
  }

  #onReconnect(): void {
    for (const { logs } of this.#known.values()) {
      for (const log of logs.values()) log.lookSoon();
    }
  }

  /** Returns a name at hand, which hears of what is stored under it from now on. */
  #touch(name: string): KnownName {
    const now = this.#clock.now();
    let known = this.#known.get(name);
    if (known) {
      known.usedAt = now;
      return known;
    }
    const made = known = new KnownName(name, {
      bucket: this.#topics,
      onRecord: (...told) => this.#index.note(...told),
    }, now);
    const hearing = this.#connection.hear(
      `${this.#names.liveOf(name)}.*`,
      (message) => this.#heard(made, message),
    );
    known.stopHearing = () => hearing[Symbol.dispose]();
    this.#known.set(name, known);
    return known;
  }

  #heard(known: KnownName, message: Msg): void {
    const { subject, headers, data } = message;
    const last = subject.slice(subject.lastIndexOf(".") + 1);
    if (last === "who") return this.#answerWho(known, message);
    const seq = Number(headers?.get("Nats-Sequence"));
    if (!headers || !(seq > 0)) return;
    if (last === "record") {
      try {
        const after = Number(headers.get(AFTER));
        // With something in between, it may be void.
        const isNext = Number(headers.get("Nats-Last-Sequence")) === after;
        known.heard(message.string(), seq, isNext ? after : undefined);
      } catch {
        // Whoever asks for the topic is told.
      }
      const { logs } = known.record;
      for (const log of known.logs.values()) {
        if (known.isBusy || log.isBusy) continue;
        if (!logs.some(({ epoch }) => epoch === log.epoch)) log.bury();
      }
      return;
    }
    known.logs.get(last)?.heard({
      seq,
      header: headers.get(HEADER),
      data,
      id: headers.get("Nats-Msg-Id"),
    }, Number(headers.get("Nats-Last-Sequence")));
  }

  /** Tells another relay whether a topic is in use here. */
  #answerWho({ logs }: KnownName, message: Msg): void {
    if (message.string() === this.#presence.self) return;
    const isUsed = [...logs.values()].some(({ handles }) => handles > 0);
    if (isUsed) message.respond("used");
  }

  /** Has all of a log that any relay has acknowledged until now. */
  async #fresh(
    log: SharedLog,
    { position }: PrepareOptions,
  ): Promise<void> {
    await log.catchUp();
    // NATS may have been away until then, and have another leader.
    const late = performance.now() + BEHIND;
    for (;; await log.catchUp()) {
      // A leader that was elected a moment ago may not know yet of all.
      const isBehind = position?.epoch === log.epoch &&
        position.offset >= log.next && !log.copy.ended && !log.isGone;
      if (!isBehind) return;
      if (performance.now() > late) {
        logger.warn(
          "NATS has only {events} events of topic {topic}, and a reader has {known}: its leader is behind, or NATS has lost events",
          {
            events: log.next - 1,
            topic: log.name,
            known: position.offset,
          },
        );
        return;
      }
      await pause(BEHIND_INTERVAL);
    }
  }

  async #prepare(known: KnownName, options: PrepareOptions): Promise<void> {
    const { makes, owner, publications, isFresh } = options;
    do {
      // After what is being made here: another relay may have been first.
      await known.refresh();
      if (makes && !currentOf(known.record)) await this.#make(known, owner);
    } while (this.#currentLog(known)?.isMade === false);
    const { record } = known;
    const current = currentOf(record);
    const needed = record.logs.filter((recorded) =>
      publications || recorded === current
    );
    await Promise.all(needed.map(async (recorded) => {
      const log = this.#logOf(known, recorded);
      if (!publications && log.summary) return;
      // Another request may have loaded it a while ago, and it may have ended since.
      const isFresher = isFresh || recorded.summary && !log.copy.ended;
      await (isFresher ? this.#fresh(log, options) : log.load());
      const { ended } = log.copy;
      if (ended && !recorded.summary) await this.#summaries.keep(known, log);
    }));
  }

  /** Makes a topic that was only asked for, unless another relay is first. */
  async #make(known: KnownName, owner: string | undefined): Promise<void> {
    const { name } = known;
    const log = this.create(name, {
      isOpen: false,
      isAwaited: true,
      ...(owner && { owner }),
    });
    try {
      await log.settled();
    } catch (error) {
      if (!(error instanceof StaleWriterError)) throw error;
      await known.refresh();
    } finally {
      log[Symbol.dispose]();
    }
  }

  #currentLog(known: KnownName): SharedLog | undefined {
    const { current } = known.record;
    return current === undefined ? undefined : known.logs.get(current);
  }

  /** Returns a log of a name, in use from now on. */
  #logOf(
    known: KnownName,
    recorded: RecordedLog,
    made?: Promise<void>,
  ): SharedLog {
    const { name, logs } = known;
    const before = logs.get(recorded.epoch);
    if (before) {
      before.usedAt = this.#clock.now();
      before.isRecorded(recorded);
      return before;
    }
    const subject = this.#names.log(name, recorded.epoch);
    const log = new SharedLog(this.#logStore, name, subject, recorded, made);
    logs.set(recorded.epoch, log);
    return log;
  }

  #handle(known: KnownName, log: SharedLog): Log {
    return new SharedLogHandle(
      log,
      () => void (known.usedAt = this.#clock.now()),
    );
  }

  /** Removes the leases of relays that are gone that nobody takes over. */
  async #removeLeases(): Promise<void> {
    try {
      await this.#leases.removeLeft((log) => this.#isOver(log));
    } catch (error) {
      logger.debug("Cannot remove a lease that is left: {reason}", {
        reason: messageOf(error),
      });
    }
  }

  /** Whether there is nothing to go on with in a log. */
  async #isOver({ name, epoch }: LogName): Promise<boolean> {
    const known = this.#touch(name);
    await known.refresh();
    const recorded = known.find(epoch);
    if (!recorded || recorded.summary) return true;
    const log = this.#logOf(known, recorded);
    await log.load();
    const { ended, facts } = log.copy;
    return ended !== undefined || facts.filling === undefined;
  }

  async #fence(
    { name, epoch }: LogName,
    lease: number,
    isFirst: boolean,
  ): Promise<void> {
    const known = this.#touch(name);
    // Nobody else has filled a log that was made here.
    const own = known.logs.get(epoch);
    if (isFirst && own?.isMadeHere && own.lease === 0) return;
    await known.refresh();
    const recorded = known.find(epoch);
    if (!recorded || recorded.summary) return;
    const log = this.#logOf(known, recorded);
    await log.catchUp();
    if (log.copy.ended) return;
    const result = Promise.withResolvers<Appended>();
    const writer = { refused: undefined };
    await log.write({ kind: "fence", lease, writer, result });
  }

  async #delete(
    known: KnownName,
    change: (record: NameRecord) => NameRecord,
  ): Promise<void> {
    await known.change(change);
    const gone = new Set(known.record.gone);
    if (gone.size === 0) return;
    await Promise.all([...gone].map(async (epoch) => {
      known.logs.get(epoch)?.bury();
      const filter = this.#names.log(known.name, epoch);
      await removeSubject(this.#connection, this.#names.stream, filter);
    }));
    await known.change((record) => withoutGone(record, gone));
  }

  /** Whether the record of its name has a log no more. */
  async #isDeleted({ name, epoch }: SharedLog): Promise<boolean> {
    const known = this.#touch(name);
    await known.refresh();
    return !known.find(epoch);
  }

  #onEnded(log: SharedLog): void {
    const known = this.#known.get(log.name);
    if (known?.find(log.epoch) === undefined) return;
    this.#summaries.ended(known, log);
  }

  #onChanged({ name, log }: NameNews): void {
    if (!log) return this.#watchers.deleted(name);
    const { epoch, createdAt, facts, summary } = log;
    const standing = summary ?? { facts, first: 1, next: 1, bytes: 0 };
    this.#watchers.tell(summary ? "ended" : "made", () => ({
      name,
      epoch,
      createdAt,
      end: undefined,
      ...standing,
    }));
  }

  async #list(
    { after, prefix, limit }: ListQuery,
    isWanted: (name: string) => boolean,
  ): Promise<readonly StoredTopic[]> {
    await this.#index.ready;
    const described: StoredTopic[] = [];
    // A topic may be gone by then: a page is full all the same, unless it is the last.
    for (let last = after; described.length < limit;) {
      const wanted = Math.min(AT_A_TIME, limit - described.length);
      const names: string[] = [];
      for (const name of this.#index.inOrder(last, prefix)) {
        if (isWanted(name)) names.push(name);
        if (names.length === wanted) break;
      }
      const topics = await Promise.all(
        names.map((name) => this.#describeNamed(name)),
      );
      for (const topic of topics) if (topic) described.push(topic);
      if (names.length < wanted) break;
      last = names.at(-1)!; // one at least was wanted
    }
    return described;
  }

  async #describeNamed(name: string): Promise<StoredTopic | undefined> {
    await this.prepare(name, {});
    const known = this.#known.get(name);
    const recorded = known?.find(undefined);
    return known && recorded &&
      this.#describe(name, this.#logOf(known, recorded));
  }

  #describe(name: string, log: SharedLog): StoredTopic {
    const { epoch, copy, summary } = log;
    const { first, next, bytes, facts, firstAt, lastAt } = summary ?? copy;
    return describeLog(name, {
      ...{ epoch, createdAt: copy.createdAt, facts, first, next, bytes },
      ...{ firstAt, lastAt, ended: summary?.end ?? copy.ended },
    });
  }

  #scheduleLook(): void {
    this.#cancelLook = this.#clock.setTimeout(() => {
      this.#look();
      this.#scheduleLook();
    }, LOOK_INTERVAL);
  }

  /** Looks after what is at hand. */
  #look(): void {
    const now = this.#clock.now();
    for (const [name, known] of this.#known) {
      let isUsed = known.isBusy || known.listeners.size > 0 ||
        now - known.usedAt < IDLE;
      for (const log of known.logs.values()) {
        log.look(now);
        if (log.handles > 0 || log.isBusy) isUsed = true;
        else if (now - log.usedAt >= IDLE) {
          log.letGo();
          known.logs.delete(log.epoch);
        }
      }
      if (isUsed) continue;
      for (const log of known.logs.values()) log.letGo();
      known.stopHearing();
      this.#known.delete(name);
    }
    this.#summaries.look(now, ({ name }) => this.#known.get(name));
  }
}
