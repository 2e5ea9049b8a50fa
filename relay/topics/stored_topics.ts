import { getLogger } from "@logtape/logtape";
import { messageOf } from "../../src/fetch/message_of.ts";
import type { ListQuery, Store, StoredTopic } from "./store.ts";

const logger = getLogger(["rivulet", "relay", "topic"]);

/** The number of topics that are taken from a store at a time. */
const PAGE = 1_000;

/**
 * Has a store forget topics that the relay has forgotten. What cannot be deleted now is
 * deleted when its time has come: nobody waits for it.
 */
export class StoredTopics {
  readonly #store: Store;
  /** The deletions that are under way, by the name of the topic. */
  readonly #deletions = new Map<string, Promise<void>>();
  #isDeleting = false;

  /** Stands in front of a store. */
  constructor(store: Store) {
    this.#store = store;
  }

  /** Iterates over the topics that have not ended, in the order of their names. */
  async *unended(): AsyncGenerator<StoredTopic> {
    const query = (after: string): ListQuery => ({
      after,
      prefix: "",
      limit: PAGE,
    });
    for (let after = "";;) {
      const page = await this.#store.listUnended(query(after));
      const last = page.at(-1);
      if (!last) return;
      after = last.name;
      yield* page;
    }
  }

  /** Deletes a log. */
  delete(name: string, epoch: string): void {
    const before = this.#deletions.get(name);
    const deletion = this.#delete(name, epoch).then(() => before);
    this.#deletions.set(name, deletion);
    void deletion.then(() => {
      if (this.#deletions.get(name) === deletion) this.#deletions.delete(name);
    });
  }

  /** Waits until the logs of a name are deleted whose deletion has begun, or cannot be now. */
  async deleted(name: string): Promise<void> {
    await this.#deletions.get(name);
  }

  async #delete(name: string, epoch: string): Promise<void> {
    try {
      await this.#store.delete(name, epoch);
    } catch (error) {
      // It will be deleted when its time has come.
      logger.warn(
        "Cannot delete topic {topic} from the store: {reason}",
        { topic: name, reason: messageOf(error) },
      );
    }
  }

  /** Lets go of a topic that was only asked for, if no other relay needs it. */
  async letGo(name: string, epoch: string): Promise<void> {
    try {
      await this.#store.letGo?.(name, epoch);
    } catch (error) {
      logger.warn("Cannot release topic {topic}: {reason}", {
        topic: name,
        reason: messageOf(error),
      });
    }
  }

  /** Deletes what ended before a time, unless that is under way. */
  async deleteEnded(before: number): Promise<void> {
    if (this.#isDeleting) return;
    this.#isDeleting = true;
    try {
      await this.#store.deleteEnded(before);
    } catch (error) {
      logger.warn(
        "Cannot delete ended topics from the store: {reason}",
        { reason: messageOf(error) },
      );
    } finally {
      this.#isDeleting = false;
    }
  }
}
