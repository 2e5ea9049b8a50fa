import type { Appended, ReadBudget } from "../topics/log.ts";
import type { Topic } from "../topics/topic.ts";
import type { Subscription } from "./subscription.ts";
import type { Place } from "./turn.ts";

/**
 * How much may be added to a topic for each time that its subscriptions are
 * woken: three quarters of what each is given then, as messages are cut where
 * others can share them.
 */
const SHARE: ReadBudget = { events: 384, bytes: 24 * 1024 };

/** From how much of a share on it is remembered who has yet to take it. */
const WORTH_COUNTING = 0.5;

/**
 * The subscriptions of one topic, in the order in which they are woken. Each
 * stands in one line at most, as its turn says.
 *
 * It also counts what is added against what is taken, so that those can be held
 * up who fill a topic faster than it can be delivered. Who has been found not to
 * read is waited for no more until it has caught up.
 */
export class Lane {
  readonly #topic: Topic;
  readonly #unobserve: () => void;
  /** Those whose turn is to come, in order. */
  #ready = new Set<Subscription>();
  /** Those that have said all there is. */
  #waiting = new Set<Subscription>();
  /** Those that were woken, and are expected back. */
  readonly #out = new Set<Subscription>();
  #followers = 0;
  /** How many times all have to be woken for what was added. */
  #due = 0;
  /** How many are still to be woken of those that were ready when the round began. */
  #roundLeft = 0;
  /** What was due then. */
  #roundDue = 0;
  /** The number of the latest hold: no other is owed anything. */
  #hold = 1;
  /** How many have to be back before that is once less. */
  #owed = 0;
  #caughtUp: PromiseWithResolvers<void> | undefined;

  /**
   * Makes a lane without followers.
   *
   * @param topic What they follow.
   * @param unobserve Called when the last one has left.
   */
  constructor(topic: Topic, unobserve: () => void) {
    this.#topic = topic;
    this.#unobserve = unobserve;
  }

  /** Those whose turn is to come, in order. */
  get ready(): ReadonlySet<Subscription> {
    return this.#ready;
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
    this.#move(subscription, "away");
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
  wait(subscription: Subscription): void {
    this.#move(subscription, "waiting");
    subscription.turn.isStuck = false;
    this.#back(subscription);
  }

  /** Takes one that has more to say. */
  goOn(subscription: Subscription): void {
    this.#move(subscription, "ready");
    this.#back(subscription);
  }

  /** Lets those join who have waited. */
  admit(): void {
    for (const { turn } of this.#waiting) turn.place = "ready";
    if (this.#ready.size === 0) {
      [this.#ready, this.#waiting] = [this.#waiting, this.#ready];
      return;
    }
    for (const subscription of this.#waiting) this.#ready.add(subscription);
    this.#waiting.clear();
  }

  /** Takes one out of the line that is woken now, in milliseconds. */
  take(subscription: Subscription, now: number): void {
    this.#move(subscription, "away");
    if (--this.#roundLeft <= 0) this.#beginRound();
    // Where little is added, nobody will have to be waited for.
    if (this.#due < WORTH_COUNTING || subscription.turn.isStuck) return;
    subscription.turn.wokenAt = now;
    this.#move(subscription, "out");
  }

  /**
   * Counts what was added.
   *
   * @returns Whether those who add more have to be held up.
   */
  count({ count, bytes }: Appended): boolean {
    const { log } = this.#topic;
    // What retention has given up again is not to be delivered.
    const events = Math.min(count, log.next - log.first);
    this.#due += Math.max(
      events / SHARE.events,
      Math.min(bytes, log.bytes) / SHARE.bytes,
    );
    if (this.#due < 1) return false;
    if (this.#caughtUp) return true;
    this.#caughtUp = Promise.withResolvers();
    this.#oweAll();
    for (const subscription of this.#waiting) this.#owe(subscription);
    if (this.#owed > 0) return true;
    this.#release();
    return false;
  }

  /**
   * Waits no longer for those that were woken before some time, and have not
   * taken it yet.
   */
  giveUp(before: number): void {
    if (!this.#caughtUp) return;
    for (const subscription of this.#out) {
      const { turn } = subscription;
      if (turn.wokenAt >= before) continue;
      this.#move(subscription, "away");
      this.#pay(subscription);
      turn.isStuck = true;
    }
    this.#settle();
  }

  #line(place: Place): Set<Subscription> | undefined {
    switch (place) {
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

  /** To the end of a line; who stands in it already keeps its place. */
  #move(subscription: Subscription, place: Place): void {
    const { turn } = subscription;
    if (turn.place === place) return;
    this.#line(turn.place)?.delete(subscription);
    turn.place = place;
    this.#line(place)?.add(subscription);
  }

  /** All have been woken for what was due when the last one began: less than a share. */
  #beginRound(): void {
    if (!this.#caughtUp) this.#due = Math.max(this.#due - this.#roundDue, 0);
    this.#roundDue = this.#due;
    this.#roundLeft = this.#ready.size;
  }

  #back(subscription: Subscription): void {
    if (this.#pay(subscription)) this.#settle();
    // All that was added is taken.
    if (this.#out.size === 0 && this.#ready.size === 0) {
      this.#due = 0;
      this.#roundDue = 0;
    }
  }

  #settle(): void {
    if (!this.#caughtUp || this.#owed > 0) return;
    this.#due--;
    if (this.#due >= 1) this.#oweAll();
    if (this.#owed === 0) this.#release();
  }

  /** Everybody has to be woken once more who has not caught up, and reads. */
  #oweAll(): void {
    for (const subscription of this.#out) this.#owe(subscription);
    for (const subscription of this.#ready) {
      if (!subscription.turn.isStuck) this.#owe(subscription);
    }
  }

  #owe({ turn }: Subscription): void {
    if (turn.owedTo === this.#hold) return;
    turn.owedTo = this.#hold;
    this.#owed++;
  }

  /** Whether something was owed to it. */
  #pay({ turn }: Subscription): boolean {
    if (turn.owedTo !== this.#hold) return false;
    turn.owedTo = 0;
    this.#owed--;
    return true;
  }

  #release(): void {
    // Where as much was due still, nobody is left to take it.
    if (this.#due >= 1) this.#due = 0;
    this.#hold++;
    this.#owed = 0;
    this.#caughtUp?.resolve();
    this.#caughtUp = undefined;
    this.#roundDue = this.#due;
    this.#roundLeft = this.#ready.size;
  }
}
