import type { Topic } from "../topics/topic.ts";
import type { TopicRegistry } from "../topics/registry.ts";

/** How many entries there may be before those are looked for that are over. */
const MIN_SWEEP = 1_000;

/** What is known of topics by something else than their names, for as long as they are there. */
export class TopicIndex<Entry extends { readonly topic: Topic }> {
  readonly #topics: TopicRegistry;
  readonly #byKey = new Map<string, Entry>();
  #sweepAt = MIN_SWEEP;

  /** Makes an index without entries. */
  constructor(topics: TopicRegistry) {
    this.#topics = topics;
  }

  /** Returns what is known by this key, unless its topic is gone. */
  get(key: string): Entry | undefined {
    const entry = this.#byKey.get(key);
    return entry && this.#isThere(entry) ? entry : undefined;
  }

  /** Puts something in. */
  set(key: string, entry: Entry): void {
    if (this.#byKey.size >= this.#sweepAt) this.#sweep();
    this.#byKey.set(key, entry);
  }

  /** Takes something out, if it is what this key stands for. */
  delete(key: string, entry: Entry): void {
    if (this.#byKey.get(key) === entry) this.#byKey.delete(key);
  }

  #isThere({ topic }: Entry): boolean {
    return this.#topics.get(topic.name) === topic;
  }

  #sweep(): void {
    for (const [key, entry] of this.#byKey) {
      if (!this.#isThere(entry)) this.#byKey.delete(key);
    }
    this.#sweepAt = Math.max(2 * this.#byKey.size, MIN_SWEEP);
  }
}
