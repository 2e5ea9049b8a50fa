import type { Pump } from "./pump.ts";
import type { Subscription } from "./subscription.ts";

/** Where a subscriber's bytes go. */
export interface Sink {
  /**
   * Writes bytes, and calls `done` when they have left for the network: that a
   * peer does not read is seen by `done` not being called.
   */
  write(bytes: Uint8Array, done: () => void): void;
}

/** What a door wants to know of its subscriber. */
export interface SubscriberEvents {
  /** The end of a subscription has been written; it says nothing more. */
  onEnd(subscription: Subscription): void;
  /** Something cannot be read from a log: the subscriber cannot be served rightly. */
  onError(error: unknown): void;
  /** All answers have been written. */
  onDrain?(): void;
}

/**
 * One peer, with any number of subscriptions and one write under way.
 *
 * It keeps no events: when a write is done it asks its subscriptions, in turn,
 * for what comes next. A peer that stops reading costs the one write that does
 * not finish.
 */
export class Subscriber {
  readonly #sink: Sink;
  readonly #pump: Pump;
  readonly #events: SubscriberEvents;
  /** Answers to what the peer asked: they go before events. */
  readonly #answers: Uint8Array[] = [];
  /** Subscriptions that may have something to say, each once. */
  readonly #ready = new Set<Subscription>();
  readonly #unfollow = new Map<Subscription, () => void>();
  #busy = false;
  #closed = false;
  #wrote = false;
  readonly #done = (): void => {
    this.#busy = false;
    this.#work();
  };

  /** Makes a subscriber that follows nothing yet. */
  constructor(sink: Sink, pump: Pump, events: SubscriberEvents) {
    this.#sink = sink;
    this.#pump = pump;
    this.#events = events;
  }

  /** How many answers wait for an earlier write. */
  get backlog(): number {
    return this.#answers.length;
  }

  /** Whether a write is under way. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Whether anything was written since this was last asked. */
  takeWrote(): boolean {
    const wrote = this.#wrote;
    this.#wrote = false;
    return wrote;
  }

  /** Sends an answer, before any further events. */
  answer(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#answers.push(bytes);
    this.#work();
  }

  /** Begins to deliver a subscription. */
  add(subscription: Subscription): void {
    this.#unfollow.set(subscription, subscription.topic.follow());
    this.wake(subscription);
  }

  /** Stops delivering a subscription. */
  remove(subscription: Subscription): void {
    this.#unfollow.get(subscription)?.();
    this.#unfollow.delete(subscription);
    this.#ready.delete(subscription);
    this.#pump.forget(subscription);
  }

  /** Says that a subscription may have something to say. */
  wake(subscription: Subscription): void {
    if (!this.#unfollow.has(subscription)) return;
    this.#ready.add(subscription);
    this.#work();
  }

  /** Stops everything, but for the answers that are still due: they go out now. */
  close(): void {
    this.#closed = true;
    for (const answer of this.#answers.splice(0)) {
      this.#sink.write(answer, () => {});
    }
    for (const subscription of [...this.#unfollow.keys()]) {
      this.remove(subscription);
    }
  }

  #work(): void {
    while (!this.#busy && !this.#closed) {
      const answer = this.#answers.shift();
      if (answer) {
        this.#write(answer);
        if (this.#answers.length === 0) this.#events.onDrain?.();
        continue;
      }
      const [subscription] = this.#ready;
      if (!subscription) return;
      // Taken out and put in again: the next write is another subscription's turn.
      this.#ready.delete(subscription);
      const bytes = subscription.next();
      if (bytes instanceof Promise) {
        this.#writeLater(subscription, bytes);
      } else if (bytes) {
        this.#ready.add(subscription);
        this.#write(bytes);
      } else if (subscription.ended) {
        this.remove(subscription);
        this.#events.onEnd(subscription);
      } else {
        this.#pump.wait(subscription, this);
      }
    }
  }

  #write(bytes: Uint8Array): void {
    this.#busy = true;
    this.#wrote = true;
    this.#sink.write(bytes, this.#done);
  }

  #writeLater(subscription: Subscription, read: Promise<Uint8Array>): void {
    this.#busy = true;
    read.then((bytes) => {
      if (this.#closed) return;
      if (!this.#unfollow.has(subscription)) return this.#done();
      this.#ready.add(subscription);
      this.#write(bytes);
    }, (error) => {
      if (!this.#closed) this.#events.onError(error);
    });
  }
}
