import type { ServerResponse } from "node:http";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../../src/fetch/clock.ts";
import { messageOf } from "../../../../src/fetch/message_of.ts";
import type {
  SendAccount,
  SendBudget,
} from "../../../limits/memory/send_budget.ts";
import type { Access } from "../../../rights/access.ts";
import type { Expiries, Expiring } from "../../../rights/expiries.ts";
import type { TopicRegistry } from "../../../topics/registry.ts";
import type { Topic } from "../../../topics/topic.ts";
import { dropAnswer } from "../../../cut_answer.ts";
import type { Guest } from "../../guests.ts";
import { describeTopic } from "./describe_topic.ts";
import {
  findTopics,
  type TopicListQuery,
  type TopicPage,
} from "./topic_list.ts";

/** The time between two looks for changes, in milliseconds: a topic is told of twice a second at most. */
const INTERVAL = 500;

const logger = getLogger(["rivulet", "relay", "http"]);

/**
 * The part of the time that looking for changes may take, of all streams together.
 * With 10,000 topics and rights to be asked for, a look takes some milliseconds.
 */
const SHARE = 1 / 20;

/** A request for a list of topics and its changes. */
export interface TopicListRequest {
  /** The response to write to: it has not begun. */
  readonly response: ServerResponse;
  /** The topics of the list. */
  readonly query: TopicListQuery;
  /** The rights of the caller: the list has the topics that it may read. */
  readonly access: Access;
  /** The address of the caller. */
  readonly address: string;
  /** The name under which limits count the caller. */
  readonly client: string;
}

/** The context of the streams. */
export interface TopicListStreamsContext {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** Counts the bytes that wait for readers. */
  readonly budget: SendBudget;
  /** The time after which a reader gets a sign of life, in milliseconds. */
  readonly heartbeat: number;
  /** Ends streams whose tokens expire. */
  readonly expiries: Expiries;
  /** The source of time. */
  readonly clock: Clock;
}

/** The facts about a topic that its description is made from: it has changed when one of them has. */
interface SeenTopic {
  readonly topic: Topic;
  readonly state: Topic["state"];
  readonly next: number;
  readonly followers: number;
  readonly upstreamVersion: number;
}

function seen(topic: Topic): SeenTopic {
  const { state, followers, upstreamVersion, log: { next } } = topic;
  return { topic, state, next, followers, upstreamVersion };
}

function isSame(before: SeenTopic, topic: Topic): boolean {
  return before.topic === topic && before.state === topic.state &&
    before.next === topic.log.next && before.followers === topic.followers &&
    before.upstreamVersion === topic.upstreamVersion;
}

/** One reader of a list of topics (PROTOCOL.md, section 4). */
class TopicListSession implements Guest, Expiring {
  readonly #request: TopicListRequest;
  readonly #context: TopicListStreamsContext;
  readonly #queued: SendAccount;
  #seen = new Map<string, SeenTopic>();
  #next: string | undefined;
  #wroteAt = 0;
  /** Whether the store is being asked what there is. */
  #isLooking = false;

  constructor(request: TopicListRequest, context: TopicListStreamsContext) {
    const { response, client, address } = request;
    this.#request = request;
    this.#context = context;
    this.#queued = context.budget.open({
      client,
      address,
      drop: () => dropAnswer(response),
    });
    response.on("error", () => {}); // `close` follows
    const { expires } = request.access;
    context.expiries.add(expires, this);
    response.on("close", () => {
      context.expiries.delete(expires, this);
      this.#queued.close();
    });
    response.writeHead(200, {
      "Content-Type": "text/event-stream; charset=utf-8",
      "Cache-Control": "no-cache, no-transform",
      "X-Accel-Buffering": "no",
    });
    this.#find((page) => this.#begin(page));
  }

  /** A list follows no topic. */
  get subscriptions(): readonly [] {
    return [];
  }

  /** Tells the reader what has changed; a reader that is behind gets all of it at once, later. */
  look(): void {
    const { response } = this.#request;
    this.#queued.set(response.writableLength);
    if (response.writableNeedDrain || response.writableEnded) return;
    if (!this.#isLooking) this.#find((page) => this.#tell(page));
  }

  #tell({ topics, next }: TopicPage): void {
    const { clock, heartbeat } = this.#context;
    const now = clock.now();
    const before = this.#seen;
    this.#seen = new Map();
    const changed: Topic[] = [];
    for (const topic of topics) {
      const { name } = topic;
      const known = before.get(name);
      before.delete(name);
      const isKnown = known !== undefined && isSame(known, topic);
      if (!isKnown) changed.push(topic);
      this.#seen.set(name, isKnown ? known : seen(topic));
    }
    const gone = [...before.keys()];
    if (changed.length > 0 || gone.length > 0 || next !== this.#next) {
      this.#next = next;
      const topics = changed.map(describeTopic);
      this.#write(
        `event: rivulet.changes\ndata: ${
          JSON.stringify({ topics, gone, next })
        }\n\n`,
      );
    } else if (now - this.#wroteAt >= heartbeat) this.#write(":\n\n");
  }

  leave(_left: number, duration: number): void {
    this.#write(`retry: ${Math.ceil(duration)}\n\n`);
    this.stop();
  }

  finish(): void {
    this.stop();
  }

  stop(): void {
    this.#request.response.end();
  }

  /** The token has expired: a reader that comes back is asked for a new one. */
  onExpiry(): void {
    this.stop();
  }

  closed(): Promise<void> {
    const { response } = this.#request;
    return new Promise((resolve) => {
      if (response.closed) resolve();
      else response.once("close", () => resolve());
    });
  }

  #begin({ topics, next }: TopicPage): void {
    for (const topic of topics) this.#seen.set(topic.name, seen(topic));
    this.#next = next;
    this.#write(
      `event: rivulet.snapshot\ndata: ${
        JSON.stringify({ topics: topics.map(describeTopic), next })
      }\n\n`,
    );
  }

  #find(onFound: (page: TopicPage) => void): void {
    const { access, query } = this.#request;
    const found = findTopics(this.#context.topics, access, query);
    if (found instanceof Promise) void this.#await(found, onFound);
    else onFound(found);
  }

  async #await(
    found: Promise<TopicPage>,
    onFound: (page: TopicPage) => void,
  ): Promise<void> {
    this.#isLooking = true;
    try {
      onFound(await found);
    } catch (error) {
      logger.warn("The store cannot list its topics now: {reason}", {
        reason: messageOf(error),
      });
      // A reader without a list comes back; another one gets the next look.
      if (this.#wroteAt === 0) this.stop();
    } finally {
      this.#isLooking = false;
    }
  }

  #write(text: string): void {
    const { response } = this.#request;
    if (!response.writable) return;
    this.#wroteAt = this.#context.clock.now();
    response.write(text);
    this.#queued.set(response.writableLength);
  }
}

/**
 * The streams of lists of topics: a snapshot, and then what changes.
 *
 * They look for changes instead of being told, so that a stream costs the same
 * however fast its topics are, and nothing is kept for a reader that is behind.
 */
export class TopicListStreams implements Disposable {
  readonly #sessions = new Set<TopicListSession>();
  readonly #context: TopicListStreamsContext;
  #cancel: (() => void) | undefined;

  /** Makes it without streams. */
  constructor(context: TopicListStreamsContext) {
    this.#context = context;
  }

  /** The readers. */
  get guests(): Iterable<Guest & { readonly subscriptions: readonly [] }> {
    return this.#sessions;
  }

  /** Answers a request with a list, and its changes. */
  open(request: TopicListRequest): void {
    const session = new TopicListSession(request, this.#context);
    this.#sessions.add(session);
    request.response.on("close", () => {
      this.#sessions.delete(session);
      if (this.#sessions.size === 0) this[Symbol.dispose]();
    });
    if (!this.#cancel) this.#schedule(INTERVAL);
  }

  /** Looks for changes no more. */
  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #schedule(delay: number): void {
    this.#cancel = this.#context.clock.setTimeout(() => {
      const start = performance.now();
      for (const session of this.#sessions) session.look();
      const elapsed = performance.now() - start;
      this.#schedule(Math.max(INTERVAL, elapsed / SHARE));
    }, delay);
  }
}
