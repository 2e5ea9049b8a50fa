import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import {
  endRestarted,
  readFilling,
  type SourceFilling,
  tellNotGoneOn,
} from "../topics/filling.ts";
import { LeaseHeldError } from "../topics/lease.ts";
import { leftByOthers } from "../topics/left_by_others.ts";
import type { Topic } from "../topics/topic.ts";
import type { OwnTopics } from "./own_topics.ts";
import type { RelayParts } from "./parts.ts";

const logger = getLogger(["rivulet", "relay"]);

/** The parts that go on with a topic, each in its way. */
type RecoveryParts = Pick<
  RelayParts,
  "topics" | "store" | "sources" | "gateway" | "publisher"
>;

/**
 * Goes on with the topics that have not ended and that nobody fills: a relay before this
 * one has left them, or another relay of the same store.
 */
export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #own: OwnTopics;
  readonly #clock: Clock;
  readonly #closing: AbortSignal;

  /**
   * Does nothing yet.
   *
   * @param parts The parts of the relay.
   * @param own The topics of the operator, which start by themselves.
   * @param clock The clock to use.
   * @param closing Aborted when the relay closes.
   */
  constructor(
    parts: RecoveryParts,
    own: OwnTopics,
    clock: Clock,
    closing: AbortSignal,
  ) {
    this.#parts = parts;
    this.#own = own;
    this.#clock = clock;
    this.#closing = closing;
  }

  /** Goes on with what a relay before has left, and from now on with what others leave. */
  async start(): Promise<void> {
    const restored = await this.#parts.topics.restore();
    for (const topic of restored) {
      if (!this.#own.has(topic.name)) void this.#goOn(topic);
    }
    void this.#followOrphans();
    if (restored.length === 0) return;
    logger.info("The store has {count} topics that have not ended", {
      count: restored.length,
    });
  }

  /** Goes on with what other relays have left without a word. */
  async #followOrphans(): Promise<void> {
    const orphans = this.#parts.store.orphans?.(this.#closing);
    if (!orphans) return;
    try {
      for await (const { name, epoch } of orphans) {
        void this.#adopt(name, epoch);
      }
    } catch (error) {
      if (this.#closing.aborted) return;
      logger.error(
        "Stopped taking over topics of relays that are gone: {reason}",
        {
          reason: messageOf(error),
        },
      );
    }
  }

  /** Goes on with a topic that another relay has left, if this one is the first to do so. */
  async #adopt(name: string, epoch: string): Promise<void> {
    const { topics } = this.#parts;
    try {
      // Its relay may have said what fills it just before it was gone.
      await topics.prepare(name, { isFresh: true });
      const topic = topics.get(name, epoch);
      if (!topic || topic.verdict) return;
      logger.info("The relay that filled topic {topic} is gone", {
        topic: name,
      });
      if (!await this.#own.resume(topic)) await this.#goOn(topic);
    } catch (error) {
      tellNotGoneOn(name, error);
    }
  }

  /**
   * Goes on with filling a topic that the store has kept, or ends it if that cannot be.
   * A topic that is published to stays as it is. One that others share, and of which the
   * store does not say now who fills it, is found again as nobody's.
   */
  async #goOn(topic: Topic): Promise<void> {
    if (topic.filling === undefined) return;
    const { gateway, publisher } = this.#parts;
    const filling = readFilling(topic.filling);
    switch (filling?.kind) {
      case "source":
        try {
          return await this.#resume(topic, filling);
        } catch (error) {
          return tellNotGoneOn(topic.name, error);
        }
      case "response":
        return gateway.runs.resume(topic, filling);
      case "publisher":
        return publisher.expect(topic, filling.within);
      default:
        return await this.#endLost(topic);
    }
  }

  /** Goes on with a source. A relay that may not ask it leaves it to others, which may. */
  async #resume(topic: Topic, filling: SourceFilling): Promise<void> {
    const { topics, sources } = this.#parts;
    const left = topics.areShared && !sources.mayResume(filling)
      ? await leftByOthers(topic, {
        topics,
        clock: this.#clock,
        closing: this.#closing,
      })
      : topic;
    if (left) await sources.resume(left, filling);
  }

  /** Ends a topic that nobody can go on with, unless another relay is filling it. */
  async #endLost(topic: Topic): Promise<void> {
    try {
      using hold = this.#parts.topics.leases.hold(topic, { onLost: () => {} });
      if (hold.ready) await hold.ready;
      endRestarted(topic, undefined, hold);
    } catch (error) {
      if (error instanceof LeaseHeldError) return;
      logger.warn("Cannot end topic {topic}: {reason}", {
        topic: topic.name,
        reason: messageOf(error),
      });
    }
  }
}
