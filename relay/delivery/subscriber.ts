import type { Pump } from "./pump.ts";
import type { Subscription } from "./subscription.ts";
import type { Watch, Watched } from "./watch.ts";

/** Where a subscriber's bytes go. */
export interface Sink {
  /**
   * Writes bytes, and calls `done` when they have left for the network: that a
   * peer does not read is seen by `done` not being called.
   */
  write(bytes: Uint8Array, done: () => void): void;
}

/** What becomes of readers that have something to read and take nothing. */
export interface SlowReaders {
  /** After how long. */
  readonly watch: Watch;
  /** Whether they lose what they have not read, or the connection. */
  readonly then: "gap" | "close";
}

/** What a door wants to know of its subscriber. */
export interface SubscriberEvents {
  /** The end of a subscription has been written; it says nothing more. */
  onEnd(subscription: Subscription): void;
  /** Something cannot be read from a log: the subscriber cannot be served rightly. */
  onError(error: unknown): void;
  /** The peer is too slow to be kept; called again while it takes nothing. */
  onSlow(): void;
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
export class Subscriber implements Disposable {
  readonly #sink: Sink;
  readonly #pump: Pump;
  readonly #events: SubscriberEvents;
  readonly #slow: SlowReaders | undefined;
  readonly #watched: Watched | undefined;
  /** Answers to what the peer asked: they go before events. */
  readonly #answers: Uint8Array[] = [];
  /** Subscriptions that may have something to say, each once. */
  readonly #ready = new Set<Subscription>();
  readonly #unfollow = new Map<Subscription, () => void>();
  /** Subscriptions that wait for the peer to take what was sent. */
  readonly #blocked = new Map<Subscription, Watched>();
  #begun = 0;
  #finished = 0;
  #told = 0;
  #isReading = false;
  #closed = false;
  readonly #done = (): void => {
    this.#finished++;
    this.#work();
  };

  /**
   * Makes a subscriber that follows nothing yet.
   *
   * @param sink Where its bytes go.
   * @param pump Wakes it.
   * @param events Who is told.
   * @param slow What becomes of it where it is slow. Default: nothing.
   */
  constructor(
    sink: Sink,
    pump: Pump,
    events: SubscriberEvents,
    slow?: SlowReaders,
  ) {
    this.#sink = sink;
    this.#pump = pump;
    this.#events = events;
    this.#slow = slow;
    if (!slow) return;
    let begun = 0;
    this.#watched = {
      takeSign: (): boolean => {
        const before = begun;
        begun = this.#begun;
        return begun > before || begun === this.#finished;
      },
      onQuiet: (): void => this.#onSlow(this.#unfollow.keys()),
    };
    slow.watch.add(this.#watched);
  }

  /** How many answers wait for an earlier write. */
  get backlog(): number {
    return this.#answers.length;
  }

  /** Whether anything was written since this was last asked, or still is. */
  takeWrote(): boolean {
    const before = this.#told;
    this.#told = this.#begun;
    return this.#begun > before || this.#begun > this.#finished;
  }

  /** How many writes were begun. */
  get begun(): number {
    return this.#begun;
  }

  /** How many of them have finished: one less while a write is under way. */
  get finished(): number {
    return this.#finished;
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
    this.#pump.join(subscription);
    this.wake(subscription);
  }

  /** Stops delivering a subscription. */
  remove(subscription: Subscription): void {
    this.#remove(subscription);
    // It may have waited for its turn on behalf of the others.
    this.#work();
  }

  /** Lets a subscription have its turn: it may have something to say. */
  wake(subscription: Subscription): void {
    if (!this.#unfollow.has(subscription)) return;
    if (!subscription.blocked) this.#unblock(subscription);
    this.#ready.add(subscription);
    this.#work(true);
  }

  /**
   * Stops everything, but for the answers that are still due: they go out now.
   * Whether they do is still watched.
   */
  close(): void {
    this.#closed = true;
    for (const answer of this.#answers.splice(0)) {
      this.#sink.write(answer, () => {});
    }
    for (const subscription of [...this.#unfollow.keys()]) {
      this.#remove(subscription);
    }
  }

  /** Stops everything: the peer is gone. */
  [Symbol.dispose](): void {
    this.close();
    if (this.#watched) this.#slow?.watch.delete(this.#watched);
  }

  #remove(subscription: Subscription): void {
    const unfollow = this.#unfollow.get(subscription);
    if (!unfollow) return;
    unfollow();
    this.#unfollow.delete(subscription);
    this.#ready.delete(subscription);
    this.#unblock(subscription);
    this.#pump.leave(subscription);
  }

  get #isBusy(): boolean {
    return this.#isReading || this.#begun > this.#finished;
  }

  /**
   * Writes what comes next.
   *
   * @param isTurn Whether events may be written. Without that, who has more of
   * them waits for its turn: a peer that reads as fast as it is written to would
   * have all others wait.
   */
  #work(isTurn = false): void {
    while (!this.#isBusy && !this.#closed) {
      const answer = this.#answers.shift();
      if (answer) {
        this.#write(answer);
        if (this.#answers.length === 0) this.#events.onDrain?.();
        continue;
      }
      const [subscription] = this.#ready;
      if (!subscription) return;
      // A message about events is no turn: what retention takes meanwhile could
      // make it the only one that ever comes.
      if (!isTurn && subscription.saidEvents && subscription.hasNews) {
        return this.#pump.goOn(subscription, this);
      }
      // Taken out and put in again: the next write is another subscription's turn.
      this.#ready.delete(subscription);
      const bytes = subscription.next();
      if (bytes instanceof Promise) {
        this.#writeLater(subscription, bytes);
      } else if (bytes) {
        this.#ready.add(subscription);
        this.#write(bytes);
      } else if (subscription.ended) {
        this.#remove(subscription);
        this.#events.onEnd(subscription);
      } else {
        if (subscription.blocked) this.#block(subscription);
        this.#pump.wait(subscription, this);
      }
    }
  }

  #write(bytes: Uint8Array): void {
    this.#begun++;
    this.#sink.write(bytes, this.#done);
  }

  #writeLater(subscription: Subscription, read: Promise<Uint8Array>): void {
    this.#isReading = true;
    read.then((bytes) => {
      this.#isReading = false;
      if (this.#closed) return;
      if (!this.#unfollow.has(subscription)) return this.#work();
      this.#ready.add(subscription);
      this.#write(bytes);
    }, (error) => {
      if (!this.#closed) this.#events.onError(error);
    });
  }

  #onSlow(subscriptions: Iterable<Subscription>): void {
    if (this.#slow?.then === "close") return this.#events.onSlow();
    for (const subscription of subscriptions) subscription.skip();
  }

  #block(subscription: Subscription): void {
    if (!this.#slow || this.#blocked.has(subscription)) return;
    let isNew = true;
    const watched = {
      takeSign: (): boolean => {
        const before = isNew;
        isNew = false;
        return before;
      },
      onQuiet: (): void => this.#onSlow([subscription]),
    };
    this.#blocked.set(subscription, watched);
    this.#slow.watch.add(watched);
  }

  #unblock(subscription: Subscription): void {
    const watched = this.#blocked.get(subscription);
    if (!watched) return;
    this.#blocked.delete(subscription);
    this.#slow?.watch.delete(watched);
  }
}
