import { clearImmediate, setImmediate } from "node:timers";
import type { Topic, TopicObserver } from "../topics/topic.ts";
import type { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

/** A turn is not put off for more events than this: about two messages. */
const ENOUGH = 500;

/**
 * How many rounds without news say that there is no input at hand: while there is
 * other work, Deno looks at its sockets in every 61st only (tokio's
 * `event_interval`), some 5 µs each.
 */
const QUIET_ROUNDS = 64;

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
 * more events gather for the next one. Taking in stops at a message or two, so
 * that an upstream cannot outrun those who read.
 */
export class Pump implements TopicObserver, Disposable {
  readonly #waiting = new Map<Topic, Waiting>();
  /** What the next turn is for, with the offset that each topic had come to. */
  readonly #changed = new Map<Topic, number>();
  #turn: NodeJS.Immediate | undefined;
  /** Until when the next turn may be put off, in milliseconds. */
  #putOffUntil = 0;
  /** How many times around the loop nothing has come. */
  #quietRounds = 0;
  /** How long the last turn took, in milliseconds. */
  #turnTime = 0;

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
    this.#quietRounds = 0;
    if (!this.#changed.has(topic)) this.#changed.set(topic, topic.log.next);
    if (this.#turn) return;
    this.#putOffUntil = performance.now() + this.#turnTime;
    this.#turn = setImmediate(this.#round);
  }

  /** Wakes nobody any more. */
  [Symbol.dispose](): void {
    if (this.#turn) clearImmediate(this.#turn);
    for (const { unobserve } of this.#waiting.values()) unobserve();
    this.#waiting.clear();
    this.#changed.clear();
  }

  /**
   * Once around the loop: the turn, or, while more is coming in, another round.
   *
   * An upstream that sends each event in an HTTP chunk of its own gives one event
   * a round, however many are at hand. Taking them in costs less than sending
   * each by itself, so up to as much time goes into it as into the last turn.
   */
  readonly #round = (): void => {
    const now = performance.now();
    if (
      now < this.#putOffUntil && this.#quietRounds++ < QUIET_ROUNDS &&
      !this.#hasEnough()
    ) {
      this.#turn = setImmediate(this.#round);
      return;
    }
    this.#turn = undefined;
    this.#run();
    this.#turnTime = performance.now() - now;
  };

  #hasEnough(): boolean {
    for (const [topic, next] of this.#changed) {
      if (topic.log.next - next >= ENOUGH) return true;
    }
    return false;
  }

  #run(): void {
    const topics = [...this.#changed.keys()];
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
