/**
 * The events published: what subscribers must see.
 *
 * @module
 */
import type { TopicEnd } from "../../relay/topics/end.ts";
import type { Topic } from "../../relay/topics/topic.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { Content, type ContentKind } from "./content.ts";

/** A log that there is or was, of one epoch. */
export class Generation {
  readonly topic: Topic;
  readonly content: Content;
  /** The end, if it has ended. */
  verdict: TopicEnd | undefined;
  #count = 0;

  constructor(topic: Topic, content: Content) {
    this.topic = topic;
    this.content = content;
  }

  /** The number of its events. */
  get count(): number {
    return this.#count;
  }

  /** The event that was published at an offset; `undefined` if none was. */
  eventAt(offset: number): ServerSentEvent | undefined {
    return offset >= 1 && offset <= this.#count
      ? this.content.at(offset)
      : undefined;
  }

  /** Adds the next events to the topic. */
  feed(count: number): void {
    const from = this.#count;
    this.#count += count;
    this.topic.append(
      Array.from(
        { length: count },
        (_, index) => this.content.at(from + index + 1),
      ),
    );
  }
}

/**
 * The number of logs of a topic that are remembered: a reader of an older one
 * keeps it.
 */
const REMEMBERED = 8;

/** All that was published in a run. */
export class Truth {
  readonly #seed: number;
  readonly #kinds: ReadonlyMap<string, ContentKind>;
  readonly #byEpoch = new Map<string, Generation>();
  readonly #byName = new Map<string, Generation[]>();
  /** The number of logs so far. */
  generations = 0;

  /** Knows of nothing yet; `kinds` are those of the topics by name. */
  constructor(seed: number, kinds: ReadonlyMap<string, ContentKind>) {
    this.#seed = seed;
    this.#kinds = kinds;
  }

  /** The log of a topic, whoever has made it. */
  of(topic: Topic): Generation {
    const known = this.#byEpoch.get(topic.log.epoch);
    if (known) return known;
    const all = this.#byName.get(topic.name) ?? [];
    this.#byName.set(topic.name, all);
    const kind = this.#kinds.get(topic.name) ?? "plain";
    const name = `${topic.name}/${this.generations++}`;
    const made = new Generation(topic, new Content(kind, this.#seed, name));
    all.push(made);
    this.#byEpoch.set(topic.log.epoch, made);
    if (all.length > REMEMBERED) {
      this.#byEpoch.delete(all.shift()!.topic.log.epoch); // not empty
    }
    return made;
  }

  /** The log of an epoch, if it is remembered. */
  at(epoch: string): Generation | undefined {
    return this.#byEpoch.get(epoch);
  }

  /** The logs of a name that are remembered, the oldest first. */
  named(name: string): readonly Generation[] {
    return this.#byName.get(name) ?? [];
  }
}
