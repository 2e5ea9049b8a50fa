import type { Clock } from "../../src/fetch/clock.ts";
import type { Subscription } from "../delivery/subscription.ts";
import type { Position } from "../topics/position.ts";
import type { Topic } from "../topics/topic.ts";
import { NEWS } from "./new_topics.ts";

/** The end of a topic that was told. */
interface ToldEnd {
  readonly position: Position;
  /** In milliseconds since the epoch. */
  readonly at: number;
}

/** Returns the place behind all that a subscription has been given. */
export function placeOf(
  { topic: { log }, cursor, ended }: Subscription,
): Position {
  return { epoch: log.epoch, offset: ended ? log.next : cursor - 1 };
}

/**
 * The ends that a reader was told of, for as long as it needs them to come back to a prefix: a
 * reader that is back gets each topic that has ended since a time, but for these.
 */
export class ToldEnds {
  readonly #clock: Clock;
  readonly #ends = new Map<string, ToldEnd>();

  /** Makes the memory of a reader that was told of no end yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The number of ends. */
  get size(): number {
    return this.#ends.size;
  }

  /** Takes note of an end that was told, and of the place behind it. */
  add({ name, state }: Topic, position: Position): void {
    const at = state.kind === "ended" ? state.at : 0;
    this.#ends.set(name, { position, at });
  }

  /** Forgets the end of a topic: it is followed again. */
  delete(name: string): void {
    this.#ends.delete(name);
  }

  /** Whether the end of this epoch of a topic was told, and is news. */
  has({ name, log: { epoch } }: Topic): boolean {
    return this.#ends.get(name)?.position.epoch === epoch;
  }

  /** Returns the places behind all ends that are kept of the topics of a prefix. */
  placesOf(prefix: string): [name: string, place: Position][] {
    return this.places(-Infinity).filter(([name]) => name.startsWith(prefix));
  }

  /**
   * Returns the time since which a reader knows of all topics, but for the ends that are kept
   * here.
   *
   * @param since Such a time of before, in milliseconds since the epoch.
   */
  timeAfter(since: number): number {
    return Math.max(since, this.#clock.now() - NEWS);
  }

  /**
   * Returns the places behind the ends after a time, and forgets those that are no news any
   * more.
   *
   * @param time The time, as {@linkcode timeAfter} returns it.
   * @param isKept Whether the end of a topic is kept, and returned, though it is no news. Default: none is.
   */
  places(
    time: number,
    isKept: (name: string) => boolean = () => false,
  ): [name: string, place: Position][] {
    const oldest = this.timeAfter(-Infinity);
    const places: [string, Position][] = [];
    for (const [name, { position, at }] of this.#ends) {
      const kept = isKept(name);
      if (kept || at > time) places.push([name, position]);
      else if (at <= oldest) this.#ends.delete(name);
    }
    return places;
  }
}
