/**
 * Those who have topics filled: by sources that they ask for, and by runs.
 *
 * @module
 */
import { readEvents } from "../../src/sse/read_events.ts";
import type { Random } from "../support/random.ts";
import { ResponseContent, RunContent, SourceContent } from "./contents.ts";
import { enterDescription } from "./pages.ts";
import { TopicRecord } from "./topic_record.ts";
import type { Upstreams } from "./upstreams.ts";
import { codeOf, type World } from "./world.ts";

const JSON_BODY = { "Content-Type": "application/json" };

/** The topics of one filler, by their place in its sequence. */
abstract class Filler {
  protected readonly name: string;
  protected readonly world: World;
  #count = 0;

  constructor(name: string, world: World) {
    this.name = name;
    this.world = world;
  }

  abstract run(): Promise<void>;

  /** Returns the topic at a place; `undefined` if it was not asked for yet. */
  at(index: number): TopicRecord | undefined {
    return this.world.records.get(`${this.name}-${index}`);
  }

  protected nextName(): string {
    return `${this.name}-${this.#count++}`;
  }

  /** Waits for the end of a topic, as the relay describes it. */
  protected async ended(record: TopicRecord, who: string): Promise<void> {
    while (!record.hasEnded) {
      await enterDescription(this.world, record, who);
      if (!record.hasEnded) await this.world.pause(100);
    }
  }
}

/** Asks for one source after the other by `PUT`. */
export class SourceMaker extends Filler {
  readonly #upstreams: Upstreams;
  readonly #random: Random;

  constructor(
    name: string,
    upstreams: Upstreams,
    world: World,
    random: Random,
  ) {
    super(name, world);
    this.#upstreams = upstreams;
    this.#random = random;
  }

  async run(): Promise<void> {
    for (;;) {
      const name = this.nextName();
      const length = this.#random.integer(20, 600);
      // A URL that may have a secret is not stored: nobody can go on with such
      // a source.
      const isSecret = this.#random.chance(0.2);
      const { ends } = this.world;
      const content = new SourceContent(
        name,
        length,
        () => isSecret ? this.world.brokenSince(ends) : undefined,
      );
      const record = new TopicRecord(name, content);
      this.world.records.set(name, record);
      const url = this.#upstreams.source(name, length) +
        (isSecret ? "?key=value" : "");
      for (;;) {
        const answer = await this.world.ask(`/topics/${name}`, {
          method: "PUT",
          headers: JSON_BODY,
          body: JSON.stringify({ source: { url } }),
        });
        if (!answer) continue;
        // A relay after the one that was asked does not know the whole URL.
        const isKnown = record.told.isThere || this.world.isShared;
        if (answer.status === 409 && isSecret && isKnown) break;
        if (answer.status !== 200 && answer.status !== 201) {
          record.fail("its PUT", `${answer.status} ${answer.text}`);
        }
        break;
      }
      record.isAcknowledged = true;
      await this.ended(record, "who asked for it");
    }
  }
}

/** The request of a caller: Chat, or a response in the background. */
export type RunKind = "chat" | "background";

/** Makes one run after the other through the gateway. */
export class Caller extends Filler {
  readonly #kind: RunKind;
  readonly #random: Random;

  constructor(name: string, kind: RunKind, world: World, random: Random) {
    super(name, world);
    this.#kind = kind;
    this.#random = random;
  }

  async run(): Promise<void> {
    for (;;) {
      const name = this.nextName();
      const { world } = this;
      let ends = Infinity;
      const Content = this.#kind === "chat" ? RunContent : ResponseContent;
      const record = new TopicRecord(
        name,
        new Content(name, () => world.brokenSince(ends)),
      );
      world.records.set(name, record);
      do {
        await world.back();
        ends = Math.min(ends, world.ends);
        await this.#call(record);
      } while (!await this.#isOver(record));
      await world.pause(this.#random.pick([0, 50, 300, 1_000]));
    }
  }

  /** Asks for the run, and reads the answer for as long as it comes. */
  async #call(record: TopicRecord): Promise<void> {
    const { world } = this;
    const { ends } = world;
    const { name } = record;
    try {
      const [path, asked] = this.#kind === "chat"
        ? ["chat/completions", { messages: [{ role: "user", content: name }] }]
        : ["responses", { background: true, input: name }];
      const response = await world.fetch(`/v1/${path}`, {
        method: "POST",
        headers: { ...JSON_BODY, "Rivulet-Topic": name },
        body: JSON.stringify({ model: "m", stream: true, ...asked }),
      });
      const { status, body } = response;
      if (status !== 200 || !body) {
        const text = await response.text();
        if (status === 503 || status === 502) {
          return world.excuse(ends, `${name}: ${status} ${text}`);
        }
        const code = codeOf({ status, headers: response.headers, text });
        // A relay before this one has begun it.
        if (code === "topic_ended" || code === "topic_exists") return;
        record.fail("its caller", `${status} ${text}`);
      }
      await this.#read(record, body);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      world.excuse(ends, `${name} was cut`, error);
    }
  }

  async #read(
    record: TopicRecord,
    body: ReadableStream<Uint8Array>,
  ): Promise<void> {
    const check = record.check();
    let count = 0;
    for await (const event of readEvents(body, { signal: this.world.over })) {
      record.guard("its caller", "an event", () => check(++count, event));
    }
    const { content } = record;
    if (content instanceof RunContent || content instanceof ResponseContent) {
      const { events: { length } } = content;
      if (content.isWhole(count)) return;
      record.fail("its caller", `a whole answer with ${count} of ${length}`);
    }
  }

  /** Waits for the end; returns whether there is one, or the run has to be made again. */
  async #isOver(record: TopicRecord): Promise<boolean> {
    for (;;) {
      const { told } = record;
      const answer = await this.world.ask(`/topics/${record.name}`, {
        method: "HEAD",
      });
      if (!answer) continue;
      if (answer.status === 404 && !told.isThere) {
        this.world.tally.forgotten++;
        return false;
      }
      const described = await enterDescription(
        this.world,
        record,
        "its caller",
      );
      if (!described) continue;
      if (record.hasEnded) return true;
      // Somebody waits for it: nobody was told that there is a run.
      if (described.state === "pending") return false;
      await this.world.pause(50);
    }
  }
}
