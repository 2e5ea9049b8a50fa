import { clearImmediate, setImmediate } from "node:timers";
import type { Topic, TopicObserver } from "../topics/topic.ts";
import type { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

/** The subscriptions that have said all there is, of one topic. */
interface Waiting {
  readonly subscriptions: Map<Subscription, Subscriber>;
  readonly unobserve: () => void;
}

/**
 * Wakes the subscriptions that wait, once their topic has something new.
 *
 * A turn of it comes after the input that is at hand has been taken in, so that
 * events which arrived together leave together; while a turn writes to many,
 * more events gather for the next one.
 */
export class Pump implements TopicObserver, Disposable {
  readonly #waiting = new Map<Topic, Waiting>();
  readonly #changed = new Set<Topic>();
  #turn: NodeJS.Immediate | undefined;

  /** Wakes a subscription at its topic's next change. */
  wait(subscription: Subscription, subscriber: Subscriber): void {
    const { topic } = subscription;
    let waiting = this.#waiting.get(topic);
    if (!waiting) {
      waiting = {
        subscriptions: new Map(),
        unobserve: topic.observe(this),
      };
      this.#waiting.set(topic, waiting);
    }
    waiting.subscriptions.set(subscription, subscriber);
  }

  /** Wakes a subscription no more. */
  forget(subscription: Subscription): void {
    const { topic } = subscription;
    const waiting = this.#waiting.get(topic);
    if (!waiting?.subscriptions.delete(subscription)) return;
    if (waiting.subscriptions.size > 0) return;
    waiting.unobserve();
    this.#waiting.delete(topic);
  }

  /** Takes a topic's news, for the next turn. */
  changed(topic: Topic): void {
    this.#changed.add(topic);
    this.#turn ??= setImmediate(() => this.#run());
  }

  /** Wakes nobody any more. */
  [Symbol.dispose](): void {
    if (this.#turn) clearImmediate(this.#turn);
    for (const { unobserve } of this.#waiting.values()) unobserve();
    this.#waiting.clear();
    this.#changed.clear();
  }

  #run(): void {
    this.#turn = undefined;
    const topics = [...this.#changed];
    this.#changed.clear();
    for (const topic of topics) {
      const waiting = this.#waiting.get(topic);
      if (!waiting) continue;
      this.#waiting.delete(topic);
      waiting.unobserve();
      for (const [subscription, subscriber] of waiting.subscriptions) {
        subscriber.wake(subscription);
      }
    }
  }
}
