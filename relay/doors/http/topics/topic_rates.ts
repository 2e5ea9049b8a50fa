import type { Clock } from "../../../../src/fetch/clock.ts";
import type { ListedTopic } from "../../../topics/listed_topics.ts";
import { Topic } from "../../../topics/topic.ts";

/** The offsets of topics at one time. */
interface Sample {
  readonly at: number;
  readonly next: Map<Topic, number>;
}

/**
 * The rates of topics in events a second, measured between two looks at them:
 * nothing is counted where events are added, and nothing at all while nobody
 * asks.
 */
export class TopicRates {
  readonly #clock: Clock;
  #before: Sample | undefined;
  #now: Sample;

  /** Begins with nothing. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#now = { at: clock.now(), next: new Map() };
  }

  /** Begins another look: rates are measured since the one before. */
  turn(): void {
    const at = this.#clock.now();
    if (at <= this.#now.at) return;
    this.#before = this.#now;
    this.#now = { at, next: new Map() };
  }

  /** Returns the rate of a topic; `undefined` if it was not looked at before, or is in no memory. */
  readonly of = (topic: ListedTopic): number | undefined => {
    if (!(topic instanceof Topic)) return undefined;
    const known = this.#now.next.get(topic);
    const next = known ?? topic.log.next;
    if (known === undefined) this.#now.next.set(topic, next);
    const before = this.#before?.next.get(topic);
    if (before === undefined || !this.#before) return undefined;
    const seconds = (this.#now.at - this.#before.at) / 1_000;
    return Math.round((next - before) / seconds * 10) / 10;
  };
}
