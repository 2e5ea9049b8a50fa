// This module is browser compatible.
import type { Clock } from "../../src/fetch/clock.ts";
import {
  SubscriptionError,
  type SubscriptionErrorCode,
  type SubscriptionErrorFacts,
} from "./error.ts";
import type {
  EndMessage,
  GapMessage,
  LiveMessage,
  SnapshotMessage,
  SubscribedMessage,
  SubscriptionMessage,
  UpstreamMessage,
} from "./message.ts";
import { MessageIterator, type NextMessage } from "./message_iterator.ts";
import type { TopicOptions } from "./options.ts";
import type { Subscription, SubscriptionState } from "./subscription.ts";
import type { TopicEnd } from "./topic_end.ts";

/** Without a `window`; in bytes. */
export const WINDOW = 256 * 1024;

/**
 * The time from the first event taken to the acknowledgement, if there is
 * little to acknowledge; in milliseconds.
 */
const ACK_DELAY = 200;

/** The longest reason to stop a topic that a relay takes, in UTF-16 code units. */
const MAX_REASON = 1_000;

/** A message of the relay about a topic (PROTOCOL.md, section 2). The client checks its offsets only. */
export type TopicMessage =
  | {
    readonly type: "subscribed";
    readonly epoch: string;
    readonly after: number;
    readonly recovered: boolean;
    readonly state: SubscribedMessage["state"];
  }
  | {
    readonly type: "events";
    readonly offset: number;
    readonly events: readonly {
      readonly event?: string;
      readonly data: string;
      readonly id?: string;
    }[];
  }
  | {
    readonly type: "merged";
    readonly offset: number;
    readonly to: number;
    readonly event?: string;
    readonly data: string;
  }
  | Omit<EndMessage, "epoch" | "position">
  | Omit<SnapshotMessage, "position">
  | GapMessage
  | LiveMessage
  | UpstreamMessage
  | { readonly type: "following"; readonly position?: string }
  | { readonly type: "position"; readonly position: string };

/** The fields of the message `subscribe`, beside the topic. */
export type SubscribeFields = Readonly<
  Record<string, string | number | boolean | undefined>
>;

/**
 * The load of a connection: one topic, or all topics whose names begin alike.
 */
export interface Carried {
  /** The topic, or the prefix with a star behind it. */
  readonly topic: string;
  /**
   * Begins anew on a connection, and returns what to ask the relay for; nothing where its
   * prefix asks for it.
   */
  request(): SubscribeFields | undefined;
  /** Takes in what the relay says, and returns whether the subscription got further. */
  receive(message: TopicMessage, size: number): boolean;
  /** Ends in an error, after what was received. */
  fail(code: SubscriptionErrorCode, facts: SubscriptionErrorFacts): void;
  /** Drops what was not taken, and ends. */
  abandon(raise?: () => unknown): Promise<void>;
  /** Of a prefix: whether a topic is one of these. */
  covers?(name: string): boolean;
  /** Of a prefix: makes the feed of a topic that the relay has subscribed to. */
  adopt?(name: string, epoch: string): Carried;
  /** Of a topic: the position of its end, once that has come. */
  readonly endPosition?: string | undefined;
  /** Of a prefix: takes note that the end of one of its topics has come. */
  onEnd?(name: string, position: string): void;
  /** Of a prefix: one of its topics was refused. */
  refuse?(name: string, code: string, reason: string): void;
}

/** The options of a feed: those of its consumer, and those of its owner. */
interface FeedOptions extends TopicOptions {
  /** Whether `subscribed` and `end` are messages, also of a feed that does not stay. */
  readonly tellsAll?: boolean;
  /** The position of an end that its consumer has: what comes again is not given again. */
  readonly known?: string | undefined;
}

/**
 * The carrier of a feed: the connection, or what stands for it while there is
 * none.
 */
export interface Carrier {
  /** The state of the connection. */
  readonly state: SubscriptionState;
  /** The clock to use. */
  readonly clock: Clock;
  /** Takes a feed on, and connects if need be. */
  add(feed: Carried): void;
  /**
   * Lets a feed go, of which the relay knows already where it `isOver`; resolves
   * when a connection that was only for it has closed.
   */
  remove(feed: Carried, isOver: boolean): Promise<void>;
  /** Sends a message, if there is a connection. */
  send(message: Readonly<Record<string, unknown>>): void;
}

/** A place in a log; an offset of 0 is before its first event. */
interface Place {
  readonly epoch: string;
  readonly offset: number;
  /** `<epoch>:<offset>` */
  readonly position: string;
}

/** A message that waits to be taken. */
interface Item {
  readonly message: SubscriptionMessage;
  /**
   * The consumer's place once it has taken this; left out if the place stays
   * the same.
   */
  readonly place?: Place | undefined;
  /**
   * The size of the relay's message, on the last item that came of it; 0 on the
   * others.
   */
  readonly size: number;
}

/** The outcome of a feed. */
interface Over {
  readonly end?: TopicEnd | undefined;
  /** Makes what the consumer gets thrown. */
  readonly raise?: (() => unknown) | undefined;
}

/** One topic, over as many connections as it takes. */
export class Feed extends MessageIterator implements Subscription, Carried {
  readonly topic: string;
  readonly #carrier: Carrier;
  readonly #options: FeedOptions;
  readonly #window: number;
  #queue: Item[] = [];
  #over: Over | undefined;
  /** The consumer's place. */
  #taken: Place | undefined;
  /** Whether it has taken nothing yet that has a place. */
  #isFresh = true;
  /** The place behind the last message received; none before `subscribed`. */
  #received: Place | undefined;
  #isSubscribed = false;
  /**
   * The amount taken since the last acknowledgement, as the relay counts it.
   */
  #unacked = 0;
  #ackable: Place | undefined;
  #cancelAck: (() => void) | undefined;
  /** The log of the last connection. */
  #epoch: string | undefined;
  /** Of a feed that stays: the epoch that its consumer was told of last. */
  #told: string | undefined;
  /**
   * The message that stops the topic. It is sent again on each connection,
   * until the topic has ended.
   */
  #stopping: Readonly<Record<string, unknown>> | undefined;

  constructor(topic: string, carrier: Carrier, options: FeedOptions) {
    const { window = WINDOW, after, signal } = options;
    super(signal);
    // A refused upgrade looks the same as a relay that is away, so bad names
    // throw here.
    if (!/^(?!\.)[\w.~:-]{1,128}$/.test(topic)) {
      throw new TypeError(invalid("topic", topic));
    }
    if (!/^(start|now|[\w-]{8,22}:[1-9]\d{0,14})$/.test(after ?? "now")) {
      throw new TypeError(invalid("after", after));
    }
    if (!(Number.isSafeInteger(window) && window > 0)) {
      throw new RangeError(invalid("window", window));
    }
    this.topic = topic;
    this.#carrier = carrier;
    this.#options = options;
    this.#window = window;
    const [epoch, offset] = options.known?.split(":") ?? [];
    if (epoch) {
      this.#received = this.#taken = placeOf(epoch, Number(offset));
      this.#told = epoch;
    }
  }

  /** The consumer's place, also in front of the first event. */
  get place(): string | undefined {
    return this.#taken?.position;
  }

  get endPosition(): string | undefined {
    return this.#over?.end && this.#received?.position;
  }

  get position(): string | undefined {
    return this.#taken?.offset ? this.#taken.position : undefined;
  }

  get state(): SubscriptionState {
    if (this.#over) return "closed";
    if (!this.isStarted) return "idle";
    const { state } = this.#carrier;
    return state === "open" && !this.#isSubscribed ? "connecting" : state;
  }

  get end(): TopicEnd | undefined {
    return this.#queue.length > 0 ? undefined : this.#over?.end;
  }

  cancel(reason = ""): void {
    if (reason.length > MAX_REASON) {
      throw new RangeError(
        `Cannot cancel as 'reason' must have at most ${MAX_REASON} characters`,
      );
    }
    if (this.#over) return;
    const { topic } = this;
    this.#stopping = {
      type: "cancel",
      topic,
      reason: reason || undefined,
      // The next epoch is not meant.
      epoch: this.#told,
    };
    this.start();
    this.#sendStop();
  }

  /** Drops what was not taken, and ends. */
  abandon(raise?: () => unknown): Promise<void> {
    this.#over = { end: this.end, raise };
    this.#queue = [];
    this.forgetSignal();
    return this.#stop(false);
  }

  /** Ends in an error, after what was received. */
  fail(code: SubscriptionErrorCode, facts: SubscriptionErrorFacts): void {
    this.#finish(this.#error(code, facts));
  }

  /**
   * Begins anew on a connection: what was not taken will come again.
   *
   * @returns The fields of the request to the relay. A topic of a prefix that stands in front
   * of its first event comes with the prefix: no request means that place in this epoch.
   */
  request(): SubscribeFields | undefined {
    const { after, mode, snapshot, stay, wait, tellsAll } = this.#options;
    const place = this.#taken;
    this.#cancelAck?.();
    this.#cancelAck = undefined;
    this.#queue = [];
    this.#unacked = 0;
    this.#isSubscribed = false;
    const wantsSnapshot = this.#isFresh && snapshot;
    this.#received = wantsSnapshot ? undefined : place;
    if (tellsAll && !place?.offset) return undefined;
    return {
      // A snapshot has to begin where it was asked to.
      after: !place || wantsSnapshot
        ? after
        : place.offset
        ? place.position
        : "start",
      mode,
      window: this.#window,
      snapshot: wantsSnapshot || undefined,
      stay: stay || undefined,
      wait,
    };
  }

  /**
   * Takes in what the relay says.
   *
   * @param message The message.
   * @param size The length of that.
   * @returns Whether the subscription got further.
   * @throws {Error} If it can't be right.
   */
  receive(message: TopicMessage, size: number): boolean {
    const { topic } = this;
    if (message.type === "subscribed") {
      this.#onSubscribed(message);
      return false;
    }
    const received = this.#received;
    // The rest of an earlier subscription to this topic.
    if (!this.#isSubscribed || !received) return false;
    const { epoch } = received;
    const next = received.offset + 1;
    // Nothing may be left out but by a gap. What is no number is refused too.
    const check = (isRight: boolean): void => {
      if (!isRight) throw new Error(`Expected event ${next}`);
    };
    switch (message.type) {
      case "events": {
        let { offset } = message;
        check(offset <= next);
        let left = message.events.length;
        for (const { event = "message", data, id = "" } of message.events) {
          left--;
          if (offset >= next) {
            const place = placeOf(epoch, offset);
            this.#push(
              { type: "event", topic, ...place, event, data, id },
              place,
              left ? 0 : size,
            );
          }
          offset++;
        }
        return offset > next;
      }
      case "merged": {
        const { offset, to, event = "message", data } = message;
        if (to < next) return false;
        // It can't be cut.
        check(offset === next && to >= offset);
        const place = placeOf(epoch, to);
        this.#push(
          { type: "merged", topic, ...place, offset, to, event, data },
          place,
          size,
        );
        return true;
      }
      case "snapshot": {
        const { offset, value } = message;
        check(offset >= 0);
        const place = placeOf(epoch, offset);
        this.#push(
          { type: "snapshot", topic, offset, value, position: place.position },
          place,
          size,
        );
        return true;
      }
      case "gap": {
        const { from, to, reason } = message;
        check(from <= next && to >= from - 1);
        // Only a log that was begun anew leads back.
        const offset = reason === "epoch" ? to : Math.max(to, received.offset);
        this.#push(
          { type: "gap", topic, from, to, reason },
          placeOf(epoch, offset),
        );
        return true;
      }
      case "end": {
        const { offset, status, reason } = message;
        check(offset <= next);
        const facts = reason === undefined ? {} : { reason };
        if (this.#options.stay) {
          // Else it has come on an earlier connection.
          if (offset === next) {
            this.#stopping = undefined;
            const place = placeOf(epoch, offset);
            this.#push({ ...message, topic, ...place }, place);
          }
          return true;
        }
        const place = placeOf(epoch, offset);
        // Else it is known.
        if (this.#options.tellsAll && offset === next) {
          this.#push({ ...message, topic, ...place }, place);
        }
        this.#received = place;
        this.#finish(
          status === "failed" || status === "truncated"
            ? this.#error(status, facts)
            : undefined,
          { status, ...facts },
        );
        return true;
      }
      case "live":
        check(message.next <= next);
        this.#push({ type: "live", topic, next: message.next });
        break;
      case "upstream":
        this.#push({ ...message, topic });
    }
    // Also a type that is not known yet.
    return false;
  }

  protected connect(): void {
    if (!this.#over) this.#carrier.add(this);
  }

  /** Sends the message that stops the topic, once it is subscribed to. */
  #sendStop(): void {
    if (this.#stopping && this.#isSubscribed) {
      this.#carrier.send(this.#stopping);
    }
  }

  #onSubscribed(
    { epoch, after, recovered, state }: TopicMessage & { type: "subscribed" },
  ): void {
    if (!(after >= 0)) throw new Error("Expected an offset");
    const { topic } = this;
    const last = this.#received;
    const isNext = this.#isSubscribed;
    this.#isSubscribed = true;
    // The run to be stopped is gone: this is another run of that name.
    if (this.#epoch && this.#epoch !== epoch && !this.#stopping?.epoch) {
      this.#stopping = undefined;
    }
    this.#epoch = epoch;
    this.#sendStop();
    const isSame = last?.epoch === epoch;
    const place = placeOf(epoch, after);
    this.#received = isSame ? last : place;
    // A consumer that resumes after the end of an epoch knows the next one.
    const isKnown = epoch === this.#told || (isSame && this.#told);
    const { stay, tellsAll } = this.#options;
    if ((stay || tellsAll) && !isKnown) {
      this.#push({ type: "subscribed", topic, epoch, state });
    }
    // A gap says what is missing. On one connection, an epoch follows the one before.
    if (!recovered || isNext) return;
    if (!last) {
      // From now on it begins here, wherever `now` may be by then.
      this.#taken = this.#received;
    } else if (!isSame || after > last.offset) {
      // From before the first event on, a relay can't tell that some are missing.
      const reason = isSame ? "evicted" : "epoch";
      const from = isSame ? last.offset + 1 : 1;
      this.#push({ type: "gap", topic, from, to: after, reason }, place);
    }
  }

  #push(message: SubscriptionMessage, place?: Place, size = 0): void {
    if (place) this.#received = place;
    this.#queue.push({ message, place, size });
    this.serve();
  }

  protected take(): NextMessage | undefined {
    const item = this.#queue.shift();
    const over = this.#over;
    if (item) {
      this.#onTaken(item);
      return item;
    }
    if (!over) return undefined;
    this.forgetSignal();
    this.#over = { end: over.end };
    return { raise: over.raise };
  }

  #onTaken({ message, place, size }: Item): void {
    if (message.type === "subscribed") this.#told = message.epoch;
    if (place) {
      this.#taken = place;
      this.#isFresh = false;
    }
    // After the end the relay wants to know nothing more.
    if (!size || this.#over) return;
    this.#ackable = place;
    this.#unacked += size;
    // A character is three bytes at most: with a quarter of them, the window is still open.
    if (this.#unacked * 4 >= this.#window) this.#ack();
    else {
      this.#cancelAck ??= this.#carrier.clock.setTimeout(
        () => this.#ack(),
        ACK_DELAY,
      );
    }
  }

  #ack(): void {
    this.#cancelAck?.();
    this.#cancelAck = undefined;
    this.#unacked = 0;
    const { topic } = this;
    const { epoch, offset } = this.#ackable!; // something with a place was taken
    this.#carrier.send({ type: "ack", topic, offset, epoch });
  }

  #error(code: SubscriptionErrorCode, facts: SubscriptionErrorFacts) {
    return () => new SubscriptionError(code, this.topic, this.position, facts);
  }

  #finish(raise: Over["raise"], end?: TopicEnd): void {
    this.#over = { end, raise };
    void this.#stop(true);
  }

  #stop(isOver: boolean): Promise<void> {
    this.#cancelAck?.();
    const gone = this.#carrier.remove(this, isOver);
    this.serve();
    return gone;
  }
}

function placeOf(epoch: string, offset: number): Place {
  return { epoch, offset, position: `${epoch}:${offset}` };
}

function invalid(name: string, value: unknown): string {
  return `Cannot subscribe as '${name}' is invalid: current value is ${value}`;
}
