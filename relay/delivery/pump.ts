import {
  clearImmediate,
  clearInterval,
  clearTimeout,
  setImmediate,
  setInterval,
  setTimeout,
} from "node:timers";
import { Line } from "../line.ts";
import type { Appended } from "../topics/log.ts";
import type { Topic, TopicObserver } from "../topics/topic.ts";
import { Lane } from "./lane.ts";
import type { Subscription } from "./subscription.ts";

/**
 * The number of subscriptions of one topic that are woken before another topic
 * has its turn.
 */
export const SLICE = 64;

/**
 * The number of subscriptions that are woken before the loop may look at
 * sockets and timers: 4 ms or more.
 *
 * Measured with 1,000 subscribers. At full speed a million deliveries take 2 to 4 %
 * more processor time than without turns, and 10 to 14 % more with 256. At 1,000
 * events/s the p50 is 8.5 ms, and 7 with 256; the p99 is 24 to 28 with both.
 */
export const TURN = 512;

/**
 * The number of encoded bytes after which a turn ends, however few were woken: each
 * may be the first to read an event. Some 5 ms.
 */
const TURN_BYTES = 1024 * 1024;

/**
 * The number of rounds until the loop has looked at its sockets: while there is
 * other work, Deno does so in every 61st only (tokio's `LocalSet`). A round in
 * which nothing happens costs some 2 µs.
 */
const LOOK = 64;

/**
 * The time after which a turn follows however few rounds there were, in milliseconds,
 * if the last turn took less: under load a round takes milliseconds, and turns would
 * come seconds apart.
 */
const MAX_LOOK = 5;

/** After so many rounds without news nothing is at hand of what was seen. */
const QUIET = 8;

/** The least time that is worth waiting for a store, in milliseconds: timers are no finer. */
const LEAST_PAUSE = 1;

/**
 * The time between two looks for subscriptions that do not take what they were given, in
 * milliseconds. The writers of a topic wait for a subscription until the second look, and
 * then no more until it has caught up. Looks count, and not time: a process that stood
 * still could not see that the subscription was done.
 */
const LOOK_FOR_STUCK = 50;

/**
 * Wakes the subscriptions that wait, once their topic has something new, and
 * those that could not say all at once.
 *
 * Each topic has a lane: who is woken there goes to its end. Lanes are served in
 * rotation, a slice each, and after a turn the loop looks at what else there is:
 * however many follow a topic, and however much one of them has to read, another
 * topic waits for a slice of it. While a subscription waits for its place, more
 * events gather for it.
 *
 * After a turn comes a rest, in which the input that is at hand is taken in, so
 * that events which arrived together leave together. It is hardly longer than the
 * turn was. An upstream cannot outrun those who read: where as much was added as
 * a message takes, those who fill the topic wait until all have had it.
 */
export class Pump implements TopicObserver, Disposable {
  readonly #lanes = new Map<Topic, Lane>();
  /** The lanes in which somebody is ready, in the order of their turns. */
  readonly #ready = new Line<Lane>();
  /** The lanes that have news for those who wait. */
  readonly #changed = new Line<Lane>();
  #round: NodeJS.Immediate | undefined;
  /** The end of a rest in which the store gets the processor. */
  #pause: NodeJS.Timeout | undefined;
  /** The lanes for which the store was about to keep more when this rest had seen its input. */
  #expected: Map<Lane, number> | undefined;
  /** Gives up on who does not read, while somebody is held up. */
  #patience: NodeJS.Timeout | undefined;
  /** The time of the last look, in milliseconds. */
  #lookedAt = -Infinity;
  /** The numbers of rounds since the last turn, and since the last news. */
  #restRounds = 0;
  #quietRounds = 0;
  /** The number of subscriptions woken since the last rest. */
  #woken = 0;
  /** The time that waking them took, in milliseconds. */
  #busyTime = 0;
  /** The number of bytes that were encoded since the last rest. */
  #encoded = 0;
  /** The time at which the last turn ended, in milliseconds. */
  #turnEnd = 0;

  /** Takes up a subscription. */
  join({ topic }: Subscription): void {
    let lane = this.#lanes.get(topic);
    if (!lane) {
      lane = new Lane(topic, topic.observe(this));
      this.#lanes.set(topic, lane);
    }
    lane.join();
  }

  /** Wakes a subscription at its topic's next change. */
  wait(subscription: Subscription): void {
    this.#lanes.get(subscription.topic)?.wait(subscription);
  }

  /** Wakes a subscription when it is its turn: it has more to say. */
  goOn(subscription: Subscription): void {
    const lane = this.#lanes.get(subscription.topic);
    if (!lane) return;
    lane.goOn(subscription);
    this.#ready.push(lane.readyPlace);
    this.#schedule();
  }

  /** Lets a subscription go, and wakes it no more. */
  leave(subscription: Subscription): void {
    const lane = this.#lanes.get(subscription.topic);
    if (!lane?.leave(subscription)) return;
    this.#lanes.delete(subscription.topic);
    this.#ready.delete(lane.readyPlace);
    this.#changed.delete(lane.changedPlace);
  }

  /** Takes a topic's news, for the next turn. */
  changed(topic: Topic, appended?: Appended): void {
    const lane = this.#lanes.get(topic);
    if (!lane) return;
    this.#quietRounds = 0;
    this.#changed.push(lane.changedPlace);
    this.#hasCome(lane);
    if (appended && lane.count(appended)) {
      this.#patience ??= setInterval(this.#giveUp, LOOK_FOR_STUCK);
    }
    this.#schedule();
  }

  /** Holds up those who fill a topic faster than it can be delivered. */
  caughtUp(topic: Topic): Promise<void> | undefined {
    return this.#lanes.get(topic)?.caughtUp;
  }

  /** Wakes nobody any more. */
  [Symbol.dispose](): void {
    if (this.#round) clearImmediate(this.#round);
    clearTimeout(this.#pause);
    clearInterval(this.#patience);
    for (const lane of this.#lanes.values()) lane.close();
    this.#lanes.clear();
    this.#ready.clear();
    this.#changed.clear();
  }

  #schedule(): void {
    if (this.#pause) return;
    this.#round ??= setImmediate(this.#onRound);
  }

  /**
   * Once around the loop: a turn, or, while there is rest, another round.
   *
   * An upstream that sends each event in an HTTP chunk of its own gives one event
   * a round, however many are at hand. Taking them in costs less than sending
   * each by itself.
   */
  readonly #onRound = (): void => {
    this.#round = undefined;
    // A subscription with more to read need not wait for new events.
    if (this.#woken >= TURN || this.#ready.size === 0) {
      if (this.#rests()) return this.#schedule();
      this.#woken = 0;
      this.#encoded = 0;
      this.#busyTime = 0;
    }
    this.#expected = undefined;
    const start = performance.now();
    this.#turn();
    this.#turnEnd = performance.now();
    this.#busyTime += this.#turnEnd - start;
    this.#restRounds = 0;
    this.#quietRounds = 0;
    if (this.#ready.size > 0 || this.#changed.size > 0) this.#schedule();
  };

  #rests(): boolean {
    this.#quietRounds++;
    const rested = performance.now() - this.#turnEnd;
    // Whoever else has sent something is seen first.
    if (++this.#restRounds <= LOOK && this.#woken >= TURN) {
      return rested < Math.max(this.#busyTime, MAX_LOOK);
    }
    const left = this.#busyTime - rested;
    if (left <= 0 || this.#hasEnough()) return false;
    const enough = this.#ready.size > 0 ? QUIET : LOOK;
    return this.#quietRounds <= enough || this.#pauses(left);
  }

  /**
   * Leaves the processor to the store while it is about to keep more for many.
   *
   * Measured with 1,000 subscribers, 1,000 events/s and a store that syncs, on one core:
   * while the pump woke them, the store's thread had no time, and each event waited for
   * a turn more.
   *
   * @param most The longest time, in milliseconds.
   * @returns Whether there is anything to wait for.
   */
  #pauses(most: number): boolean {
    if (most < LEAST_PAUSE) return false;
    this.#expected ??= this.#unkept();
    if (this.#expected.size === 0) return false;
    this.#pause = setTimeout(this.#endPause, most);
    return true;
  }

  #unkept(): Map<Lane, number> {
    const unkept = new Map<Lane, number>();
    for (const lanes of [this.#changed, this.#ready]) {
      for (const lane of lanes) {
        // For few, another turn is soon over.
        if (lane.followers <= SLICE || !lane.hasLittle) continue;
        if (lane.tail > lane.next) unkept.set(lane, lane.tail);
      }
    }
    return unkept;
  }

  /** There is news: the pause is over if it was the last that was expected, or another topic's. */
  #hasCome(lane: Lane): void {
    if (!this.#pause) return;
    const tail = this.#expected?.get(lane);
    if (tail !== undefined && lane.next < tail) return;
    this.#expected?.delete(lane);
    if (tail === undefined || this.#expected?.size === 0) this.#endPause();
  }

  readonly #endPause = (): void => {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    // Nothing more is waited for in this rest.
    this.#expected?.clear();
    this.#schedule();
  };

  readonly #giveUp = (): void => {
    const before = this.#lookedAt;
    this.#lookedAt = performance.now();
    let isHeld = false;
    for (const lane of this.#lanes.values()) {
      lane.giveUp(before);
      isHeld ||= lane.isHeld;
    }
    if (isHeld) return;
    clearInterval(this.#patience);
    this.#patience = undefined;
    this.#lookedAt = -Infinity;
  };

  #hasEnough(): boolean {
    for (const { isHeld } of this.#changed) if (isHeld) return true;
    return false;
  }

  #turn(): void {
    this.#admit();
    while (this.#woken < TURN) {
      const lane = this.#ready.first;
      if (!lane) return;
      this.#wakeSlice(lane);
      this.#admit();
      // The next slice is another topic's, though it has joined just now.
      this.#ready.delete(lane.readyPlace);
      if (lane.ready.size > 0) this.#ready.push(lane.readyPlace);
    }
  }

  /** Lets those join who have waited for what has changed. */
  #admit(): void {
    for (let lane = this.#changed.shift(); lane; lane = this.#changed.shift()) {
      lane.admit();
      if (lane.ready.size > 0) this.#ready.push(lane.readyPlace);
    }
  }

  #wakeSlice(lane: Lane): void {
    let left = Math.min(SLICE, TURN - this.#woken);
    const now = performance.now();
    for (;;) {
      const subscription = lane.ready.first;
      if (!subscription) return;
      const { counts } = subscription;
      const before = counts.encoded;
      lane.take(subscription, now);
      this.#woken++;
      subscription.wake();
      this.#encoded += counts.encoded - before;
      // As if as many had been woken as a turn may wake.
      if (this.#encoded >= TURN_BYTES) this.#woken = TURN;
      if (--left === 0 || this.#woken >= TURN) return;
    }
  }
}
