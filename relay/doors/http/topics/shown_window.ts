import type { ListedTopic } from "../../../topics/listed_topics.ts";
import { Topic } from "../../../topics/topic.ts";
import { describeTopic } from "./describe_topic.ts";
import type { TopicCounts, TopicWindow } from "./topic_window.ts";

/** The facts of a topic that is in no memory, as one value: they change seldom. */
function factsOf({ facts, end }: Exclude<ListedTopic, Topic>): string {
  return end ? "ended" : JSON.stringify(facts);
}

/** The facts shown of a topic: it has changed if one of these has. */
class SeenTopic {
  readonly topic: ListedTopic;
  readonly #values: readonly unknown[];

  constructor(topic: ListedTopic, rate: number | undefined) {
    this.topic = topic;
    if (topic instanceof Topic) {
      const { state, followers, lag, upstreamVersion, filledBy, run, log } =
        topic;
      this.#values = [
        topic,
        ...[state, log.first, log.next, log.bytes, followers, lag],
        ...[upstreamVersion, filledBy, run, rate],
      ];
    } else {
      const { epoch, first, next, bytes } = topic;
      this.#values = [epoch, first, next, bytes, factsOf(topic)];
    }
  }

  isSame(other: SeenTopic | undefined): boolean {
    return other !== undefined &&
      other.#values.length === this.#values.length &&
      this.#values.every((value, index) => isSame(value, other.#values[index]));
  }
}

function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a instanceof Topic || b instanceof Topic) return false;
  // A run, or what fills a topic, that was read again.
  return typeof a === "object" && typeof b === "object" &&
    JSON.stringify(a) === JSON.stringify(b);
}

function event(name: string, data: unknown): string {
  return `event: rivulet.${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function isSameCounts(
  a: TopicCounts | undefined,
  b: TopicCounts | undefined,
): boolean {
  return a?.pending === b?.pending && a?.open === b?.open &&
    a?.ended === b?.ended && a?.matching === b?.matching;
}

/**
 * A part of a list as it was at one time. It is shared by all readers that have been told
 * of it, and holds what is needed to tell one of them what has changed since.
 */
export class ShownWindow {
  readonly #window: TopicWindow;
  readonly #seen = new Map<string, SeenTopic>();
  readonly #isSorted: boolean;
  readonly #rateOf: (topic: ListedTopic) => number | undefined;
  #snapshot: string | undefined;
  /** The changes since other windows: most readers are at the same one. */
  readonly #changes = new Map<ShownWindow, string | undefined>();

  /**
   * Takes note of what there is.
   *
   * @param window The present window.
   * @param isSorted Whether the order is another one than that of the names.
   * @param rateOf Returns the events that a topic gets in a second, if that is shown.
   */
  constructor(
    window: TopicWindow,
    isSorted: boolean,
    rateOf: (topic: ListedTopic) => number | undefined,
  ) {
    this.#window = window;
    this.#isSorted = isSorted;
    this.#rateOf = rateOf;
    for (const topic of window.topics) {
      this.#seen.set(topic.name, new SeenTopic(topic, rateOf(topic)));
    }
  }

  /** Writes all of it. */
  get snapshot(): string {
    const { topics, next, counts } = this.#window;
    return this.#snapshot ??= event("snapshot", {
      topics: topics.map((topic) => this.#describe(topic)),
      next,
      counts,
    });
  }

  /** Writes what has changed since another window; `undefined` if nothing has. */
  changesSince(before: ShownWindow): string | undefined {
    if (before === this) return undefined;
    if (!this.#changes.has(before)) {
      this.#changes.set(before, this.#changesSince(before));
    }
    return this.#changes.get(before);
  }

  /** Forgets what was written of it: a newer window has taken its place. */
  clear(): void {
    this.#snapshot = undefined;
    this.#changes.clear();
  }

  #changesSince(before: ShownWindow): string | undefined {
    const { next, counts } = this.#window;
    const changed: ListedTopic[] = [];
    for (const [name, seen] of this.#seen) {
      if (!seen.isSame(before.#seen.get(name))) changed.push(seen.topic);
    }
    const gone = [...before.#seen.keys()].filter((name) =>
      !this.#seen.has(name)
    );
    const hasMoved = this.#isSorted && !this.#isInOrderOf(before);
    const isNews = changed.length > 0 || gone.length > 0 || hasMoved ||
      next !== before.#window.next ||
      !isSameCounts(counts, before.#window.counts);
    if (!isNews) return undefined;
    return event("changes", {
      topics: changed.map((topic) => this.#describe(topic)),
      gone,
      next,
      counts,
      ...(hasMoved && { names: [...this.#seen.keys()] }),
    });
  }

  #isInOrderOf(before: ShownWindow): boolean {
    if (this.#seen.size !== before.#seen.size) return false;
    const names = before.#seen.keys();
    return this.#seen.keys().every((name) => names.next().value === name);
  }

  #describe(topic: ListedTopic): object {
    const rate = this.#rateOf(topic);
    const description = describeTopic(topic);
    return rate === undefined ? description : { ...description, rate };
  }
}
