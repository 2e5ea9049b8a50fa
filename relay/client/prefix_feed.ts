// This module is browser compatible.
import type { SubscriptionErrorCode, SubscriptionErrorFacts } from "./error.ts";
import { SubscriptionError } from "./error.ts";
import { type Carried, type Carrier, Feed, WINDOW } from "./feed.ts";
import type { SubscriptionMessage } from "./message.ts";
import { MessageIterator, type NextMessage } from "./message_iterator.ts";
import type { TopicOptions } from "./options.ts";
import type { Subscription, SubscriptionState } from "./subscription.ts";

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
  /** At most one message of each topic: the next is taken when this one is. */
  readonly #given: Given[] = [];
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
  adopt(name: string): Feed {
    const { signal: _, ...options } = this.#options;
    const child = new Feed(name, this.#carrier, { ...options, tellsAll: true });
    this.#children.set(name, child);
    // A child that asks for anything itself has begun here.
    queueMicrotask(() => void this.#pass(child));
    return child;
  }

  /** Returns the fields of the request to the relay. */
  request(): Readonly<Record<string, string | number | boolean | undefined>> {
    const { after, mode, stay, window = WINDOW } = this.#options;
    this.#isFollowing = false;
    return {
      // Those that have come meanwhile are read from their start.
      after: this.#hasFollowed ? "start" : after,
      mode,
      window,
      stay: stay || undefined,
    };
  }

  /** Takes in what the relay says of the prefix. */
  receive(message: { readonly type: string }): boolean {
    if (message.type !== "following") return false;
    this.#isFollowing = true;
    this.#hasFollowed = true;
    return true;
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
        await new Promise<void>((onTaken) => {
          this.#given.push({ message, onTaken });
          this.serve();
        });
      }
    } catch {
      // It has failed, which its end has told; or may not be read any more.
    } finally {
      if (this.#children.get(child.topic) === child) {
        this.#children.delete(child.topic);
      }
    }
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
