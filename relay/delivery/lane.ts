import type { Appended, ReadBudget } from "../topics/log.ts";
import { Line, Place } from "../line.ts";
import type { Topic } from "../topics/topic.ts";
import type { Subscription } from "./subscription.ts";
import type { Standing } from "./turn.ts";

/**
 * The most that can be added to a topic for each time that its subscriptions are
 * woken. It is three quarters of a message: messages are cut where other
 * subscriptions can share them.
 */
const SHARE: ReadBudget = { events: 384, bytes: 24 * 1024 };

/** The part of a share from which the lane remembers the subscriptions that have yet to take it. */
const WORTH_COUNTING = 0.5;

/**
 * The subscriptions of one topic, in the order in which they are woken. Each
 * stands in one line at most: its turn says in which.
 *
 * The lane counts what is added against what is taken. It holds up publishers and
 * sources that fill the topic faster than it can be delivered. It no longer waits
 * for a subscription whose reader does not read, until that has caught up.
 */
export class Lane {
  /** Its place among the lanes in which somebody is ready. */
  readonly readyPlace: Place<Lane> = new Place<Lane>(this);
  /** Its place among the lanes that have news. */
  readonly changedPlace: Place<Lane> = new Place<Lane>(this);
  readonly #topic: Topic;
  readonly #unobserve: () => void;
  /** The subscriptions whose turn is to come, in order. */
  #ready = new Line<Subscription>();
  /** The subscriptions that have said all there is. */
  #waiting = new Line<Subscription>();
  /** The subscriptions that were woken, and are expected back. */
  readonly #out = new Line<Subscription>();
  #followers = 0;
  /** The number of times that all have to be woken for what was added. */
  #due = 0;
  /** The number still to be woken of those that were ready when the round began. */
  #roundLeft = 0;
  /** The value of `#due` then. */
  #roundDue = 0;
  /** The number of the latest hold: a turn with another number is awaited no more. */
  #hold = 1;
  /** The number of subscriptions that the hold waits for, before one time less is due. */
  #awaited = 0;
  #caughtUp: PromiseWithResolvers<void> | undefined;

  /**
   * Makes a lane without followers.
   *
   * @param topic The topic that they follow.
   * @param unobserve Called when the last one has left.
   */
  constructor(topic: Topic, unobserve: () => void) {
    this.#topic = topic;
    this.#unobserve = unobserve;
  }

  /** The subscriptions whose turn is to come, in order. */
  get ready(): Line<Subscription> {
    return this.#ready;
  }

  /** Whether little is due to its subscriptions, so that more of it makes a larger message. */
  get hasLittle(): boolean {
    return this.#due < WORTH_COUNTING;
  }

  /** The number of subscriptions. */
  get followers(): number {
    return this.#followers;
  }

  /** The offset after what the log keeps. */
  get next(): number {
    return this.#topic.log.next;
  }

  /** The offset after what it is about to keep. */
  get tail(): number {
    return this.#topic.tail;
  }

  /** Resolves when more can be added; `undefined` if more can be added now. */
  get caughtUp(): Promise<void> | undefined {
    return this.#caughtUp?.promise;
  }

  /** Whether the lane holds up whatever fills the topic. */
  get isHeld(): boolean {
    return this.#caughtUp !== undefined;
  }

  /** Counts a follower. */
  join(): void {
    this.#followers++;
  }

  /**
   * Lets a follower go.
   *
   * @returns Whether it was the last one: the lane is over then.
   */
  leave(subscription: Subscription): boolean {
    this.#move(subscription, "away");
    this.#back(subscription);
    if (--this.#followers > 0) return false;
    this.close();
    return true;
  }

  /** Stops to observe the topic, and holds nothing up any more. */
  close(): void {
    this.#unobserve();
    this.#release();
  }

  /** Takes back a subscription that has said all there is. */
  wait(subscription: Subscription): void {
    this.#move(subscription, "waiting");
    subscription.turn.isStuck = false;
    this.#back(subscription);
  }

  /** Takes back a subscription that has more to say. */
  goOn(subscription: Subscription): void {
    this.#move(subscription, "ready");
    this.#back(subscription);
  }

  /** Makes the subscriptions ready that have waited. */
  admit(): void {
    if (this.#ready.size === 0) {
      const waiting = this.#waiting;
      for (let place = waiting.head; place; place = place.behind) {
        place.holder.turn.standing = "ready";
      }
      this.#waiting = this.#ready;
      this.#ready = waiting;
      return;
    }
    for (const subscription of this.#waiting) this.#move(subscription, "ready");
  }

  /**
   * Takes a subscription out of its line, to be woken.
   *
   * @param now The time, in milliseconds.
   */
  take(subscription: Subscription, now: number): void {
    this.#move(subscription, "away");
    if (--this.#roundLeft <= 0) this.#beginRound();
    // If little is added, nothing will have to wait.
    if (this.#due < WORTH_COUNTING || subscription.turn.isStuck) return;
    subscription.turn.wokenAt = now;
    this.#move(subscription, "out");
  }

  /**
   * Counts what was added.
   *
   * @returns Whether the lane holds up whatever fills the topic.
   */
  count({ count, bytes }: Appended): boolean {
    const { log } = this.#topic;
    // Retention can evict a part of an append at once: that is not delivered.
    const events = Math.min(count, log.next - log.first);
    this.#due += Math.max(
      events / SHARE.events,
      Math.min(bytes, log.bytes) / SHARE.bytes,
    );
    if (this.#due < 1) return false;
    if (this.#caughtUp) return true;
    this.#caughtUp = Promise.withResolvers();
    this.#awaitAll();
    for (const subscription of this.#waiting) this.#await(subscription);
    if (this.#awaited > 0) return true;
    this.#release();
    return false;
  }

  /**
   * Waits no longer for subscriptions that were woken before some time, and are
   * not back.
   */
  giveUp(before: number): void {
    if (!this.#caughtUp) return;
    for (const subscription of this.#out) {
      const { turn } = subscription;
      if (turn.wokenAt >= before) continue;
      this.#move(subscription, "away");
      this.#returned(subscription);
      turn.isStuck = true;
    }
    this.#settle();
  }

  #line(standing: Standing): Line<Subscription> | undefined {
    switch (standing) {
      case "waiting":
        return this.#waiting;
      case "ready":
        return this.#ready;
      case "out":
        return this.#out;
      case "away":
        return undefined;
    }
  }

  /** Moves a subscription to the end of a line; in its own line it keeps its place. */
  #move({ turn }: Subscription, standing: Standing): void {
    if (turn.standing === standing) return;
    this.#line(turn.standing)?.delete(turn);
    turn.standing = standing;
    this.#line(standing)?.push(turn);
  }

  /** Begins a round: all were woken for what was due when the last one began. */
  #beginRound(): void {
    if (!this.#caughtUp) this.#due = Math.max(this.#due - this.#roundDue, 0);
    this.#roundDue = this.#due;
    this.#roundLeft = this.#ready.size;
  }

  #back(subscription: Subscription): void {
    if (this.#returned(subscription)) this.#settle();
    // All that was added is taken.
    if (this.#out.size === 0 && this.#ready.size === 0) {
      this.#due = 0;
      this.#roundDue = 0;
    }
  }

  #settle(): void {
    if (!this.#caughtUp || this.#awaited > 0) return;
    this.#due--;
    if (this.#due >= 1) this.#awaitAll();
    if (this.#awaited === 0) this.#release();
  }

  /** Waits for every subscription that has not caught up, and whose reader reads. */
  #awaitAll(): void {
    for (const subscription of this.#out) this.#await(subscription);
    for (const subscription of this.#ready) {
      if (!subscription.turn.isStuck) this.#await(subscription);
    }
  }

  #await({ turn }: Subscription): void {
    if (turn.awaitedBy === this.#hold) return;
    turn.awaitedBy = this.#hold;
    this.#awaited++;
  }

  /** Counts a subscription as back; returns whether the lane waited for it. */
  #returned({ turn }: Subscription): boolean {
    if (turn.awaitedBy !== this.#hold) return false;
    turn.awaitedBy = 0;
    this.#awaited--;
    return true;
  }

  #release(): void {
    // If a share is still due, no subscription is left to take it.
    if (this.#due >= 1) this.#due = 0;
    this.#hold++;
    this.#awaited = 0;
    this.#caughtUp?.resolve();
    this.#caughtUp = undefined;
    this.#roundDue = this.#due;
    this.#roundLeft = this.#ready.size;
  }
}
