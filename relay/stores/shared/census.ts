import { TopicLimitError } from "../../topics/topic_errors.ts";
import type { StoredTopic } from "../../topics/store.ts";

/** The most topics of all relays that share a store. */
export interface TopicLimits {
  /** The most topics. Default: any number. */
  readonly maxTopics?: number | undefined;
  /** The most topics of one owner. Default: any number. */
  readonly maxTopicsPerToken?: number | undefined;
}

/** Counts the topics of a store, and those of each owner, over all relays that share it. */
export class Census {
  readonly #limits: TopicLimits;
  readonly #countsEnded: boolean;
  readonly #owners = new Map<string, string | undefined>();
  readonly #owned = new Map<string, number>();

  /**
   * Begins with no topic.
   *
   * @param countsEnded Whether those count that have ended: they need memory.
   */
  constructor(limits: TopicLimits, countsEnded: boolean) {
    this.#limits = limits;
    this.#countsEnded = countsEnded;
  }

  /** The number of topics. */
  get size(): number {
    return this.#owners.size;
  }

  /**
   * Checks that there may be one more topic.
   *
   * @throws {TopicLimitError} If there may not.
   */
  assertRoom(name: string, owner: string | undefined): void {
    if (this.#owners.has(name)) return;
    const { maxTopics = Infinity, maxTopicsPerToken = Infinity } = this.#limits;
    if (this.#owners.size >= maxTopics) {
      throw new TopicLimitError(
        "too_many_topics",
        `Expected at most ${maxTopics} topics in all relays: delete some, or try again later`,
      );
    }
    const owned = owner === undefined ? 0 : this.#owned.get(owner) ?? 0;
    if (owned < maxTopicsPerToken) return;
    throw new TopicLimitError(
      "too_many_topics_of_token",
      `Expected at most ${maxTopicsPerToken} topics of one token: delete some, or try again later`,
    );
  }

  /** Takes note of a topic as it is now. */
  tell(
    { name, facts, end }: Pick<StoredTopic, "name" | "facts" | "end">,
  ): void {
    if (end && !this.#countsEnded) this.remove(name);
    else this.add(name, facts.owner);
  }

  /** Takes note of a topic, or of its owner. */
  add(name: string, owner: string | undefined): void {
    if (this.#owners.has(name)) {
      if (this.#owners.get(name) === owner) return;
      this.remove(name);
    }
    this.#owners.set(name, owner);
    if (owner === undefined) return;
    this.#owned.set(owner, (this.#owned.get(owner) ?? 0) + 1);
  }

  /** Takes note that there is no such topic any more. */
  remove(name: string): void {
    const owner = this.#owners.get(name);
    if (!this.#owners.delete(name) || owner === undefined) return;
    const left = (this.#owned.get(owner) ?? 0) - 1;
    if (left > 0) this.#owned.set(owner, left);
    else this.#owned.delete(owner);
  }

  /** Forgets all. */
  clear(): void {
    this.#owners.clear();
    this.#owned.clear();
  }
}
