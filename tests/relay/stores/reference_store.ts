import type { StoredEnd } from "../../../relay/topics/end.ts";
import type {
  GapReason,
  Retention,
  TopicFacts,
} from "../../../relay/topics/log.ts";

/** An event as the reference has it. */
export interface ReferenceEvent {
  readonly data: string;
  readonly size: number;
  readonly time: number;
}

/** A topic as the reference has it: an array of all offsets there ever were, and a first one. */
export interface ReferenceTopic {
  readonly epoch: string;
  facts: TopicFacts;
  end: StoredEnd | undefined;
  /** By offset - 1; a reason where there is a hole. */
  readonly offsets: (ReferenceEvent | GapReason)[];
  first: number;
  readonly publications: Map<string, string>;
}

/** The content that a store must hold, written as plainly as possible. */
export class ReferenceStore {
  readonly topics: Map<string, ReferenceTopic> = new Map();
  /** By the name and the epoch. */
  readonly former: Map<string, ReferenceTopic> = new Map();
  readonly values: Map<string, { value: string; expires: number }> = new Map();
  readonly #retention: Retention;

  constructor(retention: Retention) {
    this.#retention = retention;
  }

  /** Makes a topic, after the one that has its name, if that may be. */
  create(name: string, epoch: string): void {
    const before = this.topics.get(name);
    if (before) this.former.set(`${name} ${before.epoch}`, before);
    this.topics.set(name, {
      epoch,
      facts: { isOpen: false, ...(before && { follows: before.epoch }) },
      end: undefined,
      offsets: [],
      first: 1,
      publications: new Map(),
    });
  }

  /** Forgets a topic: the one before it has its name again. */
  delete(name: string): void {
    const follows = this.topics.get(name)?.facts.follows;
    this.topics.delete(name);
    const before = this.former.get(`${name} ${follows}`);
    if (before) this.topics.set(name, before);
    this.former.delete(`${name} ${follows}`);
  }

  /** Returns the events that are kept, by offset. */
  kept({ offsets, first }: ReferenceTopic): Map<number, ReferenceEvent> {
    const kept = new Map<number, ReferenceEvent>();
    for (const [index, event] of offsets.entries()) {
      if (index + 1 >= first && typeof event !== "string") {
        kept.set(index + 1, event);
      }
    }
    return kept;
  }

  /** Adds events. */
  append(topic: ReferenceTopic, events: readonly ReferenceEvent[]): void {
    topic.offsets.push(...events);
    this.trim(topic, events[0]?.time ?? 0);
  }

  /** Leaves offsets out. */
  skip(topic: ReferenceTopic, count: number, reason: GapReason): void {
    // A hole that is continued takes the new reason.
    for (let at = topic.offsets.length - 1; at >= 0; at--) {
      if (typeof topic.offsets[at] !== "string") break;
      topic.offsets[at] = reason;
    }
    for (let left = count; left > 0; left--) topic.offsets.push(reason);
    this.#moveFirst(topic);
  }

  /** Gives up what retention does not allow. */
  trim(topic: ReferenceTopic, now: number): void {
    const { maxEvents, maxBytes, maxAge } = this.#retention;
    for (;;) {
      const kept = [...this.kept(topic)];
      const [oldest] = kept;
      if (!oldest) break;
      const bytes = kept.reduce((sum, [, { size }]) => sum + size, 0);
      const isTooMuch = kept.length > 1 &&
        (kept.length > maxEvents || bytes > maxBytes);
      if (!isTooMuch && !(oldest[1].time < now - maxAge)) break;
      topic.first = oldest[0] + 1;
    }
    this.#moveFirst(topic);
  }

  #moveFirst(topic: ReferenceTopic): void {
    const [oldest] = this.kept(topic).keys();
    topic.first = oldest ?? topic.offsets.length + 1;
  }
}
