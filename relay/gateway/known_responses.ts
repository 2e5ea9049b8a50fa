import type { Clock } from "../../src/fetch/clock.ts";
import { wait } from "../../src/fetch/retry.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import { type Stored, whenStored } from "../topics/stored.ts";
import type { Topic } from "../topics/topic.ts";
import type { KeptRuns } from "./kept_runs.ts";

/** The number of responses that are remembered, of some hundred bytes each. */
const MAX_RESPONSES = 50_000;

/**
 * The time after which another relay has said that it has a response, in milliseconds: its
 * caller had the id at once, and may have come to this relay since.
 */
const SAID_AFTER = 250;

/** The facts of a response that the relay knows. */
export interface KnownResponse {
  /** The name of the topic whose rights count for the response, also when it is gone. */
  readonly topicName: string;
  /** The identity of the caller that has made the response. */
  readonly owner: string;
}

/** The log of a topic that has the events of a response. */
interface Retained {
  readonly name: string;
  readonly epoch: string;
}

interface Entry extends KnownResponse {
  retained: Retained | undefined;
}

/**
 * The responses that callers have made. An entry outlasts its topic, since a
 * conversation goes on from its last response at any time later.
 */
export class KnownResponses {
  readonly #topics: TopicRegistry;
  readonly #kept: KeptRuns;
  readonly #clock: Clock;
  /** The one that was added longest ago comes first. */
  readonly #byKey = new Map<string, Entry>();
  /** The responses of which the store is asked whether somebody else has made them. */
  readonly #adding = new Map<string, Promise<void>>();

  /** Makes an index without responses. */
  constructor(topics: TopicRegistry, kept: KeptRuns, clock: Clock) {
    this.#topics = topics;
    this.#kept = kept;
    this.#clock = clock;
  }

  /** Returns what is known of a response. */
  get(key: string): Stored<KnownResponse | undefined> {
    return this.#entry(key);
  }

  /**
   * Returns what is known of a response that is likely to be new. If that is nothing, and
   * other relays have the same responses, it is looked for once more after a moment.
   *
   * @param signal Ends the wait: then it is as if nothing were known.
   */
  async getNew(
    key: string,
    signal: AbortSignal,
  ): Promise<KnownResponse | undefined> {
    const known = await this.#entry(key);
    if (known || !this.#kept.areShared) return known;
    try {
      await wait(SAID_AFTER, this.#clock, signal);
    } catch {
      return undefined; // nobody asks any more
    }
    return await this.#entry(key);
  }

  /** Returns the topic that has the events of a response, while it is there. */
  topicOf(key: string): Stored<Topic | undefined> {
    return whenStored(
      this.#entry(key),
      (entry) => this.#topicOf(entry?.retained),
    );
  }

  /**
   * Adds a response. The first caller that gets its id has made it: others may only
   * have asked for it.
   *
   * @param key The key of the response's id.
   * @param response The facts of the response.
   * @param topic The topic that has its events, if there is one.
   */
  add(key: string, response: KnownResponse, topic: Topic | undefined): void {
    const retained = topic && { name: topic.name, epoch: topic.log.epoch };
    const { topicName, owner } = response;
    const entry = { topicName, owner, retained };
    const added = whenStored(
      this.#entry(key),
      (before) => this.#add(key, before, entry),
    );
    if (!(added instanceof Promise)) return;
    // A store that can say nothing now keeps nothing: this relay alone knows it.
    const known = added.catch(() => void this.#remember(key, entry))
      .finally(() => {
        if (this.#adding.get(key) === known) this.#adding.delete(key);
      });
    this.#adding.set(key, known);
  }

  #add(key: string, before: Entry | undefined, entry: Entry): Stored<void> {
    if (!before) {
      this.#kept.addResponse(key, entry);
      this.#remember(key, entry);
      return;
    }
    return whenStored(this.#topicOf(before.retained), (topic) => {
      if (topic) return;
      before.retained = entry.retained;
      this.#kept.addResponse(key, before);
    });
  }

  /** Returns what is known, or the store has kept. */
  #entry(key: string): Stored<Entry | undefined> {
    const known = this.#byKey.get(key);
    if (known) return known;
    // Whoever has its id may ask for it before the store has answered.
    const adding = this.#adding.get(key);
    if (adding) return adding.then(() => this.#entry(key));
    return whenStored(this.#kept.response(key), (kept) => {
      if (!kept) return undefined;
      const { topicName, owner, retained } = kept;
      return this.#byKey.get(key) ??
        this.#remember(key, { topicName, owner, retained });
    });
  }

  #remember(key: string, entry: Entry): Entry {
    this.#byKey.set(key, entry);
    for (const oldest of this.#byKey.keys()) {
      if (this.#byKey.size <= MAX_RESPONSES) break;
      this.#byKey.delete(oldest);
    }
    return entry;
  }

  #topicOf(retained: Retained | undefined): Stored<Topic | undefined> {
    if (!retained) return undefined;
    const { name, epoch } = retained;
    return whenStored(
      this.#topics.prepare(name),
      () => this.#topics.get(name, epoch),
    );
  }
}
