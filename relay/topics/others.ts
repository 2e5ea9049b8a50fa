import { getLogger } from "@logtape/logtape";
import { messageOf } from "../../src/fetch/message_of.ts";
import type { Topic } from "./topic.ts";

const logger = getLogger(["rivulet", "relay", "topic"]);

/** Takes over what other relays do to the topics that this one has in memory. */
export class Others {
  readonly #onGone: (topic: Topic, isLost: boolean) => void;
  readonly #stops = new Map<Topic, AbortController>();

  /**
   * Begins with no topic.
   *
   * @param onGone Called with a topic that another relay has deleted before its end, or
   * has lost.
   */
  constructor(onGone: (topic: Topic, isLost: boolean) => void) {
    this.#onGone = onGone;
  }

  /** Follows the log of a topic, up to its end. */
  follow(topic: Topic): void {
    const stop = new AbortController();
    this.#stops.set(topic, stop);
    void this.#follow(topic, stop.signal);
  }

  /** Follows the log of a topic no more. */
  leave(topic: Topic): void {
    this.#stops.get(topic)?.abort();
    this.#stops.delete(topic);
  }

  async #follow(topic: Topic, signal: AbortSignal): Promise<void> {
    const { name, log } = topic;
    try {
      for await (const progress of log.follow(log.next, signal)) {
        if (progress.kind === "deleted") this.#onGone(topic, false);
        else if (progress.kind === "lost") this.#onGone(topic, true);
        else topic.takeOver(progress);
      }
    } catch (error) {
      if (signal.aborted) return;
      logger.error("Cannot follow topic {topic} any more: {reason}", {
        topic: name,
        reason: messageOf(error),
      });
    } finally {
      this.#stops.delete(topic);
    }
  }
}
