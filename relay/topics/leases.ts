import { getLogger } from "@logtape/logtape";
import { messageOf } from "../../src/fetch/message_of.ts";
import type { TopicEnd } from "./end.ts";
import { type Lease, LeaseHeldError, LeaseLostError } from "./lease.ts";
import type { Stored } from "./stored.ts";
import { type Store, StoreError } from "./store.ts";
import type { Topic } from "./topic.ts";

/**
 * The time for which a relay that has fallen silent keeps its lease, in
 * milliseconds.
 */
const TTL = 5_000;

/** The filler of a topic, or of a part of it. */
export interface Filler {
  /**
   * The part of the topic that is filled, as in `LeaseRequest.part`. Default:
   * the topic.
   */
  readonly part?: string | undefined;
  /** Called when somebody else fills the topic: this filler has to stop. */
  readonly onLost: () => void;
}

const logger = getLogger(["rivulet", "relay", "topic"]);

/** The leases that a relay has on topics, which it renews while it fills them. */
export class Leases {
  /** The name of this relay among the holders of leases. */
  readonly holder: string = crypto.randomUUID();
  readonly #store: Pick<Store, "hold" | "cancel">;
  readonly #holds = new Set<Hold>();
  /** The number of leases on each topic. */
  readonly #filled = new Map<Topic, number>();

  /** Begins without leases. */
  constructor(store: Pick<Store, "hold" | "cancel">) {
    this.#store = store;
  }

  /** The number of leases. */
  get size(): number {
    return this.#holds.size;
  }

  /** Whether this relay fills a topic, or a part of it. */
  fills(topic: Topic): boolean {
    return this.#filled.has(topic);
  }

  /**
   * Takes the lease on filling a topic. A cancel of the topic ends it.
   *
   * @throws {LeaseHeldError} If somebody else fills it. A store that has to ask others
   * says so by {@linkcode Hold.ready}.
   */
  hold(topic: Topic, { part, onLost }: Filler): Hold {
    const taken = this.#store.hold({
      topic: topic.name,
      epoch: topic.log.epoch,
      holder: this.holder,
      ttl: TTL,
      part,
      onCancel: async (reason) => {
        topic.end("cancelled", reason);
        await topic.ended;
      },
    });
    const hold = new Hold(topic, taken, {
      onLost,
      isWhole: part === undefined,
      onOver: () => this.#over(hold),
    });
    this.#holds.add(hold);
    this.#filled.set(topic, (this.#filled.get(topic) ?? 0) + 1);
    return hold;
  }

  /**
   * Whether nobody fills a log: takes the lease on it, and gives it back. That is all that
   * is asked of the store, which need not have the log at hand.
   *
   * @throws What the store says of its trouble.
   */
  async isFree(topic: string, epoch: string): Promise<boolean> {
    try {
      const lease = await this.#store.hold({
        topic,
        epoch,
        holder: this.holder,
        ttl: TTL,
        onCancel: () => {
          const reason = `Nobody fills topic '${topic}': try again`;
          return Promise.reject(new StoreError("away", reason));
        },
      });
      await lease.release();
      return true;
    } catch (error) {
      if (error instanceof LeaseHeldError) return false;
      throw error;
    }
  }

  /**
   * Cancels a topic: by whoever fills it, or here if nobody does.
   *
   * @returns The end of the topic, which may be another: the first verdict stands.
   */
  async cancel(topic: Topic, reason: string | undefined): Promise<TopicEnd> {
    if (!topic.verdict) {
      const { name, log } = topic;
      const cancelled = this.#store.cancel(name, log.epoch, reason);
      // A store that answers at once is not waited for, so that the topic ends
      // in this turn.
      const answer = cancelled instanceof Promise ? await cancelled : cancelled;
      if (answer === "unheld") topic.end("cancelled", reason);
    }
    return topic.verdict ?? await topic.ended;
  }

  #over(hold: Hold): void {
    const { topic } = hold;
    this.#holds.delete(hold);
    const left = (this.#filled.get(topic) ?? 0) - 1;
    if (left > 0) this.#filled.set(topic, left);
    else this.#filled.delete(topic);
  }

  /** Renews all leases; to be called much more often than they expire. */
  renew(): void {
    for (const hold of this.#holds) hold.renew();
  }
}

/** The caller that is told of a lease. */
interface HoldOptions extends Pick<Filler, "onLost"> {
  /** Whether it is the lease of the topic, and not of a part. */
  readonly isWhole: boolean;
  /** Called when the lease was given up, or lost. */
  readonly onOver: () => void;
}

/** A lease on a topic, from the asking to the giving up. */
export class Hold implements Disposable {
  /**
   * Resolves once the lease is there; `undefined` if it was at once. Rejects with a
   * `LeaseHeldError` if somebody else has it.
   */
  readonly ready: Promise<void> | undefined;
  /** The topic. */
  readonly topic: Topic;
  readonly #options: HoldOptions;
  #lease: Lease | undefined;
  #isOver = false;
  #isRenewing = false;

  /** Waits for a lease that was asked for. */
  constructor(topic: Topic, taken: Stored<Lease>, options: HoldOptions) {
    this.topic = topic;
    this.#options = options;
    if (taken instanceof Promise) {
      this.ready = this.#take(taken);
      // Whoever does not wait for it is told by `onLost`.
      this.ready.catch(() => {});
    } else this.#has(taken);
  }

  /** The lease, once it is there. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  /** Renews the lease. */
  renew(): void {
    if (!this.#lease || this.#isRenewing || this.#isOver) return;
    try {
      const renewed = this.#lease.renew();
      if (renewed instanceof Promise) void this.#renew(renewed);
    } catch (error) {
      this.#notRenewed(error);
    }
  }

  /** Takes note that somebody else has it. */
  lose(): void {
    if (this.#isOver) return;
    this.#end();
    this.#options.onLost();
  }

  /**
   * Gives the lease up: once the log has kept or refused the end that was said with it,
   * so that nobody goes on with the topic before. A topic that has not come to its end is
   * left for another relay to go on with.
   */
  [Symbol.dispose](): void {
    if (this.#isOver) return;
    const { topic } = this;
    const ending = topic.ending(this);
    if (ending) return void ending.then(() => this.#giveUp());
    const isUnfinished = !topic.verdict && topic.filling !== undefined;
    this.#giveUp(this.#options.isWhole && isUnfinished);
  }

  /** Gives up a lease on what a relay that is gone has left: the store tells of that again. */
  abandon(): void {
    this.#giveUp(true);
  }

  #giveUp(isLeft = false): void {
    if (this.#isOver) return;
    this.#end();
    this.topic.isLeftBy(this);
    // If the store cannot release the lease now, it expires.
    void this.#release(isLeft);
  }

  async #take(taken: Promise<Lease>): Promise<void> {
    let lease: Lease;
    try {
      lease = await taken;
    } catch (error) {
      this.lose();
      throw error;
    }
    this.#has(lease);
    if (this.#isOver) await this.#release();
  }

  #has(lease: Lease): void {
    this.#lease = lease;
    if (this.#options.isWhole && !this.#isOver) this.topic.isFilledBy(this);
  }

  async #renew(renewed: Promise<void>): Promise<void> {
    this.#isRenewing = true;
    try {
      await renewed;
    } catch (error) {
      this.#notRenewed(error);
    } finally {
      this.#isRenewing = false;
    }
  }

  #notRenewed(error: unknown): void {
    if (this.#isOver) return;
    logger.warn("Cannot renew the lease on topic {topic}: {reason}", {
      topic: this.topic.name,
      reason: messageOf(error),
    });
    if (error instanceof LeaseLostError) this.lose();
  }

  #end(): void {
    this.#isOver = true;
    this.#options.onOver();
  }

  async #release(isLeft = false): Promise<void> {
    const lease = this.#lease;
    try {
      if (isLeft && lease?.abandon) await lease.abandon();
      else await lease?.release();
    } catch (error) {
      logger.warn("Cannot release the lease on topic {topic}: {reason}", {
        topic: this.topic.name,
        reason: messageOf(error),
      });
    }
  }
}
