import type { Clock } from "../../src/fetch/clock.ts";
import type { Store } from "./store.ts";
import { Topic } from "./topic.ts";

/**
 * The most former epochs of one name. An epoch is a turn of a chat: who was away for
 * more of them than these reads the newest.
 */
export const MAX_FORMER = 16;

/** Returns the name of a former log among all logs: no topic may be called so. */
export function formerName(name: string, epoch: string): string {
  return `${name}/${epoch}`;
}

/** The parts of a registry that former topics use. */
export interface FormerTopicsOptions {
  /** The place where the topics live. */
  readonly store: Pick<Store, "find" | "isLasting">;
  /** The clock to use. */
  readonly clock: Clock;
  /** The most bytes of events that the former epochs of one name retain together. */
  readonly maxBytes: number;
}

/** The epochs of topics whose names stand for newer ones, as far as they are in memory. */
export class FormerTopics implements Disposable {
  readonly #options: FormerTopicsOptions;
  readonly #topics = new Map<string, Topic>();

  /** Makes an empty set. */
  constructor(options: FormerTopicsOptions) {
    this.#options = options;
  }

  /** Returns the former topic of an epoch, if the store has its log. */
  get(name: string, epoch: string): Topic | undefined {
    const key = formerName(name, epoch);
    const known = this.#topics.get(key);
    if (known) return known;
    const { store, clock } = this.#options;
    const log = store.find(name, epoch);
    if (!log) return undefined;
    const topic = new Topic(name, log, clock);
    this.#topics.set(key, topic);
    return topic;
  }

  /** Returns the epochs before a topic's, the newest first. */
  *before({ name, follows }: Topic): Generator<Topic, void> {
    for (let epoch = follows; epoch !== undefined;) {
      const topic = this.get(name, epoch);
      if (!topic) return;
      yield topic;
      epoch = topic.follows;
    }
  }

  /** Returns the epochs before a topic's that there is no room for. */
  surplus(topic: Topic): Topic[] {
    const surplus: Topic[] = [];
    let count = 0;
    let bytes = 0;
    for (const former of this.before(topic)) {
      count++;
      bytes += former.log.bytes;
      const hasRoom = count <= MAX_FORMER && bytes <= this.#options.maxBytes;
      // The epoch that was just read stays for a moment, however large it is.
      if (count > 1 && !hasRoom) surplus.push(former);
    }
    return surplus;
  }

  /** Takes a topic up whose name stands for a newer one. */
  add(topic: Topic): void {
    this.#topics.set(formerName(topic.name, topic.log.epoch), topic);
  }

  /** Takes a topic out. */
  remove(topic: Topic): void {
    this.#topics.delete(formerName(topic.name, topic.log.epoch));
  }

  /** Forgets a topic that the store has given up, by the name of its log. */
  evicted(name: string): void {
    this.#topics.delete(name);
  }

  /**
   * Lets topics out of memory whose time has come.
   *
   * @param endedBefore The end of those whose time to live is over, in milliseconds
   * since the epoch.
   * @param idle The time for which nobody has followed those that the store
   * alone may have, in milliseconds.
   */
  sweep(endedBefore: number, idle: number): void {
    const { store, clock } = this.#options;
    const idleSince = clock.now() - idle;
    for (const [key, topic] of this.#topics) {
      topic.log.trim();
      const { state, idleSince: since = Infinity } = topic;
      if (state.kind === "ended" && state.at <= endedBefore) {
        this.#topics.delete(key);
      } else if (since <= idleSince) {
        this.#topics.delete(key);
        if (store.isLasting) topic.log[Symbol.dispose]();
      }
    }
  }

  /** Lets go of all of them. */
  [Symbol.dispose](): void {
    for (const topic of this.#topics.values()) topic.log[Symbol.dispose]();
    this.#topics.clear();
  }
}
