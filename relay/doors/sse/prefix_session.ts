import { Buffer } from "node:buffer";
import type { FrameCache } from "../../delivery/frames.ts";
import { Subscription } from "../../delivery/subscription.ts";
import type { MemoryGuard } from "../../limits/memory/memory_guard.ts";
import { boundedDetail } from "../../problem.ts";
import type { Access } from "../../rights/access.ts";
import type { After, Position } from "../../topics/position.ts";
import type { TopicRegistry } from "../../topics/registry.ts";
import type { Topic } from "../../topics/topic.ts";
import { hearOfNew } from "../new_topics.ts";
import {
  formatPrefixPosition,
  type PrefixPosition,
  roomOf,
} from "../prefix_position.ts";
import {
  beginningOf,
  knownTopics,
  type PrefixReader,
  resumeTopic,
  topicsSince,
} from "../prefix_resumption.ts";
import { Staying } from "../staying.ts";
import { placeOf, ToldEnds } from "../told_ends.ts";
import { messageEvent, prefixSseFormat } from "./prefix_format.ts";
import {
  type StreamContext,
  type StreamReader,
  StreamSession,
} from "./stream_session.ts";

/**
 * The most characters of a position. A browser sends it in a header, of which proxies take
 * 8 KiB.
 */
export const MAX_PREFIX_POSITION = 4_096;

/** A reader that is to be answered with all topics whose names begin alike. */
export interface PrefixStreamRequest extends StreamReader {
  /** The beginning of the names. */
  readonly prefix: string;
  /** The place where it begins, or goes on. Default: where a reader of each topic begins. */
  readonly after: PrefixPosition | "start" | "now" | undefined;
  /** Whether it stays for the next epoch of each topic. */
  readonly stay: boolean;
  /** The rights of the reader. */
  readonly access: Access;
}

/** The context of the streams of prefixes. */
export interface PrefixStreamContext extends StreamContext {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** The most topics that one reader follows at a time. */
  readonly maxSubscriptions: number;
  /** Refuses new work while there is little memory. */
  readonly memory: Pick<MemoryGuard, "refusal">;
  /** Counts a refusal, by its code. */
  refused(code: string): void;
}

/** Returns the places behind all that topics have now. */
function placesAtEnd(topics: readonly Topic[]): [string, Position][] {
  return topics.map(({ name, log: { epoch, next } }) => [
    name,
    { epoch, offset: next - 1 },
  ]);
}

/** One SSE reader of all topics whose names begin alike (PROTOCOL.md, section 3). */
export class PrefixStreamSession extends StreamSession {
  readonly #request: PrefixStreamRequest;
  readonly #topics: PrefixStreamContext;
  readonly #frames: FrameCache;
  /** The subscriptions that have ended, and wait for the next epoch. */
  readonly #staying = new Staying();
  /** The ends that were told: of those that wait, and of those that are still news. */
  readonly #ends: ToldEnds;
  /** The time since which the reader knew of all topics when it came. */
  readonly #since: number;
  readonly #stopHearing: () => void;

  /**
   * Answers a request.
   *
   * @param request The reader, and what it reads.
   * @param frames The events in the format of prefixes.
   * @param context The context of such streams.
   */
  constructor(
    request: PrefixStreamRequest,
    frames: FrameCache,
    context: PrefixStreamContext,
  ) {
    const { prefix, after } = request;
    super(request, {
      name: `${prefix}*`,
      counts: frames.counts,
      format: prefixSseFormat,
      isRaw: false,
    }, context);
    this.#request = request;
    this.#topics = context;
    this.#frames = frames;
    const isResumed = typeof after === "object";
    this.#since = isResumed ? after.time : context.clock.now();
    this.#ends = new ToldEnds(context.clock);
    this.#stopHearing = hearOfNew(
      context,
      prefix,
      (topic) => this.#onNew(topic),
    );
    // It is written at once, and all that follows after this turn: the ids of that have the
    // places in all topics.
    if (isResumed) {
      this.#begin(after.positions);
      this.#resume(after);
    } else {
      const { topics, next } = this.#first();
      this.#begin(after === "now" ? placesAtEnd(topics) : []);
      for (const topic of topics) this.#follow(topic, after ?? topic.from);
      // Of those that there is no room for, one is told: there may be 100,000.
      if (next) this.#follow(next, after ?? next.from);
    }
  }

  onEnd(subscription: Subscription): void {
    const { topic, stays } = subscription;
    this.#ends.add(topic, placeOf(subscription));
    // A next epoch that has come meanwhile was not followed: a name is followed once.
    if (stays || this.#topics.topics.after(topic)) this.#stay(subscription);
  }

  protected override leaveTopics(): void {
    this.#stopHearing();
    this.#staying[Symbol.dispose]();
  }

  #stay(subscription: Subscription): void {
    const { context: { stays } } = this;
    const { name } = subscription.topic;
    this.#staying.add(subscription, stays, (next) => {
      this.#ends.delete(name);
      this.subscriber.add(next);
    });
  }

  /**
   * Returns the topics that a new reader follows, and the next one if there is no room for
   * all. Topics that have ended are none of them.
   */
  #first(): { readonly topics: Topic[]; readonly next?: Topic } {
    const { prefix } = this.#request;
    const topics: Topic[] = [];
    let room = MAX_PREFIX_POSITION;
    for (const topic of knownTopics(this.#reader)) {
      const { name, state, log: { epoch } } = topic;
      if (state.kind === "ended") continue;
      room -= roomOf(name, prefix, epoch);
      if (topics.length >= this.#topics.maxSubscriptions || room < 0) {
        return { topics, next: topic };
      }
      topics.push(topic);
    }
    return { topics };
  }

  get #reader(): PrefixReader {
    const { prefix, access } = this.#request;
    return { prefix, access, topics: this.#topics.topics };
  }

  /** Goes on where a reader has been. */
  #resume(after: PrefixPosition): void {
    const reader = this.#reader;
    for (const [name, position] of after.positions) {
      const resumed = resumeTopic(reader, name, position);
      if (resumed.kind === "refused") {
        this.#refuse(resumed.code, resumed.reason, name);
        continue;
      }
      const { topic } = resumed;
      if (resumed.kind === "follow") {
        this.#follow(topic, position);
        continue;
      }
      this.#ends.add(topic, position);
      if (this.#request.stay || resumed.isRenewed) {
        this.#stay(this.#subscriptionTo(topic, position));
      }
    }
    for (const topic of topicsSince(reader, after)) {
      if (!this.#follow(topic, beginningOf(topic))) break;
    }
  }

  #onNew(topic: Topic): void {
    const { name } = topic;
    // A reader does not learn of a topic that it may not read.
    if (!this.#request.access.may("read", name)) return;
    if (this.#ends.has(topic)) return;
    const isRead = this.#staying.has(name) ||
      this.subscriptions.some(({ topic }) => topic.name === name);
    if (!isRead) this.#follow(topic, beginningOf(topic));
  }

  /** Follows a topic; returns whether there is room for it. */
  #follow(topic: Topic, after: After): boolean {
    const { maxSubscriptions, memory } = this.#topics;
    const { name, log: { epoch } } = topic;
    const { prefix } = this.#request;
    const count = this.subscriptions.length + this.#staying.size;
    let room = MAX_PREFIX_POSITION - roomOf(name, prefix, epoch);
    for (const [name, { epoch }] of this.#places()) {
      room -= roomOf(name, prefix, epoch);
    }
    if (count >= maxSubscriptions || room < 0) {
      const most = count >= maxSubscriptions
        ? `${maxSubscriptions} topics at a time`
        : `topics whose names and epochs fit into ${MAX_PREFIX_POSITION} characters`;
      this.#refuse(
        "too_many_subscriptions",
        `Expected at most ${most}: use a longer prefix, or a WebSocket`,
        name,
      );
      return false;
    }
    const problem = memory.refusal();
    if (problem) {
      this.#refuse(problem.code, problem.message, name, true);
      return false;
    }
    this.#ends.delete(name);
    this.subscriber.add(this.#subscriptionTo(topic, after));
    return true;
  }

  #subscriptionTo(topic: Topic, after: After): Subscription {
    const { topics } = this.#topics;
    return new Subscription(
      // A position of another epoch is one in front of the first event, too.
      topics.at(topic, after),
      after,
      prefixSseFormat,
      this.#frames,
      {
        stays: this.#request.stay,
        head: () => this.#idOf(this.#time, this.#places()),
      },
    );
  }

  /** The place of the reader in each topic. */
  *#places(): Generator<readonly [name: string, place: Position], void> {
    for (const subscription of this.subscriptions) {
      yield [subscription.topic.name, placeOf(subscription)];
    }
    yield* this.#ends.places(
      this.#time,
      (name) => this.#staying.has(name),
    );
  }

  /** The time since which the reader knows of all topics, but for those in its position. */
  get #time(): number {
    return this.#ends.timeAfter(this.#since);
  }

  #idOf(
    time: number,
    places: Iterable<readonly [string, Position]>,
  ): Uint8Array {
    const position = { time, positions: new Map(places) };
    const { prefix } = this.#request;
    return Buffer.from(`id: ${formatPrefixPosition(position, prefix)}\n`);
  }

  /** Says what is followed, with the place at which that begins. */
  #begin(places: Iterable<readonly [string, Position]>): void {
    const topic = `${this.#request.prefix}*`;
    this.subscriber.answer(Buffer.concat([
      this.#idOf(this.#since, places),
      messageEvent({ type: "following", topic }),
    ]));
  }

  #refuse(
    code: string,
    message: string,
    topic: string,
    retryable = false,
  ): void {
    this.#topics.refused(code);
    // No id: the reader stands where it stood.
    this.subscriber.answer(messageEvent({
      type: "error",
      code,
      message: boundedDetail(message),
      topic,
      retryable,
    }));
  }
}
