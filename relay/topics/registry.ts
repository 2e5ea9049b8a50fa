import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";
import type { Log } from "./log.ts";
import type * as surface from "./surface.ts";
import { type EndStatus, Topic, type TopicEnd } from "./topic.ts";
import { TOPIC_NAME_RULE, topicName } from "./topic_name.ts";

/** The limits of topics, and the tools of their registry. */
export interface TopicRegistryOptions {
  /** Makes the log of a new topic. */
  readonly createLog: () => Log;
  /** How long an ended topic can still be read, in milliseconds. */
  readonly endedTtl: number;
  /** How long a topic that was only asked for is kept while nobody follows it, in milliseconds. */
  readonly awaitedTtl: number;
  /** The most topics. Default: any number. */
  readonly maxTopics?: number | undefined;
  /** The most topics of one owner, who is the subject of tokens. Default: any number. */
  readonly maxTopicsPerToken?: number | undefined;
  /** Where time comes from. */
  readonly clock: Clock;
  /** Called when a topic has ended. Default: nobody is told. */
  readonly onEnd?: ((status: EndStatus) => void) | undefined;
}

/**
 * A topic was asked for by a name that no topic may have.
 *
 * @example A space is not allowed
 * ```ts
 * import { createRelay, InvalidTopicNameError } from "@rivulet/rivulet/relay";
 * import { assertThrows } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * assertThrows(() => relay.topics.create("a b"), InvalidTopicNameError);
 * ```
 */
export class InvalidTopicNameError extends RangeError {
  /** What happened, for programs. */
  readonly code = "invalid_topic";

  /** Says what came and what is allowed. */
  constructor(name: string) {
    super(
      `Expected a topic name of ${TOPIC_NAME_RULE}: got ${
        JSON.stringify(name.slice(0, 200))
      }`,
    );
    this.name = "InvalidTopicNameError";
  }
}

/**
 * There are as many topics as there may be: of all, or of one owner.
 *
 * @example No room for a second one
 * ```ts
 * import { createRelay, TopicLimitError } from "@rivulet/rivulet/relay";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0, limits: { maxTopics: 1 } });
 * relay.topics.create("a");
 * const error = assertThrows(() => relay.topics.create("b"), TopicLimitError);
 * assertEquals(error.code, "too_many_topics");
 * ```
 */
export class TopicLimitError extends Error {
  /** Which limit was met. */
  readonly code: "too_many_topics" | "too_many_topics_of_token";

  /** Names the limit. */
  constructor(code: TopicLimitError["code"], message: string) {
    super(message);
    this.name = "TopicLimitError";
    this.code = code;
  }
}

/** A topic that a publication is to fill. One of the two has to be called. */
export interface Filling {
  /** The topic. */
  readonly topic: Topic;
  /** Keeps the topic: the publication was accepted. */
  keep(): void;
  /** Forgets the topic, unless it is there for another reason: the publication was refused. */
  refuse(): void;
}

const logger = getLogger(["rivulet", "relay", "topic"]);

/** How often it is looked for topics to forget, in milliseconds. */
const SWEEP_INTERVAL = 1_000;

/** All topics of a relay, by name: for the engine, the doors and the sources too. */
export class TopicRegistry implements surface.TopicRegistry, Disposable {
  readonly #topics = new Map<string, Topic>();
  /** Topics that exist because somebody asked for them, and for no other reason: the oldest first. */
  readonly #awaited = new Set<Topic>();
  /** Topics that exist because of publications that nothing has come of yet, and how many there are. */
  readonly #filling = new Map<Topic, number>();
  readonly #owners = new Map<Topic, string>();
  /** How many topics each owner has. */
  readonly #owned = new Map<string, number>();
  readonly #options: TopicRegistryOptions;
  /** The names in order, until a topic is made or forgotten. */
  #names: string[] | undefined;
  #cancelSweep: () => void = () => {};

  /** Makes an empty registry. */
  constructor(options: TopicRegistryOptions) {
    this.#options = options;
    this.#scheduleSweep();
  }

  /** Returns the topic of this name, if there is one. */
  get(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  /** How many topics there are. */
  get size(): number {
    return this.#topics.size;
  }

  /**
   * Returns the topic of this name, made if there is none, to be filled.
   *
   * @param name The name.
   * @param owner Whose topic it is from now on, if it was only asked for or is
   * new. Default: nobody's.
   * @throws {InvalidTopicNameError} If no topic may have that name.
   * @throws {TopicLimitError} If it would be one too many.
   */
  create(name: string, owner?: string): Topic {
    const known = this.#topics.get(name);
    if (!known) return this.#add(name, owner);
    this.#filling.delete(known);
    if (this.#awaited.has(known)) {
      this.#give(known, owner);
      this.#awaited.delete(known);
    }
    return known;
  }

  /** Whether a topic is there only because somebody has asked for it. */
  isAwaited(topic: Topic): boolean {
    return this.#awaited.has(topic);
  }

  /**
   * Returns the topic of this name for a subscriber; made if there is none, and
   * then forgotten unless somebody follows or fills it.
   *
   * @param name The name.
   * @param owner Whose topic it is if it is new. Default: nobody's.
   * @throws {InvalidTopicNameError} If no topic may have that name.
   * @throws {TopicLimitError} If it would be one too many.
   */
  await(name: string, owner?: string): Topic {
    const known = this.#topics.get(name);
    if (known) return known;
    const topic = this.#add(name, owner);
    this.#awaited.add(topic);
    return topic;
  }

  /**
   * Returns the topic of this name for a publication; made if there is none, and
   * forgotten again if nothing comes of all publications that have made it.
   *
   * @param name The name.
   * @param owner Whose topic it is from now on, if it was only asked for or is
   * new. Default: nobody's.
   * @throws {InvalidTopicNameError} If no topic may have that name.
   * @throws {TopicLimitError} If it would be one too many.
   */
  fill(name: string, owner?: string): Filling {
    const known = this.#topics.get(name);
    const count = known ? this.#filling.get(known) : 0;
    // It is there for another reason.
    if (known && count === undefined && !this.#awaited.has(known)) {
      return { topic: known, keep: () => {}, refuse: () => {} };
    }
    const topic = known && count ? known : this.create(name, owner);
    this.#filling.set(topic, (count ?? 0) + 1);
    return {
      topic,
      keep: () => void this.#filling.delete(topic),
      refuse: () => {
        const left = (this.#filling.get(topic) ?? 0) - 1;
        if (left > 0) this.#filling.set(topic, left);
        else if (this.#filling.delete(topic)) this.#discard(topic);
      },
    };
  }

  /** Takes {@linkcode create} back, where nothing has come of filling a topic. */
  release(topic: Topic): void {
    if (topic.state.kind === "pending") this.#awaited.add(topic);
  }

  /** Takes {@linkcode create} back for a topic that nothing but its name was made of. */
  #discard(topic: Topic): void {
    if (topic.state.kind !== "pending") return;
    if (topic.followers > 0) this.#awaited.add(topic);
    else this.#forget(topic);
  }

  /**
   * Forgets a topic; one that has not ended ends as `cancelled`.
   *
   * @returns Whether there was one.
   */
  delete(name: string): boolean {
    const topic = this.#topics.get(name);
    if (!topic) return false;
    this.#forget(topic);
    topic.end("cancelled", "The topic was deleted");
    // Its log is not disposed of: who follows it still reads up to the end.
    return true;
  }

  /**
   * Iterates over topics in the order of their names; topics must not be made or
   * forgotten meanwhile.
   *
   * @param after The name after which it begins.
   * @param prefix The beginning of all names.
   */
  *inOrder(after: string, prefix: string): Generator<Topic, void> {
    // To sort 10,000 names takes some milliseconds; most lists come between changes.
    const names = this.#names ??= [...this.#topics.keys()].sort();
    let [low, high] = [0, names.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const name = names[middle]!; // within the list
      if (name > after && name >= prefix) high = middle;
      else low = middle + 1;
    }
    for (; low < names.length; low++) {
      const name = names[low]!; // within the list
      if (!name.startsWith(prefix)) return;
      yield this.#topics.get(name)!; // the list is of these names
    }
  }

  /** Every topic, the oldest first. */
  [Symbol.iterator](): Iterator<Topic> {
    return this.#topics.values();
  }

  /** Stops looking after the topics. */
  [Symbol.dispose](): void {
    this.#cancelSweep();
    for (const topic of this) {
      topic.log[Symbol.dispose]();
      this.#forget(topic);
    }
  }

  #add(name: string, owner: string | undefined): Topic {
    if (!topicName.safeParse(name).success) {
      throw new InvalidTopicNameError(name);
    }
    const { createLog, clock, maxTopics = Infinity } = this.#options;
    this.#makeRoomOf(owner);
    if (this.#topics.size >= maxTopics && !this.#evict(() => true)) {
      throw new TopicLimitError(
        "too_many_topics",
        `Expected at most ${maxTopics} topics: delete some, or try again later`,
      );
    }
    const topic = new Topic(name, createLog(), clock);
    void topic.ended.then((end) => this.#onEnd(topic, end));
    this.#topics.set(name, topic);
    this.#names = undefined;
    this.#own(topic, owner);
    return topic;
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
    if (this.#owners.get(topic) === owner) return;
    this.#makeRoomOf(owner);
    this.#disown(topic);
    this.#own(topic, owner);
  }

  #makeRoomOf(owner: string | undefined): void {
    const { maxTopicsPerToken: max = Infinity } = this.#options;
    if (!owner || (this.#owned.get(owner) ?? 0) < max) return;
    if (this.#evict((topic) => this.#owners.get(topic) === owner)) return;
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
      this.#forget(topic);
      return true;
    }
    return false;
  }

  #own(topic: Topic, owner: string | undefined): void {
    if (!owner) return;
    this.#owners.set(topic, owner);
    this.#owned.set(owner, (this.#owned.get(owner) ?? 0) + 1);
  }

  #disown(topic: Topic): void {
    const owner = this.#owners.get(topic);
    if (owner === undefined) return;
    this.#owners.delete(topic);
    const left = (this.#owned.get(owner) ?? 0) - 1;
    if (left > 0) this.#owned.set(owner, left);
    else this.#owned.delete(owner);
  }

  #forget(topic: Topic): void {
    this.#topics.delete(topic.name);
    this.#names = undefined;
    this.#awaited.delete(topic);
    this.#filling.delete(topic);
    this.#disown(topic);
  }

  #scheduleSweep(): void {
    this.#cancelSweep = this.#options.clock.setTimeout(() => {
      this.#sweep();
      this.#scheduleSweep();
    }, SWEEP_INTERVAL);
  }

  #sweep(): void {
    const { clock, endedTtl, awaitedTtl } = this.#options;
    const now = clock.now();
    for (const topic of this.#topics.values()) {
      const { state, idleSince } = topic;
      topic.log.trim();
      if (state.kind === "ended" && now - state.at >= endedTtl) {
        this.#forget(topic);
      } else if (
        state.kind === "pending" && this.#awaited.has(topic) &&
        idleSince !== undefined && now - idleSince >= awaitedTtl
      ) {
        this.#forget(topic);
      }
    }
  }
}
