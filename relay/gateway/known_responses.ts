import type { TopicRegistry } from "../topics/registry.ts";
import type { Topic } from "../topics/topic.ts";
import type { KeptRuns } from "./kept_runs.ts";

/** The number of responses that are remembered, of some hundred bytes each. */
const MAX_RESPONSES = 50_000;

/** What the relay knows of a response. */
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
  /** The one that was added longest ago comes first. */
  readonly #byKey = new Map<string, Entry>();

  /** Makes an index without responses. */
  constructor(topics: TopicRegistry, kept: KeptRuns) {
    this.#topics = topics;
    this.#kept = kept;
  }

  /** Returns what is known of a response. */
  get(key: string): KnownResponse | undefined {
    return this.#entry(key);
  }

  /** Returns the topic that has the events of a response, while it is there. */
  topicOf(key: string): Topic | undefined {
    return this.#topicOf(this.#entry(key)?.retained);
  }

  /**
   * Adds a response. The first caller that gets its id has made it: others may only
   * have asked for it.
   *
   * @param key The key of the response's id.
   * @param response What is known of it.
   * @param topic The topic that has its events, if there is one.
   */
  add(key: string, response: KnownResponse, topic: Topic | undefined): void {
    const retained = topic && { name: topic.name, epoch: topic.log.epoch };
    const before = this.#entry(key);
    if (before) {
      if (this.#topicOf(before.retained)) return;
      before.retained = retained;
      this.#kept.addResponse(key, before);
      return;
    }
    const { topicName, owner } = response;
    const entry = { topicName, owner, retained };
    this.#kept.addResponse(key, entry);
    this.#remember(key, entry);
  }

  /** Returns what is known, or the store has kept. */
  #entry(key: string): Entry | undefined {
    const known = this.#byKey.get(key);
    if (known) return known;
    const kept = this.#kept.response(key);
    if (!kept) return undefined;
    const { topicName, owner, retained } = kept;
    return this.#remember(key, { topicName, owner, retained });
  }

  #remember(key: string, entry: Entry): Entry {
    this.#byKey.set(key, entry);
    for (const oldest of this.#byKey.keys()) {
      if (this.#byKey.size <= MAX_RESPONSES) break;
      this.#byKey.delete(oldest);
    }
    return entry;
  }

  #topicOf(retained: Retained | undefined): Topic | undefined {
    return retained && this.#topics.get(retained.name, retained.epoch);
  }
}
