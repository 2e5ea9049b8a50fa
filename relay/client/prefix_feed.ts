// This module is browser compatible.
import type { SubscriptionErrorCode, SubscriptionErrorFacts } from "./error.ts";
import { SubscriptionError } from "./error.ts";
import {
  type Carried,
  type Carrier,
  Feed,
  type SubscribeFields,
  type TopicMessage,
  WINDOW,
} from "./feed.ts";
import type { SubscriptionMessage } from "./message.ts";
import { MessageIterator, type NextMessage } from "./message_iterator.ts";
import type { TopicOptions } from "./options.ts";
import type { Subscription, SubscriptionState } from "./subscription.ts";

/** The most characters of a position that a relay takes (PROTOCOL.md, section 2). */
const MAX_SINCE = 8_192;

/** A message of a topic, and what is done when it is taken. */
interface Given {
  readonly message: SubscriptionMessage;
  onTaken(): void;
}

/**
 * All topics whose names begin alike, those that come later too. Each is a feed of its own,
 * which the relay has subscribed to itself, and which resumes by itself.
 */
export class PrefixFeed extends MessageIterator
  implements Subscription, Carried {
  readonly topic: string;
  readonly #carrier: Carrier;
  readonly #options: TopicOptions;
  readonly #children = new Map<string, Feed>();
  /** By topic: settled once the messages of its children have been taken. */
  readonly #turns = new Map<string, Promise<void>>();
  /** At most one message of each topic: the next is taken when this one is. */
  readonly #given: Given[] = [];
  /**
   * The relay's position, to come back with: with it come topics that have begun and ended
   * meanwhile. A relay of before has none.
   */
  #position: string | undefined;
  /** The positions of the ends that have come, by topic, as far as they are news to the relay. */
  readonly #ends = new Map<string, string>();
  /** Whether the relay has answered, ever. */
  #hasFollowed = false;
  #isFollowing = false;
  #isOver = false;
  #raise: (() => unknown) | undefined;

  constructor(topic: string, carrier: Carrier, options: TopicOptions) {
    super(options.signal);
    // It finds what is wrong with the options.
    new Feed(topic.slice(0, -1) || "any", carrier, options);
    if (options.snapshot || /:/.test(options.after ?? "")) {
      throw new TypeError(
        "Cannot subscribe to a prefix from a position or with a snapshot: these are of one topic",
      );
    }
    this.topic = topic;
    this.#carrier = carrier;
    this.#options = options;
  }

  get position(): undefined {
    return undefined;
  }

  get end(): undefined {
    return undefined;
  }

  get state(): SubscriptionState {
    if (this.#isOver) return "closed";
    if (!this.isStarted) return "idle";
    const { state } = this.#carrier;
    return state === "open" && !this.#isFollowing ? "connecting" : state;
  }

  cancel(reason?: string): void {
    for (const child of this.#children.values()) child.cancel(reason);
  }

  /** Whether a topic is one of these. */
  covers(name: string): boolean {
    return !this.#isOver && name.startsWith(this.topic.slice(0, -1));
  }

  /** Makes the feed of a topic that the relay has subscribed to. */
  adopt(name: string, epoch: string): Feed {
    const { signal: _, ...options } = this.#options;
    const end = this.#ends.get(name);
    const child = new Feed(name, this.#carrier, {
      ...options,
      // It is there: a relay that has lost it is to say so.
      wait: false,
      tellsAll: true,
      known: end?.startsWith(`${epoch}:`) ? end : undefined,
    });
    this.#children.set(name, child);
    // A child that asks for anything itself has begun here. An epoch follows the one before.
    const before = this.#turns.get(name) ?? Promise.resolve();
    this.#turns.set(name, before.then(() => this.#pass(child)));
    return child;
  }

  onEnd(name: string, position: string): void {
    if (this.#position) this.#ends.set(name, position);
  }

  refuse(topic: string, code: string, reason: string): void {
    // Else all of it has come.
    if (!this.#ends.has(topic)) {
      this.#give({ type: "refused", topic, code, reason });
    }
  }

  /** Returns the fields of the request to the relay. */
  request(): SubscribeFields {
    const { after, mode, stay, window = WINDOW } = this.#options;
    this.#isFollowing = false;
    return {
      // Those that have come meanwhile are read from their start.
      after: this.#hasFollowed ? "start" : after,
      since: this.#since(),
      mode,
      window,
      stay: stay || undefined,
    };
  }

  /** Takes in what the relay says of the prefix. */
  receive(message: TopicMessage): boolean {
    if (message.type !== "following" && message.type !== "position") {
      return false;
    }
    const { type, position } = message;
    this.#position = position;
    if (type === "position") {
      for (const name of this.#ends.keys()) {
        if (!position.includes(`,${this.#restOf(name)}@`)) {
          this.#ends.delete(name);
        }
      }
      return false;
    }
    if (!position) this.#ends.clear();
    this.#isFollowing = true;
    this.#hasFollowed = true;
    return true;
  }

  /**
   * Returns the place to come back with. A topic whose end is left out of it comes again, and
   * is passed over.
   */
  #since(): string | undefined {
    let since = this.#position;
    if (!since) return undefined;
    const places = [...this.#ends];
    for (const [name, { position, place }] of this.#children) {
      // The others ask for themselves.
      if (!position && place) places.push([name, place]);
    }
    for (const [name, place] of places) {
      since += `,${this.#restOf(name)}@${place}`;
    }
    return since.length <= MAX_SINCE
      ? since
      : since.slice(0, since.lastIndexOf(",", MAX_SINCE));
  }

  #restOf(name: string): string {
    return name.slice(this.topic.length - 1);
  }

  /** Ends in an error. */
  fail(code: SubscriptionErrorCode, facts: SubscriptionErrorFacts): void {
    void this.abandon(() =>
      new SubscriptionError(code, this.topic, undefined, facts)
    );
  }

  /** Drops what was not taken, and ends. */
  abandon(raise?: () => unknown): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    this.#isOver = true;
    this.#raise = raise;
    this.forgetSignal();
    for (const { onTaken } of this.#given.splice(0)) onTaken();
    for (const child of this.#children.values()) void child.close();
    this.#children.clear();
    const gone = this.#carrier.remove(this, false);
    this.serve();
    return gone;
  }

  protected connect(): void {
    if (!this.#isOver) this.#carrier.add(this);
  }

  /** Gives what a topic has, until its end. */
  async #pass(child: Feed): Promise<void> {
    try {
      for await (const message of child) {
        if (this.#isOver) return;
        await this.#give(message);
      }
    } catch (error) {
      // Else it has failed, which its end has told.
      if (error instanceof SubscriptionError && error.code === "refused") {
        const { relayCode = "", reason = "" } = error;
        this.refuse(child.topic, relayCode, reason);
      }
    } finally {
      if (this.#children.get(child.topic) === child) {
        this.#children.delete(child.topic);
        this.#turns.delete(child.topic);
      }
    }
  }

  #give(message: SubscriptionMessage): Promise<void> {
    return new Promise((onTaken) => {
      this.#given.push({ message, onTaken });
      this.serve();
    });
  }

  protected take(): NextMessage | undefined {
    const given = this.#given.shift();
    if (given) {
      given.onTaken();
      return given;
    }
    if (!this.#isOver) return undefined;
    const raise = this.#raise;
    this.#raise = undefined;
    return { raise };
  }
}
