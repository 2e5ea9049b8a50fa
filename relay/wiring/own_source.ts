import { getLogger } from "@logtape/logtape";
import { messageOf } from "../../src/fetch/message_of.ts";
import { wait } from "../../src/fetch/retry.ts";
import type { CompleteRelayOptions } from "../options/schema.ts";
import { failureOf } from "../sources/failure.ts";
import type { Source } from "../sources/source.ts";
import { LeaseHeldError } from "../topics/lease.ts";
import { StoreError } from "../topics/store.ts";
import type { Topic } from "../topics/topic.ts";
import type { OwnTopicsContext } from "./own_context.ts";
import { RelayStartError } from "./relay_errors.ts";

/**
 * The time between two attempts to reach a store that is away, in milliseconds.
 */
const STORE_INTERVAL = 1_000;

/**
 * The time between two looks of a spare, in milliseconds. A store tells of most readers
 * that are gone, and much sooner: not of one whose lease it has lost.
 */
const SPARE_INTERVAL = 15_000;

const logger = getLogger(["rivulet", "relay"]);

/**
 * A source of the operator's: this relay reads it, or is the spare of another relay that
 * does.
 */
export class OwnSource {
  readonly #context: OwnTopicsContext;
  readonly #source: CompleteRelayOptions["sources"][number];
  /** The reader and what it fills, while there is one here. */
  #reading: { readonly source: Source; readonly topic: Topic } | undefined;
  /** The log that another relay was found to fill. */
  #epoch: string | undefined;

  /** Reads nothing yet. */
  constructor(
    context: OwnTopicsContext,
    source: CompleteRelayOptions["sources"][number],
  ) {
    this.#context = context;
    this.#source = source;
  }

  /** The name of its topic. */
  get name(): string {
    return this.#source.name;
  }

  /**
   * Begins to read, or to wait for this relay's turn.
   *
   * @returns Rejects with a {@linkcode RelayStartError} if the relay cannot be without it.
   */
  async start(): Promise<void> {
    try {
      await this.#begin();
    } catch (error) {
      if (!isStoreAway(error)) throw error;
      void this.#beginLater();
    }
  }

  /** Reads on in a topic that another relay has left, if this one is the first to do so. */
  async resume(topic: Topic): Promise<void> {
    await this.#read(topic);
  }

  async #begin(): Promise<void> {
    const topic = await this.#topicToFill();
    if (!topic) return;
    const isReader = await this.#read(topic);
    const { name } = this;
    if (!isReader) {
      logger.info("Another relay reads the source of {name}", { name });
    }
    void this.#stay();
  }

  /** Begins once the store is there. */
  async #beginLater(): Promise<void> {
    while (await this.#wait(STORE_INTERVAL)) {
      try {
        return await this.#begin();
      } catch (error) {
        if (isStoreAway(error)) continue;
        return this.#tell("Cannot begin with the source of {name}", error);
      }
    }
  }

  /** Has the topic filled until it ends, by whichever relay. */
  async #stay(): Promise<void> {
    for (;;) {
      if (this.#reading) {
        const { source, topic } = this.#reading;
        await source.finished;
        if (topic.verdict) return;
      }
      if (!await this.#wait(SPARE_INTERVAL)) return;
      if (this.#reading) continue;
      try {
        if (!await this.#isLeft()) continue;
        const topic = await this.#find();
        if (topic?.verdict) return;
        if (topic) await this.#read(topic);
      } catch (error) {
        if (isStoreAway(error)) continue;
        this.#tell("Cannot go on with the source of {name}", error);
      }
    }
  }

  /** Waits; returns whether the relay is there still. */
  async #wait(time: number): Promise<boolean> {
    const { options: { clock }, closing } = this.#context;
    try {
      await wait(time, clock, closing);
      return true;
    } catch {
      return false;
    }
  }

  #tell(message: string, error: unknown): void {
    if (this.#context.closing.aborted) return;
    logger.warn(`${message}: {reason}`, {
      name: this.name,
      reason: messageOf(error),
    });
  }

  /** Whether nobody fills the topic, as far as the store knows. */
  async #isLeft(): Promise<boolean> {
    const { leases } = this.#context.parts.topics;
    return this.#epoch === undefined ||
      await leases.isFree(this.name, this.#epoch);
  }

  /** Returns the topic, if it is there: nobody makes it again that somebody has deleted. */
  async #find(): Promise<Topic | undefined> {
    const { topics } = this.#context.parts;
    await topics.prepare(this.name, { isFresh: true });
    return topics.get(this.name);
  }

  /**
   * Returns a topic to begin with, if there is one to fill. One that has ended is not
   * filled any more: a source begins another one.
   */
  async #topicToFill(): Promise<Topic | undefined> {
    const { topics } = this.#context.parts;
    const { name } = this;
    if (await wasEndedBefore(name, this.#context)) return undefined;
    if (topics.areFetched) await topics.prepare(name, { makes: true });
    if (topics.get(name)?.state.kind === "ended") topics.delete(name);
    return topics.create(name);
  }

  /** Reads for a topic; returns whether this relay is the one that does. */
  async #read(topic: Topic): Promise<boolean> {
    const { options: { failFast }, parts: { sources } } = this.#context;
    const { name, from, ...source } = this.#source;
    let reader: Source;
    try {
      reader = await sources.startHeld(topic, {
        kind: "sse",
        required: failFast,
        ...source,
      });
    } catch (error) {
      if (!(error instanceof LeaseHeldError)) throw error;
      this.#epoch = topic.log.epoch;
      return false;
    }
    topic.from = from;
    this.#reading = { source: reader, topic };
    this.#epoch = undefined;
    void reader.finished.finally(() => this.#reading = undefined);
    if (!failFast) return true;
    await reader.opened.catch((cause) => {
      throw new RelayStartError(
        "source_failed",
        `The source of topic '${name}' cannot be read: ${failureOf(cause)}`,
        { cause },
      );
    });
    return true;
  }
}

/**
 * Whether a worker that has ended has brought a topic to its end before: the relay has
 * not been restarted by that, and the topic stays as it is.
 */
export async function wasEndedBefore(
  name: string,
  { colleagues, parts: { topics } }: OwnTopicsContext,
): Promise<boolean> {
  if (!colleagues?.isAgain) return false;
  await topics.prepare(name);
  return topics.get(name)?.state.kind === "ended";
}

function isStoreAway(error: unknown): boolean {
  return error instanceof StoreError && error.failure === "away";
}
