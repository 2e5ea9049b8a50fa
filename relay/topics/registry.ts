import type { Clock } from "../../src/fetch/clock.ts";
import type { Retention } from "./retention.ts";
import { MemoryLog } from "./stores/memory_log.ts";
import { Topic } from "./topic.ts";
import { TOPIC_NAME_RULE, topicName } from "./topic_name.ts";

/**
 * How long topics are kept, and what of them.
 *
 * @example The relay's defaults
 * ```ts
 * import { systemClock } from "@rivulet/rivulet/fetch";
 * import {
 *   DEFAULT_RETENTION,
 *   type TopicRegistryOptions,
 * } from "@rivulet/rivulet/relay";
 *
 * const options: TopicRegistryOptions = {
 *   retention: DEFAULT_RETENTION,
 *   endedTtl: 600_000,
 *   awaitedTtl: 60_000,
 *   clock: systemClock,
 * };
 * ```
 */
export interface TopicRegistryOptions {
  /** How much of each topic is kept. */
  readonly retention: Retention;
  /** How long an ended topic can still be read, in milliseconds. */
  readonly endedTtl: number;
  /** How long a topic that was only asked for is kept while nobody follows it, in milliseconds. */
  readonly awaitedTtl: number;
  /** Where time comes from. */
  readonly clock: Clock;
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

/** How often it is looked for topics to forget, in milliseconds. */
const SWEEP_INTERVAL = 1_000;

/**
 * All topics of a relay, by name.
 *
 * @example Make, find and delete a topic
 * ```ts
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const topic = relay.topics.create("t");
 * assertEquals(relay.topics.get("t"), topic);
 * assertEquals([...relay.topics], [topic]);
 * relay.topics.delete("t");
 * assertEquals((await topic.ended).status, "cancelled");
 * ```
 */
export class TopicRegistry implements Iterable<Topic>, Disposable {
  readonly #topics = new Map<string, Topic>();
  /** Topics that exist because somebody asked for them, and for no other reason. */
  readonly #awaited = new WeakSet<Topic>();
  readonly #options: TopicRegistryOptions;
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

  /**
   * Returns the topic of this name, made if there is none, to be filled.
   *
   * @throws {InvalidTopicNameError} If no topic may have that name.
   */
  create(name: string): Topic {
    const topic = this.#topics.get(name) ?? this.#add(name);
    this.#awaited.delete(topic);
    return topic;
  }

  /** Whether a topic is there only because somebody has asked for it. */
  isAwaited(topic: Topic): boolean {
    return this.#awaited.has(topic);
  }

  /**
   * Returns the topic of this name for a subscriber; made if there is none, and
   * then forgotten unless somebody follows or fills it.
   *
   * @throws {InvalidTopicNameError} If no topic may have that name.
   */
  await(name: string): Topic {
    const known = this.#topics.get(name);
    if (known) return known;
    const topic = this.#add(name);
    this.#awaited.add(topic);
    return topic;
  }

  /** Takes {@linkcode create} back, where nothing has come of filling a topic. */
  release(topic: Topic): void {
    if (topic.state.kind === "pending") this.#awaited.add(topic);
  }

  /**
   * Forgets a topic; one that has not ended ends as `cancelled`.
   *
   * @returns Whether there was one.
   */
  delete(name: string): boolean {
    const topic = this.#topics.get(name);
    if (!topic) return false;
    this.#topics.delete(name);
    topic.end("cancelled", "The topic was deleted");
    // Its log is not disposed of: who follows it still reads up to the end.
    return true;
  }

  /** Every topic, the oldest first. */
  [Symbol.iterator](): Iterator<Topic> {
    return this.#topics.values();
  }

  /** Stops looking after the topics. */
  [Symbol.dispose](): void {
    this.#cancelSweep();
    for (const topic of this) topic.log[Symbol.dispose]();
    this.#topics.clear();
  }

  #add(name: string): Topic {
    if (!topicName.safeParse(name).success) {
      throw new InvalidTopicNameError(name);
    }
    const { retention, clock } = this.#options;
    const topic = new Topic(name, new MemoryLog(retention, clock), clock);
    this.#topics.set(name, topic);
    return topic;
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
        this.#topics.delete(topic.name);
      } else if (
        state.kind === "pending" && this.#awaited.has(topic) &&
        idleSince !== undefined && now - idleSince >= awaitedTtl
      ) {
        this.#topics.delete(topic.name);
      }
    }
  }
}
