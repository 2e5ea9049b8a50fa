/**
 * Those who publish, and who find out what has become of a publication that was not
 * answered.
 *
 * @module
 */
import { z } from "zod";
import {
  type ClientSocket,
  openSocket,
} from "../support/client/client_socket.ts";
import type { Random } from "../support/random.ts";
import {
  PublishedContent,
  publishedData,
  readPublished,
  TURNED_OVER,
} from "./contents.ts";
import { describe, readPage } from "./pages.ts";
import { TopicRecord } from "./topic_record.ts";
import { codeOf, type World } from "./world.ts";

/**
 * The way in which a publisher learns the fate of a publication that was not
 * answered.
 */
export type Repetition = "key" | "tail";

/** After how many events a topic is ended, and the next one begun. */
const TURN = 1_500;

/** The most publications of a WebSocket that are under way. */
const UNDER_WAY = 4;

const JSON_BODY = { "Content-Type": "application/json" };

const published = z.object({
  epoch: z.string(),
  first: z.int(),
  next: z.int(),
});

type Published = z.infer<typeof published>;

/** Topics that several publishers fill, one after the other. */
export class PublishedTopics {
  readonly #name: string;
  readonly #world: World;
  #generation = 0;
  #record: TopicRecord;
  #content: PublishedContent;
  #turned = Promise.withResolvers<void>();

  constructor(name: string, world: World) {
    this.#name = name;
    this.#world = world;
    [this.#record, this.#content] = this.#make();
  }

  /** The topic that is filled now. */
  get current(): TopicRecord {
    return this.#record;
  }

  /** The topic at a place in the sequence, if it was begun. */
  at(index: number): TopicRecord | undefined {
    return this.#world.records.get(`${this.#name}-${index}`);
  }

  /** Waits for the topic after this one. */
  async after(record: TopicRecord): Promise<void> {
    while (this.#record === record) {
      this.#world.over.throwIfAborted();
      await Promise.race([this.#turned.promise, this.#world.pause(1_000)]);
    }
  }

  /** Ends each topic once it has its number of events. */
  async run(): Promise<void> {
    for (;;) {
      const record = this.#record;
      while (record.known < TURN) await this.#world.pause(20);
      this.#content.isEnding = true;
      await this.#end(record);
      this.#generation++;
      [this.#record, this.#content] = this.#make();
      this.#turned.resolve();
      this.#turned = Promise.withResolvers();
    }
  }

  async #end(record: TopicRecord): Promise<void> {
    for (;;) {
      const answer = await this.#world.ask(`/topics/${record.name}/end`, {
        method: "POST",
        headers: JSON_BODY,
        body: JSON.stringify({ status: "complete", reason: TURNED_OVER }),
      });
      if (!answer) continue;
      if (answer.status !== 200) {
        record.fail("its end", `${answer.status} ${answer.text}`);
      }
      const { epoch, next, end } = JSON.parse(answer.text);
      return record.sawEnd(epoch, end, next - 1, "the answer to its end");
    }
  }

  #make(): [TopicRecord, PublishedContent] {
    const name = `${this.#name}-${this.#generation}`;
    const content = new PublishedContent(name);
    const record = new TopicRecord(name, content);
    this.#world.records.set(name, record);
    return [record, content];
  }
}

/** A publication: consecutive numbers of one publisher. */
interface Publication {
  readonly first: number;
  readonly data: readonly string[];
}

/** The common part of publishers by both doors. */
abstract class Publisher {
  readonly id: number;
  readonly topics: PublishedTopics;
  /** The number of the relay that has answered last. */
  heard = 0;
  /** The thing it does now, in words for whoever waits for it. */
  protected doing = "has not begun";
  protected readonly world: World;
  protected readonly random: Random;
  protected readonly repetition: Repetition;
  /** The last number that was given to an event. */
  #last = 0;
  #filled: TopicRecord | undefined;
  /** The offset up to which the topic was read for what is not answered. */
  #read = 0;

  constructor(
    id: number,
    topics: PublishedTopics,
    world: World,
    random: Random,
    repetition: Repetition,
  ) {
    this.id = id;
    this.topics = topics;
    this.world = world;
    this.random = random;
    this.repetition = repetition;
  }

  abstract run(): Promise<void>;

  protected get who(): string {
    return `publisher ${this.id}`;
  }

  /** Its name, and the thing it does now. */
  get state(): string {
    return `${this.who} ${this.doing}`;
  }

  /** Begins to count in a topic. */
  protected begin(record: TopicRecord): void {
    if (this.#filled === record) return;
    this.#filled = record;
    this.#last = 0;
    this.#read = 0;
  }

  protected next({ name }: TopicRecord): Publication {
    const first = this.#last + 1;
    const count = this.random.integer(1, 3);
    this.#last += count;
    return {
      first,
      data: Array.from(
        { length: count },
        (_, index) => publishedData(name, this.id, first + index),
      ),
    };
  }

  protected keyOf({ first }: Publication): string {
    return `${this.id}-${first}`;
  }

  protected acknowledged(
    record: TopicRecord,
    { data }: Publication,
    { epoch, first, next }: Published,
  ): void {
    if (next - first !== data.length) {
      record.fail(this.who, `${data.length} events from ${first} to ${next}`);
    }
    data.forEach((text, index) =>
      record.saw(epoch, first + index, { data: text }, this.who)
    );
    this.world.tally.acknowledged += data.length;
    this.heard = this.world.starts;
    this.#read = Math.max(this.#read, next - 1);
  }

  /** Reads the end of a topic, and returns those of the publications that are not in it. */
  protected async missing(
    record: TopicRecord,
    publications: readonly Publication[],
  ): Promise<readonly Publication[]> {
    const found = new Set<number>();
    const check = (offset: number, data: string): void => {
      this.#read = offset;
      const { p, n } = readPublished(data);
      if (p === this.id) found.add(n);
    };
    // The others go on to publish: on a busy machine, every page would have more.
    let tail: number | undefined;
    do {
      tail ??= (await describe(this.world, record.name))?.next;
      const page = await readPage(this.world, record, this.#read, this.who);
      if (!page) continue;
      for (const [index, { data }] of page.events.entries()) {
        check(page.offset + index, data);
      }
      if (page.events.length === 0) break;
    } while (tail === undefined || this.#read < tail - 1);
    const missing = publications.filter(({ first, data }) => {
      const kept = data.filter((_, index) => found.has(first + index));
      if (kept.length % data.length !== 0) {
        record.fail(this.who, `${kept.length} of ${data.length} from ${first}`);
      }
      return kept.length === 0;
    });
    this.world.tally.found += publications.length - missing.length;
    if (missing.length < publications.length) this.heard = this.world.starts;
    return missing;
  }
}

/** Publishes by `POST`, one publication after the other. */
export class HttpPublisher extends Publisher {
  async run(): Promise<void> {
    for (;;) {
      const record = this.topics.current;
      this.begin(record);
      await this.#publish(record, this.next(record));
      await this.world.pause(this.random.pick([0, 100, 250, 500]));
    }
  }

  async #publish(record: TopicRecord, publication: Publication): Promise<void> {
    for (let attempt = 1;; attempt++) {
      if (attempt > 1 && this.repetition === "tail") {
        const missing = await this.missing(record, [publication]);
        if (missing.length === 0) return;
      }
      if (attempt > 1) this.world.tally.repeated++;
      const { data } = publication;
      const what = `posts ${this.keyOf(publication)} to ${record.name}`;
      this.doing = `${what}, attempt ${attempt}`;
      const answer = await this.world.ask(`/topics/${record.name}`, {
        method: "POST",
        headers: { ...JSON_BODY, "Idempotency-Key": this.keyOf(publication) },
        body: JSON.stringify(data.map((data) => ({ data }))),
      });
      this.doing += answer ? `: ${answer.status} ${answer.text}` : ": nothing";
      if (!answer) continue;
      if (answer.status === 409 && codeOf(answer) === "topic_ended") {
        this.heard = this.world.starts;
        return await this.topics.after(record);
      }
      if (answer.status === 409 && codeOf(answer) === "key_in_use") {
        // The request of which no answer came is still being answered.
        await this.world.pause(50);
        continue;
      }
      if (answer.status !== 200) {
        record.fail(this.who, `${answer.status} ${answer.text}`);
      }
      const at = published.parse(JSON.parse(answer.text));
      return this.acknowledged(record, publication, at);
    }
  }
}

const reply = z.looseObject({
  type: z.string(),
  id: z.string().optional(),
  code: z.string().optional(),
});

/** Publishes over a WebSocket, several publications at a time. */
export class SocketPublisher extends Publisher {
  async run(): Promise<void> {
    let unanswered: readonly Publication[] = [];
    for (;;) {
      const record = this.topics.current;
      this.begin(record);
      while (!record.hasEnded && this.topics.current === record) {
        await this.world.back();
        if (unanswered.length > 0 && this.repetition === "tail") {
          unanswered = await this.missing(record, unanswered);
        }
        // As it is before a relay is waited for: it may be told to end while it is found.
        const { ends } = this.world;
        await this.world.back();
        this.world.tally.repeated += unanswered.length;
        unanswered = await this.#connect(record, unanswered, ends);
      }
      unanswered = [];
      await this.topics.after(record);
    }
  }

  /** Publishes until the connection is lost or the topic ends; returns what was not answered. */
  async #connect(
    record: TopicRecord,
    again: readonly Publication[],
    ends: number,
  ): Promise<readonly Publication[]> {
    const { world } = this;
    const underWay = new Map<string, Publication>();
    const opened = Promise.withResolvers<void>();
    let isOpen = false;
    let isRefused = false;
    let wasFull = false;
    let closing = 0;
    let failure: unknown;
    const about = `has a WebSocket for ${record.name}`;
    this.doing = `${about} that is not open`;
    const socket: ClientSocket = openSocket(
      "ws",
      `${world.url.replace("http", "ws")}/ws`,
      {
        onOpen: () => {
          isOpen = true;
          opened.resolve();
        },
        onText: (text) => {
          try {
            const message = JSON.parse(text);
            const { type, id = "", code } = reply.parse(message);
            const publication = underWay.get(id);
            this.doing = `${about}, and heard ${text}`;
            if (type === "published" && publication) {
              underWay.delete(id);
              const at = published.parse(message);
              this.acknowledged(record, publication, at);
            } else if (type === "error" && code === "topic_ended") {
              this.heard = world.starts;
              isRefused = true;
            } else if (type === "error" && code === "draining") {
              world.excuse(ends, text);
            } else if (
              code === "store_failed" && world.mayRefuse ||
              // Another relay has not heard yet that this connection was cut.
              code === "key_in_use" && world.isShared
            ) {
              wasFull = true;
              socket.destroy();
            } else if (!["welcome", "heartbeat", "goodbye"].includes(type)) {
              record.fail(this.who, text);
            }
          } catch (error) {
            failure ??= error;
            socket.destroy();
          }
        },
        onClose: (code) => {
          isOpen = false;
          closing = code;
          opened.resolve();
        },
      },
    );
    const leave = () => socket.destroy();
    world.over.addEventListener("abort", leave);
    try {
      await opened.promise;
      const send = (publication: Publication): void => {
        const id = this.keyOf(publication);
        underWay.set(id, publication);
        this.doing = `${about}, and has sent ${id}`;
        const events = publication.data.map((data) => ({ data }));
        const { name: topic } = record;
        socket.send(JSON.stringify({ type: "publish", topic, events, id }));
      };
      if (!isOpen) {
        for (const one of again) underWay.set(this.keyOf(one), one);
      } else again.forEach(send);
      while (isOpen && !isRefused) {
        // Of those that come while a disk has room again, the first may be refused.
        if (underWay.size < (world.mayFill ? 1 : UNDER_WAY)) {
          send(this.next(record));
        }
        await world.pause(this.random.pick([5, 100, 250, 500]));
      }
      if (failure !== undefined) throw failure;
      if (wasFull) await world.pause(100);
      else if (!isRefused) {
        world.excuse(ends, `${this.who} was closed with ${closing}`);
      }
    } finally {
      world.over.removeEventListener("abort", leave);
      socket.destroy();
      await socket.closed;
    }
    return [...underWay.values()];
  }
}
