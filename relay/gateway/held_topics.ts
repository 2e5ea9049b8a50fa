import type { Clock } from "../../src/fetch/clock.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import type { Topic } from "../topics/topic.ts";

/** The topics whose run was refused, and may be asked for again. */
export class HeldTopics implements Disposable {
  readonly #topics: TopicRegistry;
  readonly #clock: Clock;
  readonly #cancels = new Map<Topic, () => void>();

  /** Makes a set without topics. */
  constructor(topics: TopicRegistry, clock: Clock) {
    this.#topics = topics;
    this.#clock = clock;
  }

  /** The number of topics that are held. */
  get size(): number {
    return this.#cancels.size;
  }

  /**
   * Holds a topic for the next run, and gives it up after a while.
   *
   * @param topic The topic: it is pending.
   * @param patience The time to wait for the next run, in milliseconds.
   * @param reason The reason of the failure that it ends with then.
   */
  hold(topic: Topic, patience: number, reason: string): void {
    this.#topics.release(topic);
    this.#cancels.set(
      topic,
      this.#clock.setTimeout(() => {
        this.take(topic);
        if (!this.#isFilled(topic)) topic.end("failed", reason);
      }, patience),
    );
    void topic.ended.then(() => this.take(topic));
  }

  /** Holds a topic no longer: a run fills it, or it has ended. */
  take(topic: Topic): void {
    this.#cancels.get(topic)?.();
    this.#cancels.delete(topic);
  }

  /** Gives up no topic any more: each stays as it is. */
  [Symbol.dispose](): void {
    for (const topic of [...this.#cancels.keys()]) this.take(topic);
  }

  /** Whether a publisher or a source has taken the topic over. */
  #isFilled(topic: Topic): boolean {
    return this.#topics.get(topic.name) === topic &&
      !this.#topics.isAwaited(topic);
  }
}
