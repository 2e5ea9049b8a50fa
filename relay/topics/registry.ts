import { setImmediate } from "node:timers";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import { type Filling, fillingOf, Fillings } from "./fillings.ts";
import { FormerTopics } from "./former_topics.ts";
import { Leases } from "./leases.ts";
import { isOnlyAwaited } from "./only_awaited.ts";
import { Others } from "./others.ts";
import {
  type ListedTopic,
  listedTopics,
  type ListedTopicsQuery,
} from "./listed_topics.ts";
import type { Log, TopicFacts } from "./log.ts";
import type { After } from "./position.ts";
import type { PrepareOptions, Store } from "./store.ts";
import { StoredTopics } from "./stored_topics.ts";
import type * as surface from "./surface.ts";
import type { EndStatus, TopicEnd } from "./end.ts";
import { Topic } from "./topic.ts";
import { TopicBusyError } from "./topic_busy_error.ts";
import { InvalidTopicNameError, TopicLimitError } from "./topic_errors.ts";
import { topicName } from "./topic_name.ts";
import { TopicOwners } from "./topic_owners.ts";

/** The limits of topics, and the tools of their registry. */
export interface TopicRegistryOptions {
  /** The place where the topics live. */
  readonly store: Store;
  /** The time for which an ended topic can still be read, in milliseconds. */
  readonly endedTtl: number;
  /**
   * The time for which a topic that was only asked for is kept while nobody
   * follows it, in milliseconds.
   */
  readonly awaitedTtl: number;
  /** The most topics. Default: any number. */
  readonly maxTopics?: number | undefined;
  /** The most topics of one owner, who is the subject of tokens. Default: any number. */
  readonly maxTopicsPerToken?: number | undefined;
  /**
   * The most bytes of events that a topic retains: its former epochs retain as many
   * together. Default: any number.
   */
  readonly maxBytes?: number | undefined;
  /** The clock to use. */
  readonly clock: Clock;
  /** Called when a topic has ended. Default: nobody is told. */
  readonly onEnd?: ((status: EndStatus) => void) | undefined;
}

/**
 * The purpose for which a topic is prepared, and the position of its reader.
 */
export interface TopicPrepareOptions extends PrepareOptions {
  /** The position that a reader goes on after. Default: none. */
  readonly after?: After | undefined;
  /**
   * Whether a new epoch is to begin if the topic has ended: then an end that is on its
   * way here is waited for. Default: no.
   */
  readonly renews?: boolean | undefined;
}

/** The topic that comes after another one under its name. */
export interface Successor {
  /** The topic. */
  readonly topic: Topic;
  /** Whether it is known that there was none in between. */
  readonly isNext: boolean;
}

const logger = getLogger(["rivulet", "relay", "topic"]);

/** The reason of a topic that was deleted before its end. */
const DELETED = "The topic was deleted";

/** The reason of a topic whose log is lost, for what fills it. */
const LOST = "The relay that the topic lived in has lost its memory";

/** The reason of a topic that nobody filled, for the log. */
const FORGOTTEN =
  "Nobody has filled the topic, and another relay has forgotten it";

/** The number of topics that are looked at in one turn of the event loop. */
const PAGE = 1_000;

/** The time between two searches for topics to forget, in milliseconds. */
const SWEEP_INTERVAL = 1_000;

/**
 * The time for which a topic of a lasting store is kept in memory after it has
 * ended, while nobody follows it, in milliseconds.
 */
const IDLE = 10_000;

/**
 * The time for which the end of a topic is waited for that is to be renewed, in
 * milliseconds: whoever was told of it by another relay, or has read it in the stream of a
 * provider, may be faster than the store.
 */
const END_ON_ITS_WAY = 500;

/** All topics of a relay, by name: for the engine, the doors and the sources too. */
export class TopicRegistry implements surface.TopicRegistry, Disposable {
  /** The topics in memory: of a store that is not lasting, all of them. */
  readonly #topics = new Map<string, Topic>();
  /** Topics that exist because somebody asked for them, and for no other reason: the oldest first. */
  readonly #awaited = new Set<Topic>();
  /** Topics that exist because of publications that nothing has come of yet. */
  readonly #fillings = new Fillings((topic) => this.#discard(topic));
  readonly #owners = new TopicOwners();
  readonly #stored: StoredTopics;
  /** The leases on filling topics. */
  readonly leases: Leases;
  readonly #former: FormerTopics;
  /** The changes of other relays, if there are others. */
  readonly #others: Others | undefined;
  readonly #onNew = new Set<(topic: Topic) => void>();
  readonly #options: TopicRegistryOptions;
  #cancelSweep: () => void = () => {};

  /** Makes an empty registry. */
  constructor(options: TopicRegistryOptions) {
    this.#options = options;
    this.#stored = new StoredTopics(options.store);
    this.leases = new Leases(options.store);
    this.#others = options.store.isShared
      ? new Others((...gone) => this.#goneElsewhere(...gone))
      : undefined;
    const { maxBytes = Infinity } = options;
    this.#former = new FormerTopics({ ...options, maxBytes });
    this.#scheduleSweep();
  }

  /**
   * Takes up the topics that the store has kept, and have not ended.
   *
   * @returns These topics. Those that were only asked for are forgotten; those of a
   * shared store may be another relay's. None if the store tells which topics have to be
   * gone on with (`orphans`).
   */
  async restore(): Promise<Topic[]> {
    const { store } = this.#options;
    if (store.orphans) return [];
    const restored: Topic[] = [];
    for await (const { name, epoch, facts } of this.#stored.unended()) {
      if (facts.isAwaited) {
        if (!store.isShared) this.#stored.delete(name, epoch);
        continue;
      }
      await this.prepare(name);
      const topic = this.get(name);
      if (topic) restored.push(topic);
    }
    return restored;
  }

  /** Whether topics have to be prepared before they are looked for. */
  get areFetched(): boolean {
    return this.#options.store.prepare !== undefined;
  }

  /** Whether other relays fill topics, too. */
  get areShared(): boolean {
    return this.#options.store.isShared === true;
  }

  /**
   * Has a topic at hand that is asked for: to be waited for before {@linkcode get} and all
   * that looks for a topic or makes one. A topic may only be prepared that is allowed to
   * be there.
   *
   * @returns `undefined` if it is at hand, as all topics are of a store of this process
   * that no other relay shares.
   */
  prepare(
    name: string,
    { renews = false, ...options }: TopicPrepareOptions = {},
  ): Promise<void> | undefined {
    if (!topicName.safeParse(name).success) return undefined;
    const isFresh = options.isFresh || renews;
    return options.makes && isFresh && this.areShared
      ? this.#prepareToFill(name, { ...options, isFresh, renews })
      : this.#prepare(name, options);
  }

  /** Waits a moment for an end of the topic that this relay has said, or that lets it be renewed. */
  async #prepareToFill(
    name: string,
    { renews, ...options }: TopicPrepareOptions,
  ): Promise<void> {
    await this.#prepare(name, options);
    const topic = this.get(name);
    if (!topic || !this.isActive(topic) && !this.#isTaken(topic)) return;
    if (!renews && !topic.verdict) return;
    const { clock } = this.#options;
    const late = Promise.withResolvers<void>();
    const stop = clock.setTimeout(late.resolve, END_ON_ITS_WAY);
    await Promise.race([topic.ended, late.promise]);
    stop();
  }

  #prepare(
    name: string,
    { after, ...options }: TopicPrepareOptions,
  ): Promise<void> | undefined {
    const { store } = this.#options;
    if (!store.prepare) return undefined;
    const known = this.#topics.get(name);
    // A reader that comes from another relay may have more than this one has heard of:
    // only where the topic lives is it known that there is nothing.
    const isFresh = options.isFresh || typeof after === "object" &&
        !(known?.log.epoch === after.epoch && after.offset < known.log.next);
    // A topic that has not ended is followed.
    const isFollowed = known !== undefined && known.state.kind !== "ended";
    return isFollowed && !options.publications && !isFresh
      ? undefined
      : store.prepare(name, {
        ...options,
        isFresh,
        position: typeof after === "object" ? after : undefined,
      });
  }

  /** Forgets ended topics that the store has deleted before their time. */
  evicted(names: readonly string[]): void {
    for (const name of names) {
      const topic = this.#topics.get(name);
      if (topic?.state.kind === "ended") this.#forget(topic);
      this.#former.evicted(name);
    }
  }

  /**
   * Returns the topic of this name, if there is one.
   *
   * @param name The name.
   * @param epoch The epoch, which may be a former one. Default: the one that the name
   * stands for.
   */
  get(name: string, epoch?: string): Topic | undefined {
    const topic = this.#current(name);
    if (!topic || epoch === undefined || topic.log.epoch === epoch) {
      return topic;
    }
    return this.#former.get(name, epoch);
  }

  /** Returns the topic of a position: that of a former epoch, if it is still there. */
  at(topic: Topic, after: After | undefined): Topic {
    return typeof after === "object"
      ? this.get(topic.name, after.epoch) ?? topic
      : topic;
  }

  /** Iterates over the epochs of a name, the newest first. */
  *epochs(name: string): Generator<Topic, void> {
    const topic = this.get(name);
    if (!topic) return;
    yield topic;
    yield* this.#former.before(topic);
  }

  /** Returns the topic that comes after another one under its name, if there is one yet. */
  after({ name, log: { epoch } }: Topic): Successor | undefined {
    let next: Topic | undefined;
    for (const topic of this.epochs(name)) {
      if (topic.log.epoch === epoch) return undefined;
      next = topic;
      if (topic.follows === epoch) return { topic, isNext: true };
    }
    return next && { topic: next, isNext: false };
  }

  /**
   * Tells a listener of each topic that is made from now on, or renewed.
   *
   * @returns Stops that.
   */
  onNew(listener: (topic: Topic) => void): () => void {
    this.#onNew.add(listener);
    return () => void this.#onNew.delete(listener);
  }

  /**
   * Looks for the topics that other relays make under a name, and tells those who listen
   * to {@linkcode onNew}.
   *
   * @returns Stops that.
   */
  expect(name: string): () => void {
    const { store } = this.#options;
    if (!store.hear) return () => {};
    const look = async (): Promise<void> => {
      try {
        await this.prepare(name);
        this.get(name);
      } catch (error) {
        logger.warn("Cannot look up topic {topic}: {reason}", {
          topic: name,
          reason: messageOf(error),
        });
      }
    };
    const stop = store.hear(name, () => void look());
    void look();
    return stop;
  }

  /**
   * Looks for the topics that other relays make under names that begin alike, and tells
   * those who listen to {@linkcode onNew}.
   *
   * @returns Stops that.
   */
  expectAll(prefix: string): () => void {
    const { store, clock } = this.#options;
    if (!store.hear) return () => {};
    const abort = new AbortController();
    const { signal } = abort;
    let cancelNext = (): void => {};
    const look = async (): Promise<void> => {
      try {
        await this.#lookForAll(prefix, signal);
      } catch (error) {
        if (signal.aborted) return;
        logger.warn("New topics cannot be looked for now: {reason}", {
          reason: messageOf(error),
        });
      }
      cancelNext = clock.setTimeout(() => void look(), SWEEP_INTERVAL);
    };
    void look();
    return () => {
      abort.abort();
      cancelNext();
    };
  }

  async #lookForAll(prefix: string, signal: AbortSignal): Promise<void> {
    const { store } = this.#options;
    for await (const news of store.watch({ prefix, limit: PAGE }, signal)) {
      const topics = news.kind === "listed"
        ? news.topics.filter(({ end }) => end === undefined)
        : news.kind === "made"
        ? [news.topic]
        : [];
      for (const { name, epoch } of topics) {
        if (this.#topics.get(name)?.log.epoch === epoch) continue;
        await this.prepare(name);
        this.get(name);
      }
    }
  }

  /**
   * Has all topics at hand whose names begin alike and that have not ended.
   *
   * @param prefix The beginning of their names.
   * @param endedSince Those that have ended after this time too, up to 1,000, in
   * milliseconds since the epoch. Default: none of them.
   * @returns `undefined` if they are at hand.
   */
  prepareAll(prefix: string, endedSince = Infinity): Promise<void> | undefined {
    const { store } = this.#options;
    const isNeeded = store.prepare || store.isLasting && endedSince < Infinity;
    return isNeeded ? this.#takeAll(prefix, endedSince) : undefined;
  }

  async #takeAll(prefix: string, endedSince: number): Promise<void> {
    let looked = 0;
    let taken = 0;
    for (
      const topic of this.inOrder({ after: "", prefix, isFresh: true })
    ) {
      if (topic instanceof Promise) {
        await topic;
        continue;
      }
      // There may be a million of them.
      if (++looked % PAGE === 0) await new Promise((r) => setImmediate(r));
      if (topic instanceof Topic) continue;
      const { name, end } = topic;
      if (end && (end.at <= endedSince || ++taken > PAGE)) continue;
      this.get(name);
    }
  }

  #current(name: string): Topic | undefined {
    const { store } = this.#options;
    let known = this.#topics.get(name);
    if (known?.log.isLost) {
      // It is about to be told: the name may stand for another log by now.
      this.#goneElsewhere(known, true);
      known = undefined;
    }
    if (store.isShared) known?.catchUp();
    // A topic that has ended is not followed: another relay may have deleted or renewed it.
    const isKnown = known && !(store.isShared && known.state.kind === "ended");
    if (isKnown || !store.isLasting && !store.isShared) return known;
    if (!topicName.safeParse(name).success) return undefined;
    const log = store.find(name);
    if (known && known.log.epoch === log?.epoch) {
      if (known.log !== log) log[Symbol.dispose]();
      return known;
    }
    if (known) this.#forget(known);
    if (!log) return undefined;
    const topic = this.#take(name, log);
    if (store.hear) { for (const listener of this.#onNew) listener(topic); }
    return topic;
  }

  /** The number of topics in memory. */
  get size(): number {
    return this.#topics.size;
  }

  /**
   * Returns the topic of this name, made if there is none, to be filled.
   *
   * @param name The name.
   * @param owner The owner from now on, if the topic was only asked for or is
   * new. Default: nobody.
   * @throws {InvalidTopicNameError} If no topic may have that name.
   * @throws {TopicLimitError} If it would be one too many.
   */
  create(name: string, owner?: string): Topic {
    const known = this.get(name);
    if (!known) return this.#add(name, owner);
    this.#fillings.delete(known);
    if (this.isAwaited(known)) {
      this.#give(known, owner);
      this.#awaited.delete(known);
      known.isAwaited = false;
    }
    return known;
  }

  /**
   * Begins a new epoch of a topic that has ended. Who reads the one before gets the
   * rest of it. Returns the topic as {@linkcode create} does if there is none, or if
   * nothing fills it yet.
   *
   * @param name The name.
   * @param owner The owner from now on. Default: nobody.
   * @throws {TopicBusyError} If the topic is open, or about to be filled.
   * @throws {InvalidTopicNameError} If no topic may have that name.
   * @throws {TopicLimitError} If it would be one too many.
   */
  renew(name: string, owner?: string): Topic {
    const before = this.get(name);
    if (before && this.isActive(before)) throw new TopicBusyError(name);
    return before?.state.kind === "ended"
      ? this.#renew(before, owner)
      : this.create(name, owner);
  }

  /** Whether something goes on in a topic: it is open, or something is about to fill it. */
  isActive(topic: Topic): boolean {
    const { state, source } = topic;
    return state.kind === "open" ||
      state.kind === "pending" && !this.isAwaited(topic) &&
        (source !== undefined || this.#fillings.has(topic));
  }

  /**
   * Whether another relay is about to fill a topic: it has made the topic, and says by
   * what only once it has the lease.
   */
  #isTaken(topic: Topic): boolean {
    return topic.state.kind === "pending" && !this.isAwaited(topic);
  }

  /** Whether a topic is there only because somebody has asked for it. */
  isAwaited(topic: Topic): boolean {
    return this.#options.store.isShared
      ? topic.isAwaited
      : this.#awaited.has(topic);
  }

  /**
   * Returns the topic of this name for a subscriber; made if there is none, and
   * then forgotten unless somebody follows or fills it.
   *
   * @param name The name.
   * @param owner The owner if the topic is new. Default: nobody.
   * @throws {InvalidTopicNameError} If no topic may have that name.
   * @throws {TopicLimitError} If it would be one too many.
   */
  await(name: string, owner?: string): Topic {
    const known = this.get(name);
    if (known) return known;
    // In one step: another relay refuses runs of a topic that exists and is not awaited.
    const topic = this.#add(name, owner, { isAwaited: true });
    this.#awaited.add(topic);
    return topic;
  }

  /**
   * Returns the topic of this name for a publication; made if there is none, and
   * forgotten again if nothing comes of all publications that have made it.
   *
   * @param name The name.
   * @param owner The owner from now on, if the topic was only asked for or is
   * new. Default: nobody.
   * @param renews Whether a new epoch of it begins if it has ended.
   * @throws {TopicBusyError} If it is to be renewed, and has not ended.
   * @throws {InvalidTopicNameError} If no topic may have that name.
   * @throws {TopicLimitError} If it would be one too many.
   */
  fill(name: string, owner?: string, renews = false): Filling {
    const known = this.get(name);
    if (renews && known && this.isActive(known)) throw new TopicBusyError(name);
    if (renews && known?.state.kind === "ended") {
      return this.#fillings.begin(this.#renew(known, owner));
    }
    const isFilling = known !== undefined && this.#fillings.has(known);
    // It is there for another reason.
    if (known && !isFilling && !this.isAwaited(known)) return fillingOf(known);
    return this.#fillings.begin(
      isFilling ? known : this.create(name, owner),
    );
  }

  /** Takes {@linkcode create} back, where nothing has come of filling a topic. */
  release(topic: Topic): void {
    if (topic.state.kind === "pending") this.#await(topic);
  }

  #await(topic: Topic): void {
    this.#awaited.add(topic);
    topic.isAwaited = true;
  }

  /** Takes {@linkcode create} back for a topic that nothing but its name was made of. */
  #discard(topic: Topic): void {
    if (topic.state.kind !== "pending") return;
    if (topic.followers > 0) this.#await(topic);
    else this.#forgetAwaited(topic);
  }

  /**
   * Forgets a topic; one that has not ended ends as `cancelled`.
   *
   * @returns Whether there was one.
   */
  delete(name: string): boolean {
    const topic = this.get(name);
    if (!topic) return false;
    void this.#stop(topic, DELETED);
    // Before it, or the last of them would get the name back.
    for (const former of [...this.#former.before(topic)]) {
      this.#deleteFormer(former);
    }
    this.#delete(topic);
    topic.end("cancelled", DELETED);
    // Its log is not disposed of: who follows it still reads up to the end.
    return true;
  }

  /** Waits until the store has no log more of a topic that was deleted, wherever it keeps its logs. */
  deleted(name: string): Promise<void> {
    return this.#stored.deleted(name);
  }

  /**
   * Iterates over topics in the order of their names, as {@linkcode listedTopics} does.
   *
   * @param query The topics to list.
   */
  inOrder(
    query: ListedTopicsQuery,
  ): Generator<ListedTopic | Promise<unknown>, void> {
    return listedTopics({
      store: this.#options.store,
      // To be looked at, a topic need not be taken into memory.
      known: (name) => this.#topics.get(name),
      prepare: (name, isFresh) => this.prepare(name, { isFresh }),
    }, query);
  }

  /** Every topic in memory, the oldest first. */
  [Symbol.iterator](): Iterator<Topic> {
    return this.#topics.values();
  }

  /** Stops looking after the topics. */
  [Symbol.dispose](): void {
    this.#cancelSweep();
    this.#former[Symbol.dispose]();
    for (const topic of this) {
      topic.log[Symbol.dispose]();
      this.#forget(topic);
    }
  }

  /** Has whoever fills a topic stop. */
  async #stop(topic: Topic, reason: string): Promise<void> {
    try {
      await this.leases.cancel(topic, reason);
    } catch (error) {
      // Its appends are refused all the same.
      logger.warn(
        "Cannot stop the source, run or publication that fills topic {topic}: {reason}",
        {
          topic: topic.name,
          reason: messageOf(error),
        },
      );
    }
  }

  #add(
    name: string,
    owner: string | undefined,
    facts: Pick<TopicFacts, "isAwaited"> = {},
  ): Topic {
    if (!topicName.safeParse(name).success) {
      throw new InvalidTopicNameError(name);
    }
    const { store, maxTopics = Infinity } = this.#options;
    this.#makeRoomOf(owner);
    if (this.#topics.size >= maxTopics && !this.#evict(() => true)) {
      throw new TopicLimitError(
        "too_many_topics",
        `Expected at most ${maxTopics} topics: delete some, or try again later`,
      );
    }
    const log = store.create(name, { isOpen: false, owner, ...facts });
    return this.#begin(this.#hold(name, log), owner);
  }

  #renew(before: Topic, owner: string | undefined): Topic {
    const { name, log: { epoch: follows } } = before;
    // It takes the place of a topic of theirs.
    if (this.#owners.of(before) !== owner) this.#makeRoomOf(owner);
    const { store } = this.#options;
    const log = store.create(name, { isOpen: false, owner, follows });
    this.#forget(before);
    this.#former.add(before);
    const topic = this.#hold(name, log);
    for (const former of this.#former.surplus(topic)) {
      this.#deleteFormer(former);
    }
    return this.#begin(topic, owner);
  }

  /** Takes up a topic that is new. */
  #begin(topic: Topic, owner: string | undefined): Topic {
    void topic.ended.then((end) => this.#onEnd(topic, end));
    this.#owners.add(topic, owner);
    for (const listener of this.#onNew) listener(topic);
    return topic;
  }

  /** Forgets a former epoch. Who reads it is told that the rest is no longer retained. */
  #deleteFormer(topic: Topic): void {
    this.#former.remove(topic);
    this.#stored.delete(topic.name, topic.log.epoch);
    topic.log.clear?.();
  }

  /** Takes a topic of the store into memory. */
  #take(name: string, log: Log): Topic {
    const topic = this.#hold(name, log);
    // Whoever is responsible for an end has told it already.
    if (!log.ended) {
      void topic.ended.then((end) => this.#onEnd(topic, end));
      this.#owners.add(topic, log.facts.owner);
    }
    return topic;
  }

  #hold(name: string, log: Log): Topic {
    const topic = new Topic(name, log, this.#options.clock);
    this.#topics.set(name, topic);
    if (!log.ended) this.#others?.follow(topic);
    return topic;
  }

  /** Another relay has deleted a topic, or lost it: whoever fills it here has heard of that. */
  #goneElsewhere(topic: Topic, isLost: boolean): void {
    // Others have forgotten it, and did not hear that somebody waits for it here: whoever
    // does is to wait for the next one, and not to be told of an end.
    const isForgotten = !isLost && isOnlyAwaited(topic.log);
    if (this.#topics.get(topic.name) === topic) this.#forget(topic);
    topic.forgetEnd();
    if (isLost) topic.lose(LOST);
    else if (isForgotten) topic.lose(FORGOTTEN);
    else topic.end("cancelled", DELETED);
  }

  #onEnd({ name, log }: Topic, { status, reason }: TopicEnd): void {
    const events = log.next - 1;
    logger.info(
      "Topic {topic} ended after {events} events: {status} {reason}",
      {
        topic: name,
        events,
        status,
        reason,
      },
    );
    this.#options.onEnd?.(status);
  }

  /** Makes a topic somebody's who had no part in it yet. */
  #give(topic: Topic, owner: string | undefined): void {
    if (this.#owners.of(topic) === owner) return;
    this.#makeRoomOf(owner);
    this.#owners.delete(topic);
    this.#owners.add(topic, owner);
    topic.owner = owner;
  }

  #makeRoomOf(owner: string | undefined): void {
    const { maxTopicsPerToken: max = Infinity } = this.#options;
    if (!owner || this.#owners.count(owner) < max) return;
    if (this.#evict((topic) => this.#owners.of(topic) === owner)) return;
    throw new TopicLimitError(
      "too_many_topics_of_token",
      `Expected at most ${max} topics of one token: delete some, or try again later`,
    );
  }

  /** Forgets the oldest topic that nobody fills or follows, if there is one such. */
  #evict(isWanted: (topic: Topic) => boolean): boolean {
    for (const topic of this.#awaited) {
      const { state, followers } = topic;
      if (state.kind !== "pending" || followers > 0 || !isWanted(topic)) {
        continue;
      }
      this.#forgetAwaited(topic);
      return true;
    }
    return false;
  }

  /** Forgets a topic, as the store does. */
  #delete(topic: Topic): void {
    this.#takeAway(topic);
    this.#stored.delete(topic.name, topic.log.epoch);
  }

  /** Takes a topic out of memory: the name goes back to the one that it followed. */
  #takeAway(topic: Topic): void {
    const { name, follows } = topic;
    this.#forget(topic);
    topic.forgetEnd();
    const former = follows === undefined
      ? undefined
      : this.#former.get(name, follows);
    if (!former) return;
    this.#former.remove(former);
    this.#topics.set(name, former);
    this.#owners.add(former, former.log.facts.owner);
  }

  /** Takes a topic out of memory. */
  #forget(topic: Topic): void {
    this.#others?.leave(topic);
    this.#topics.delete(topic.name);
    this.#awaited.delete(topic);
    this.#fillings.delete(topic);
    this.#owners.delete(topic);
  }

  #scheduleSweep(): void {
    this.#cancelSweep = this.#options.clock.setTimeout(() => {
      this.#sweep();
      this.#scheduleSweep();
    }, SWEEP_INTERVAL);
  }

  #sweep(): void {
    const { store, clock, endedTtl, awaitedTtl } = this.#options;
    const now = clock.now();
    this.leases.renew();
    this.#former.sweep(now - endedTtl, IDLE);
    for (const topic of this.#topics.values()) {
      const { state, idleSince } = topic;
      topic.log.trim();
      const idle = idleSince === undefined ? 0 : now - idleSince;
      topic.keepAgain();
      // Taken from the store again, it would be open.
      if (topic.endFailure) continue;
      if (state.kind === "ended") {
        const since = now - state.at;
        if (since >= endedTtl) this.#forget(topic);
        else if (store.isLasting && Math.min(since, idle) >= IDLE) {
          this.#forget(topic);
          topic.log[Symbol.dispose]();
        }
      } else if (
        state.kind === "pending" && this.isAwaited(topic) &&
        idle >= awaitedTtl
      ) {
        this.#forgetAwaited(topic);
      } else if (store.prepare && idle >= IDLE && this.#isUnused(topic)) {
        // Whoever asks for it gets it from the store again.
        this.#forget(topic);
        topic.log[Symbol.dispose]();
      }
    }
    void this.#stored.deleteEnded(now - endedTtl);
  }

  /** Whether nothing here has a part in a topic that others may go on with. */
  #isUnused(topic: Topic): boolean {
    return topic.isSettled && !this.#fillings.has(topic) &&
      !this.leases.fills(topic);
  }

  /**
   * Forgets a topic that nothing has come of. A shared store keeps it if another relay needs
   * it, or has filled it without this relay having heard of that.
   */
  #forgetAwaited(topic: Topic): void {
    if (!this.#options.store.letGo) return this.#delete(topic);
    // The store keeps every other topic.
    if (!this.isAwaited(topic)) this.#await(topic);
    const { name, log } = topic;
    this.#takeAway(topic);
    log[Symbol.dispose]();
    void this.#stored.letGo(name, log.epoch);
  }
}
