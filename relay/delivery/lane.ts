import type { ReadBudget } from "../topics/log.ts";
import type { Topic } from "../topics/topic.ts";
import type { Subscriber } from "./subscriber.ts";
import type { Subscription } from "./subscription.ts";

/**
 * How much may be added to a topic for each time that its subscriptions are
 * woken: three quarters of what each is given then, as messages are cut where
 * others can share them.
 */
const SHARE: ReadBudget = { events: 384, bytes: 24 * 1024 };

/** From how much of a share on it is remembered who has yet to take it. */
const WORTH_COUNTING = 0.5;

/**
 * The subscriptions of one topic, in the order in which they are woken.
 *
 * It also counts what is added against what is taken, so that those can be held
 * up who fill a topic faster than it can be delivered. Who has been found not to
 * read is waited for no more until it has caught up.
 */
export class Lane {
  /** Those whose turn is to come, in order. */
  ready = new Map<Subscription, Subscriber>();
  readonly #topic: Topic;
  readonly #unobserve: () => void;
  /** Those that have said all there is. */
  #waiting = new Map<Subscription, Subscriber>();
  /** Those that were woken, and are neither waiting nor ready again; when, in milliseconds. */
  readonly #out = new Map<Subscription, number>();
  /** Those that did not come back in time, and have not caught up since. */
  readonly #stuck = new Set<Subscription>();
  #followers = 0;
  /** Up to where it was counted what is added. */
  #next: number;
  /** How many times all have to be woken for what was added. */
  #due = 0;
  /** How many are still to be woken of those that were ready when the round began. */
  #roundLeft = 0;
  /** What was due then. */
  #roundDue = 0;
  /** Those that have to be back before that is once less. */
  readonly #owed = new Set<Subscription>();
  #caughtUp: PromiseWithResolvers<void> | undefined;

  /**
   * Makes a lane without followers.
   *
   * @param topic What they follow.
   * @param unobserve Called when the last one has left.
   */
  constructor(topic: Topic, unobserve: () => void) {
    this.#topic = topic;
    this.#next = topic.log.next;
    this.#unobserve = unobserve;
  }

  /** Resolves when more can be added; `undefined` where it can be already. */
  get caughtUp(): Promise<void> | undefined {
    return this.#caughtUp?.promise;
  }

  /** Whether those who add more are held up. */
  get isHeld(): boolean {
    return this.#caughtUp !== undefined;
  }

  /** Takes up a follower. */
  join(): void {
    this.#followers++;
  }

  /**
   * Lets a follower go.
   *
   * @returns Whether it was the last one: the lane is over then.
   */
  leave(subscription: Subscription): boolean {
    this.#waiting.delete(subscription);
    this.ready.delete(subscription);
    this.#stuck.delete(subscription);
    this.#back(subscription);
    if (--this.#followers > 0) return false;
    this.close();
    return true;
  }

  /** Holds up nobody any more. */
  close(): void {
    this.#unobserve();
    this.#release();
  }

  /** Takes one that has said all there is. */
  wait(subscription: Subscription, subscriber: Subscriber): void {
    this.#waiting.set(subscription, subscriber);
    if (this.#stuck.size > 0) this.#stuck.delete(subscription);
    this.#back(subscription);
  }

  /** Takes one that has more to say. */
  goOn(subscription: Subscription, subscriber: Subscriber): void {
    this.ready.set(subscription, subscriber);
    this.#back(subscription);
  }

  /** Lets those join who have waited. */
  admit(): void {
    if (this.ready.size === 0) {
      [this.ready, this.#waiting] = [this.#waiting, this.ready];
      return;
    }
    for (const [subscription, subscriber] of this.#waiting) {
      this.ready.set(subscription, subscriber);
    }
    this.#waiting.clear();
  }

  /** Takes one out of the line that is woken now, in milliseconds. */
  take(subscription: Subscription, now: number): void {
    this.ready.delete(subscription);
    if (--this.#roundLeft <= 0) this.#beginRound();
    // Where little is added, nobody will have to be waited for.
    if (this.#due < WORTH_COUNTING || this.#stuck.has(subscription)) return;
    this.#out.set(subscription, now);
  }

  /**
   * Counts what was added.
   *
   * @returns Whether those who add more have to be held up.
   */
  count(): boolean {
    const { log } = this.#topic;
    const from = Math.max(this.#next, log.first);
    const events = log.next - from;
    this.#next = log.next;
    if (events <= 0) return false;
    const range = log.read(from, { events, bytes: Infinity });
    let bytes = 0;
    // What has to be fetched is not what has just been added.
    if (range instanceof Promise) range.catch(() => {});
    else for (const { size } of range.entries) bytes += size;
    this.#due += Math.max(events / SHARE.events, bytes / SHARE.bytes);
    if (this.#due < 1) return false;
    if (this.#caughtUp) return true;
    this.#caughtUp = Promise.withResolvers();
    this.#owe();
    for (const subscription of this.#waiting.keys()) {
      this.#owed.add(subscription);
    }
    if (this.#owed.size > 0) return true;
    this.#release();
    return false;
  }

  /**
   * Waits no longer for those that were woken before some time, and have not
   * taken it yet.
   */
  giveUp(before: number): void {
    if (!this.#caughtUp) return;
    for (const [subscription, time] of this.#out) {
      if (time >= before) continue;
      this.#out.delete(subscription);
      this.#owed.delete(subscription);
      this.#stuck.add(subscription);
    }
    this.#settle();
  }

  /** All have been woken for what was due when the last one began: less than a share. */
  #beginRound(): void {
    if (!this.#caughtUp) this.#due = Math.max(this.#due - this.#roundDue, 0);
    this.#roundDue = this.#due;
    this.#roundLeft = this.ready.size;
  }

  #back(subscription: Subscription): void {
    if (this.#out.size > 0) this.#out.delete(subscription);
    if (this.#owed.size > 0 && this.#owed.delete(subscription)) this.#settle();
    // All that was added is taken.
    if (this.#out.size === 0 && this.ready.size === 0) {
      this.#due = 0;
      this.#roundDue = 0;
    }
  }

  #settle(): void {
    if (!this.#caughtUp || this.#owed.size > 0) return;
    this.#due--;
    if (this.#due >= 1) this.#owe();
    if (this.#owed.size === 0) this.#release();
  }

  /** Everybody has to be woken once more who has not caught up, and reads. */
  #owe(): void {
    for (const subscription of this.#out.keys()) this.#owed.add(subscription);
    for (const subscription of this.ready.keys()) {
      if (!this.#stuck.has(subscription)) this.#owed.add(subscription);
    }
  }

  #release(): void {
    // Where as much was due still, nobody is left to take it.
    if (this.#due >= 1) this.#due = 0;
    this.#owed.clear();
    this.#caughtUp?.resolve();
    this.#caughtUp = undefined;
    this.#roundDue = this.#due;
    this.#roundLeft = this.ready.size;
  }
}
