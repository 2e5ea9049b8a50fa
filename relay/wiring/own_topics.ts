import { getLogger } from "@logtape/logtape";
import { messageOf } from "../../src/fetch/message_of.ts";
import { wait } from "../../src/fetch/retry.ts";
import type { CompleteRelayOptions } from "../options/schema.ts";
import { failureOf } from "../sources/failure.ts";
import { LeaseHeldError } from "../topics/lease.ts";
import { StoreError } from "../topics/store.ts";
import type { Topic } from "../topics/topic.ts";
import type { Colleagues } from "./colleagues.ts";
import type { RelayParts } from "./parts.ts";
import { RelayStartError } from "./relay_errors.ts";

/** The parts and the situation of a relay whose topics are to be filled. */
export interface OwnTopicsContext {
  /** The options of the relay. */
  readonly options: CompleteRelayOptions;
  /** The topics, and what fills them. */
  readonly parts: Pick<RelayParts, "topics" | "sources">;
  /** The other workers; `undefined` if it is the only process. */
  readonly colleagues: Colleagues | undefined;
  /** Aborted when the relay closes. */
  readonly closing: AbortSignal;
}

/** A source of the operator's. */
type OwnSource = CompleteRelayOptions["sources"][number];

/** A fixture of the operator's. */
type OwnFixture = CompleteRelayOptions["fixtures"][number];

/**
 * The time between two attempts to reach a store that is away, in milliseconds.
 */
const STORE_INTERVAL = 1_000;

const logger = getLogger(["rivulet", "relay"]);

function isStoreAway(error: unknown): boolean {
  return error instanceof StoreError && error.failure === "away";
}

/** The topics that the operator's sources and fixtures fill. */
export class OwnTopics {
  readonly #context: OwnTopicsContext;
  readonly #names: ReadonlySet<string>;

  /** Starts nothing yet. */
  constructor(context: OwnTopicsContext) {
    const { sources, fixtures } = context.options;
    this.#context = context;
    this.#names = new Set([...sources, ...fixtures].map(({ name }) => name));
  }

  /** Whether a topic is one of these. */
  has(name: string): boolean {
    return this.#names.has(name);
  }

  /**
   * Starts what this process is to start: if it is one of several, the others start the
   * rest.
   *
   * @returns Rejects with a {@linkcode RelayStartError} for what the relay cannot be
   * without.
   */
  async start(): Promise<void> {
    const { sources, fixtures } = this.#context.options;
    await Promise.all([
      ...this.#mine(sources).map((source) => this.#startSource(source)),
      ...this.#mine(fixtures).map((fixture) => this.#startFixture(fixture)),
    ]);
  }

  /** Starts the source of a topic that another relay has left; returns whether there is one. */
  async resume(name: string): Promise<boolean> {
    const { sources } = this.#context.options;
    const source = sources.find((source) => source.name === name);
    if (source) await this.#fill(source);
    return source !== undefined;
  }

  #mine<Item>(items: readonly Item[]): readonly Item[] {
    const { colleagues } = this.#context;
    return items.filter((_, index) => colleagues?.starts(index) ?? true);
  }

  async #startSource(source: OwnSource): Promise<void> {
    try {
      await this.#fill(source);
    } catch (error) {
      if (!isStoreAway(error)) throw error;
      void this.#startSourceLater(source);
    }
  }

  /** Starts a source once the store is there. */
  async #startSourceLater(source: OwnSource): Promise<void> {
    const { options: { clock }, closing } = this.#context;
    while (!closing.aborted) {
      try {
        await wait(STORE_INTERVAL, clock, closing);
        return await this.#fill(source);
      } catch (error) {
        if (!isStoreAway(error)) return;
      }
    }
  }

  async #fill({ name, from, ...source }: OwnSource): Promise<void> {
    const { options: { failFast }, parts: { sources } } = this.#context;
    if (await this.#isDone(name)) return;
    const topic = await this.#topicToFill(name);
    let opened: Promise<void>;
    try {
      ({ opened } = await sources.startHeld(topic, {
        kind: "sse",
        required: failFast,
        ...source,
      }));
    } catch (error) {
      if (!(error instanceof LeaseHeldError)) throw error;
      return logger.info("Another relay reads the source of {name}", { name });
    }
    topic.from = from;
    if (!failFast) return;
    await opened.catch((cause) => {
      throw new RelayStartError(
        "source_failed",
        `The source of topic '${name}' cannot be read: ${failureOf(cause)}`,
        { cause },
      );
    });
  }

  /**
   * Whether a worker that has ended has brought a topic to its end before: the relay has
   * not been restarted by that, and the topic stays as it is.
   */
  async #isDone(name: string): Promise<boolean> {
    const { colleagues, parts: { topics } } = this.#context;
    if (!colleagues?.isAgain) return false;
    await topics.prepare(name);
    return topics.get(name)?.state.kind === "ended";
  }

  /** A topic that has ended is not filled any more: a source begins another one. */
  async #topicToFill(name: string): Promise<Topic> {
    const { topics } = this.#context.parts;
    if (topics.areFetched) await topics.prepare(name, { makes: true });
    if (topics.get(name)?.state.kind === "ended") topics.delete(name);
    return topics.create(name);
  }

  async #startFixture({ name, path, loop }: OwnFixture): Promise<void> {
    const { topics, sources } = this.#context.parts;
    if (await this.#isDone(name)) return;
    await topics.prepare(name);
    // It is played from its first event: after others, they would be there twice.
    topics.delete(name);
    const topic = topics.create(name);
    const spec = { kind: "fixture", path, loop } as const;
    await sources.start(topic, spec).opened.catch((cause) => {
      throw new RelayStartError(
        "fixture_failed",
        `${
          messageOf(cause)
        }. Give --fixture a file of events that the relay can read, such as --record writes`,
        { cause },
      );
    });
  }
}
