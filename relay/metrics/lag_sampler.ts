import type { Clock } from "../../src/fetch/clock.ts";
import type { Observer } from "./instruments.ts";

/** The part of a log that is sampled. */
interface LaggedLog {
  readonly first: number;
  readonly next: number;
  read(
    from: number,
    budget: { readonly events: number; readonly bytes: number },
  ): LaggedRange | Promise<LaggedRange>;
}

interface LaggedRange {
  readonly entries: readonly { readonly time: number }[];
}

/** A subscription, as far as its lag goes. */
export interface Lagging {
  /** The offset of the first event that it has not been written. */
  readonly cursor: number;
  /** The topic that it reads. */
  readonly topic: { readonly log: LaggedLog };
}

/** A connection, as far as the lag of its subscriptions goes. */
export interface Reader {
  /** The subscriptions of the connection. */
  readonly subscriptions: Iterable<Lagging>;
}

/** The connections of a door, and where their lag goes. */
export interface LagDoor {
  /** Those that are open. */
  readonly connections: Iterable<Reader>;
  /** Takes how many events a subscription is behind. */
  readonly events: Observer;
  /** Takes the age of the oldest of these that is still there, in seconds. */
  readonly seconds: Observer;
}

/**
 * The time between two samples of each subscription, in milliseconds: there is
 * something new whenever Prometheus asks, which it does every 15 s or less
 * often.
 */
const INTERVAL = 10_000;

/**
 * The number of subscriptions sampled before others have their turn: less than
 * a millisecond of work, a part of what the pump takes at a time.
 */
const SLICE = 256;

/** The time that others get then, in milliseconds. */
const PAUSE = 10;

/**
 * Looks at how far behind subscriptions are, all of them every 10 s.
 *
 * Nothing is counted where events are delivered: a log knows its end, and a
 * subscription its place. With 10,000 subscriptions that are behind it
 * takes 10 to 20 ms of processor time each time, in 40 slices.
 */
export class LagSampler implements Disposable {
  readonly #clock: Clock;
  readonly #doors: () => Iterable<LagDoor>;
  /** The subscriptions that are still to be looked at. */
  #round: Iterator<readonly [Lagging, LagDoor], void> | undefined;
  #cancel: () => void = () => {};

  /**
   * Begins; the first look is in 10 s.
   *
   * @param clock The clock to use: that of the logs.
   * @param doors The doors whose connections are sampled.
   */
  constructor(clock: Clock, doors: () => Iterable<LagDoor>) {
    this.#clock = clock;
    this.#doors = doors;
    this.#schedule(INTERVAL);
  }

  /** Looks no more. */
  [Symbol.dispose](): void {
    this.#cancel();
  }

  #schedule(delay: number): void {
    this.#cancel = this.#clock.setTimeout(() => this.#look(), delay);
  }

  #look(): void {
    // Those that come meanwhile are in it, and those that go are not.
    const round = this.#round ??= this.#all();
    for (let left = SLICE; left > 0; left--) {
      const { done, value } = round.next();
      if (done) {
        this.#round = undefined;
        return this.#schedule(INTERVAL);
      }
      this.#measure(...value);
    }
    this.#schedule(PAUSE);
  }

  *#all(): Iterator<readonly [Lagging, LagDoor], void> {
    for (const door of this.#doors()) {
      for (const { subscriptions } of door.connections) {
        for (const subscription of subscriptions) {
          yield [subscription, door];
        }
      }
    }
  }

  #measure(
    { cursor, topic: { log } }: Lagging,
    { events, seconds }: LagDoor,
  ): void {
    const { first, next } = log;
    events.observe(next - cursor);
    if (cursor >= next || first >= next) return seconds.observe(0);
    const now = this.#clock.now();
    const take = ({ entries: [oldest] }: LaggedRange): void => {
      if (oldest) seconds.observe((now - oldest.time) / 1_000);
    };
    const range = log.read(Math.max(cursor, first), { events: 1, bytes: 1 });
    // If the range cannot be read, the subscribers are told.
    if (range instanceof Promise) range.then(take, () => {});
    else take(range);
  }
}
