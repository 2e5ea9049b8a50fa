/**
 * The events published: what subscribers must see.
 *
 * @module
 */
import type { TopicEnd } from "../../relay/topics/end.ts";
import type { Topic } from "../../relay/topics/topic.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { Content, type ContentKind } from "./content.ts";

/** A log that there is or was, of one epoch, as far as readers have to know it. */
export interface Generation {
  /** The name of its topic. */
  readonly name: string;
  readonly epoch: string;
  readonly kind: ContentKind;
  /** The number of its events. */
  readonly count: number;
  /** The number of events that it must have for whoever asks now. */
  readonly known: number;
  /** The largest offset that its first event, and that its next one, can have. */
  readonly first: number;
  readonly next: number;
  /** The end, if it has ended, or is about to. */
  readonly verdict: TopicEnd | undefined;
  /** Whether readers may be told of this end. */
  mayEndAs(end: TopicEnd): boolean;
  /** Whether readers have to be told of the end. */
  readonly isEnded: boolean;
  /** The event that was published at an offset; `undefined` if none was. */
  eventAt(offset: number): ServerSentEvent | undefined;
}

/** The logs that were published, as readers ask for them. */
export interface Published {
  /** The log that a topic has now, if there is one. */
  current(name: string): Generation | undefined;
  /** The log of this epoch, which a reader of a topic was told of. */
  seen(name: string, epoch: string): Generation | undefined;
  /** The log of an epoch, if it is remembered. */
  at(epoch: string): Generation | undefined;
  /** The newest log of a topic that is remembered. */
  newest(name: string): Generation | undefined;
}

/** A log of a relay of this process. */
class OwnGeneration implements Generation {
  readonly topic: Topic;
  readonly content: Content;
  verdict: TopicEnd | undefined;
  #count = 0;

  constructor(topic: Topic, content: Content) {
    this.topic = topic;
    this.content = content;
  }

  get name(): string {
    return this.topic.name;
  }

  get epoch(): string {
    return this.topic.log.epoch;
  }

  get kind(): ContentKind {
    return this.content.kind;
  }

  get count(): number {
    return this.#count;
  }

  get known(): number {
    return this.#count;
  }

  get isEnded(): boolean {
    return this.verdict !== undefined;
  }

  mayEndAs({ status, reason }: TopicEnd): boolean {
    return status === this.verdict?.status && reason === this.verdict.reason;
  }

  get first(): number {
    return this.topic.log.first;
  }

  get next(): number {
    return this.topic.log.next;
  }

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

/** All that was published in a run to the relays of this process. */
export class OwnTruth implements Published {
  readonly #seed: number;
  readonly #kinds: ReadonlyMap<string, ContentKind>;
  readonly #find: (name: string) => Topic | undefined;
  readonly #byEpoch = new Map<string, OwnGeneration>();
  readonly #byName = new Map<string, OwnGeneration[]>();
  /** The number of logs so far. */
  generations = 0;

  /**
   * Knows of nothing yet.
   *
   * @param kinds The kinds of the topics, by name.
   * @param find Returns the present topic of a name.
   */
  constructor(
    seed: number,
    kinds: ReadonlyMap<string, ContentKind>,
    find: (name: string) => Topic | undefined,
  ) {
    this.#seed = seed;
    this.#kinds = kinds;
    this.#find = find;
  }

  /** The log of a topic, whoever has made it. */
  of(topic: Topic): OwnGeneration {
    const known = this.#byEpoch.get(topic.log.epoch);
    if (known) return known;
    const all = this.#byName.get(topic.name) ?? [];
    this.#byName.set(topic.name, all);
    const kind = this.#kinds.get(topic.name) ?? "plain";
    const name = `${topic.name}/${this.generations++}`;
    const made = new OwnGeneration(topic, new Content(kind, this.#seed, name));
    all.push(made);
    this.#byEpoch.set(topic.log.epoch, made);
    if (all.length > REMEMBERED) {
      this.#byEpoch.delete(all.shift()!.topic.log.epoch); // not empty
    }
    return made;
  }

  current(name: string): OwnGeneration | undefined {
    const topic = this.#find(name);
    return topic && this.of(topic);
  }

  seen(name: string, epoch: string): OwnGeneration | undefined {
    // One that was only asked for is not known before it is seen.
    const current = this.current(name);
    return current?.epoch === epoch ? current : this.at(epoch);
  }

  at(epoch: string): OwnGeneration | undefined {
    return this.#byEpoch.get(epoch);
  }

  newest(name: string): OwnGeneration | undefined {
    return this.#byName.get(name)?.at(-1);
  }
}
