import type { Clock } from "../../../src/fetch/clock.ts";
import type { Subscription } from "../../delivery/subscription.ts";
import { formatPrefixPosition } from "../prefix_position.ts";
import { placeOf, ToldEnds } from "../told_ends.ts";

/** The number of ends after which a peer is told its position at once. */
const MAX_UNTOLD = 64;

/** A subscription to all topics whose names begin alike. */
interface PrefixSubscription {
  /** The time since which the peer knew of all of them when it came. */
  readonly since: number;
  /** Ends the subscription to new topics. */
  cancel(): void;
  /** The number of ends after the position that the peer was told last. */
  untold: number;
}

/**
 * The subscriptions of a peer to all topics whose names begin alike; and the ends that it was
 * told of, also before it has subscribed to any.
 */
export class Prefixes implements Disposable {
  /** The ends that the peer was told of, and that are news. */
  readonly ends: ToldEnds;
  readonly #prefixes = new Map<string, PrefixSubscription>();

  constructor(clock: Clock) {
    this.ends = new ToldEnds(clock);
  }

  /** The number of prefixes. */
  get size(): number {
    return this.#prefixes.size;
  }

  /** Whether there is such a subscription. */
  has(pattern: string): boolean {
    return this.#prefixes.has(pattern);
  }

  /**
   * Adds a subscription.
   *
   * @param since The time since which the peer knows of all topics.
   * @param cancel Ends the subscription to new topics.
   */
  add(pattern: string, since: number, cancel: () => void): void {
    this.#prefixes.set(pattern, { since, cancel, untold: 0 });
  }

  /** Takes one out; whether it was there. The topics that are followed already go on. */
  delete(pattern: string): boolean {
    this.#prefixes.get(pattern)?.cancel();
    return this.#prefixes.delete(pattern);
  }

  /**
   * Takes note of the end of a topic, which was written.
   *
   * @returns Whether one of the prefixes is the beginning of its name, and whether a position
   * is due.
   */
  onEnd(subscription: Subscription): { isCovered: boolean; isDue: boolean } {
    const { topic } = subscription;
    const { ends } = this;
    ends.add(topic, placeOf(subscription));
    if (ends.size % MAX_UNTOLD === 0) ends.places(Infinity);
    let isCovered = false;
    let isDue = false;
    for (const [pattern, prefix] of this.#prefixes) {
      if (!isOf(topic.name, pattern)) continue;
      isCovered = true;
      isDue ||= ++prefix.untold >= MAX_UNTOLD;
    }
    return { isCovered, isDue };
  }

  /**
   * Iterates over the positions that the peer was not told yet: of prefixes whose topics have
   * ended since.
   *
   * @param subscriptions The subscriptions of the peer.
   */
  *positions(
    subscriptions: readonly Subscription[],
  ): Generator<{ readonly topic: string; readonly position: string }, void> {
    for (const [pattern, prefix] of this.#prefixes) {
      if (prefix.untold === 0) continue;
      prefix.untold = 0;
      const time = this.ends.timeAfter(prefix.since);
      const places = this.ends.places(time);
      // A peer that reads slowly may not have been told of all that has ended.
      for (const subscription of subscriptions) {
        const { name, state } = subscription.topic;
        if (state.kind === "ended") places.push([name, placeOf(subscription)]);
      }
      const positions = new Map(
        places.filter(([name]) => isOf(name, pattern)),
      );
      yield {
        topic: pattern,
        position: formatPrefixPosition({ time, positions }, prefixOf(pattern)),
      };
    }
  }

  /** Takes all out. */
  [Symbol.dispose](): void {
    for (const { cancel } of this.#prefixes.values()) cancel();
    this.#prefixes.clear();
  }
}

/** Whether a name stands for all that begin like it. */
export function isPrefix(name: string): boolean {
  return name.endsWith("*");
}

/** Returns the beginning of the names that a pattern stands for. */
export function prefixOf(pattern: string): string {
  return pattern.slice(0, -1);
}

function isOf(name: string, pattern: string): boolean {
  return name.startsWith(prefixOf(pattern));
}
