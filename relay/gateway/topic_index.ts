import type { Topic } from "../topics/topic.ts";
import type { TopicRegistry } from "../topics/registry.ts";

/** The number of entries above which entries of gone topics are looked for. */
const MIN_SWEEP = 1_000;

/** An index of topics by something else than their names. An entry lasts as long as its topic. */
export class TopicIndex<Entry extends { readonly topic: Topic }> {
  readonly #topics: TopicRegistry;
  readonly #byKey = new Map<string, Entry>();
  #sweepAt = MIN_SWEEP;

  /** Makes an index without entries. */
  constructor(topics: TopicRegistry) {
    this.#topics = topics;
  }

  /** Returns the entry of a key, unless its topic is gone. */
  get(key: string): Entry | undefined {
    const entry = this.#byKey.get(key);
    const topic = entry && this.#topicOf(entry);
    return topic && { ...entry, topic };
  }

  /** Sets the entry of a key. */
  set(key: string, entry: Entry): void {
    if (this.#byKey.size >= this.#sweepAt) this.#sweep();
    this.#byKey.set(key, entry);
  }

  /** Deletes the entry of a key. */
  remove(key: string): void {
    this.#byKey.delete(key);
  }

  /** Deletes an entry, if the key still stands for it. */
  delete(key: string, entry: Entry): void {
    if (this.#byKey.get(key) === entry) this.#byKey.delete(key);
  }

  /** Returns the topic of an entry: another object, where a store had it meanwhile. */
  #topicOf({ topic: { name, log } }: Entry): Topic | undefined {
    return this.#topics.get(name, log.epoch);
  }

  #sweep(): void {
    for (const [key, entry] of this.#byKey) {
      if (!this.#topicOf(entry)) this.#byKey.delete(key);
    }
    this.#sweepAt = Math.max(2 * this.#byKey.size, MIN_SWEEP);
  }
}
