import { messageOf } from "../../src/fetch/message_of.ts";
import type { CompleteRelayOptions } from "../options/schema.ts";
import type { Topic } from "../topics/topic.ts";
import type { OwnTopicsContext } from "./own_context.ts";
import { OwnSource, wasEndedBefore } from "./own_source.ts";
import { RelayStartError } from "./relay_errors.ts";

/** A fixture of the operator's. */
type OwnFixture = CompleteRelayOptions["fixtures"][number];

/** The topics that the operator's sources and fixtures fill. */
export class OwnTopics {
  readonly #context: OwnTopicsContext;
  readonly #sources: readonly OwnSource[];
  readonly #names: ReadonlySet<string>;

  /** Starts nothing yet. */
  constructor(context: OwnTopicsContext) {
    const { sources, fixtures } = context.options;
    this.#context = context;
    this.#sources = sources.map((source) => new OwnSource(context, source));
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
    const { fixtures } = this.#context.options;
    await Promise.all([
      ...this.#mine(this.#sources).map((source) => source.start()),
      ...this.#mine(fixtures).map((fixture) => this.#startFixture(fixture)),
    ]);
  }

  /** Starts the source of a topic that another relay has left; returns whether there is one. */
  async resume(topic: Topic): Promise<boolean> {
    const source = this.#sources.find(({ name }) => name === topic.name);
    await source?.resume(topic);
    return source !== undefined;
  }

  #mine<Item>(items: readonly Item[]): readonly Item[] {
    const { colleagues } = this.#context;
    return items.filter((_, index) => colleagues?.starts(index) ?? true);
  }

  async #startFixture({ name, path, loop }: OwnFixture): Promise<void> {
    const { topics, sources } = this.#context.parts;
    if (await wasEndedBefore(name, this.#context)) return;
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
