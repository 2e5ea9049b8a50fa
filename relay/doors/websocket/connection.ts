import type { Duplex } from "node:stream";
import { getLogger } from "@logtape/logtape";
import {
  MessageRates,
  type MessageRatesOptions,
} from "../../limits/message_rates.ts";
import { Problem } from "../../problem.ts";
import type { Access, Authority, Right } from "../../rights/access.ts";
import type { Expiries, Expiring } from "../../rights/expiries.ts";
import type { Topic } from "../../topics/topic.ts";
import { TopicLimitError, type TopicRegistry } from "../../topics/registry.ts";
import {
  type ClientMessage,
  parseClientMessage,
  type PublishRequest,
  type SubscribeRequest,
} from "./client_message.ts";
import type { FrameCache } from "../../delivery/frames.ts";
import type { Pump } from "../../delivery/pump.ts";
import { type Closing, CLOSINGS } from "./close_codes.ts";
import type { RelayWebSocket } from "./relay_websocket.ts";
import { secondsSince } from "../../delivery/seconds_since.ts";
import {
  type Sink,
  type SlowReaders,
  Subscriber,
  type SubscriberEvents,
} from "../../delivery/subscriber.ts";
import { Subscription } from "../../delivery/subscription.ts";
import type { Watch, Watched } from "../../delivery/watch.ts";
import { textFrame, websocketFormat } from "./format.ts";

/** What came of publishing. */
export type PublishResult =
  | {
    readonly kind: "published";
    /** The log that the events stand in. */
    readonly epoch: string;
    /** The offset of the first of them. */
    readonly first: number;
    /** The offset after the last one. */
    readonly next: number;
  }
  | {
    readonly kind: "refused";
    readonly code: string;
    readonly reason: string;
    /** Whether the same might be taken later. */
    readonly retryable: boolean;
  };

/** What every WebSocket connection shares. */
export interface WebSocketContext extends MessageRatesOptions {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** Wakes those who wait. */
  readonly pump: Pump;
  /** Joined frames. */
  readonly frames: FrameCache;
  /** Joined frames of mode `merge`. */
  readonly mergedFrames: FrameCache;
  /** Signs of life, to the peers and of them. */
  readonly heartbeat: Watch;
  /** What becomes of those who take nothing. Default: nothing. */
  readonly slow?: SlowReaders | undefined;
  /** The most subscriptions of one connection. */
  readonly maxSubscriptions: number;
  /** The largest message of a client, in bytes. */
  readonly maxMessage: number;
  /** Whether an unknown topic can be waited for. */
  readonly awaitTopics: boolean;
  /** Counts a refusal, by its code. */
  refused(code: string): void;
  /** Tells those whose tokens expire. */
  readonly expiries: Expiries;
  /** Says what the holder of a new token may do. */
  readonly authority: Authority;
  /**
   * Adds events to a topic, before it returns; a promise, which never rejects, is
   * for who should wait before publishing more.
   */
  publish(
    request: PublishRequest,
    caller: WebSocketCaller,
  ): PublishResult | Promise<PublishResult>;
}

/** Who is at the other end. */
export interface WebSocketCaller {
  /** What it may do. */
  readonly access: Access;
  /** Where it is. */
  readonly address: string;
  /** Names it among all others, for limits, where its token does not. */
  readonly network: string;
}

/** A peer that asks and does not read is no longer listened to beyond this many answers. */
const MAX_BACKLOG = 64;

/** A peer is dead that has given no sign of life since this many pings. */
const MAX_MISSED = 2;

/** What `ws` calls a message that is beyond `maxPayload`. */
const MESSAGE_TOO_LARGE = "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";

const PING = Uint8Array.of(0x89, 0);

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** A pong is left out where this much is waiting to be sent: a flood of pings must not pile up. */
const PONG_BACKLOG = 16 * 1024;

const logger = getLogger(["rivulet", "relay", "websocket"]);

/**
 * One WebSocket peer (PROTOCOL.md, section 2).
 *
 * It is itself what its subscriber writes to and tells, and what is watched: an
 * object with functions of its own for each would cost an idle connection 1 KB.
 */
export class WebSocketConnection
  implements Sink, SubscriberEvents, Watched, Expiring {
  readonly #id = crypto.randomUUID();
  readonly #ws: RelayWebSocket;
  readonly #socket: Duplex;
  readonly #context: WebSocketContext;
  readonly #subscriber: Subscriber;
  readonly #address: string;
  readonly #network: string;
  /** When it was opened, in milliseconds since the epoch. */
  readonly #start: number;
  /** The topic that the socket was opened for: with its end, the socket is done. */
  #only: string | undefined;
  #onlyEnded = false;
  /** How many pings there were since the last sign of life. */
  #missed = 0;
  /** The write that was under way at the last look; 0 where none was. */
  #stuck = 0;
  /** How many publications have to be waited for. */
  #publishing = 0;
  #access: Access;
  /** What may yet be said; most say nothing, and need none. */
  #rates: MessageRates | undefined;
  /** What was said behind a token that is being read: it may be what it takes. */
  #unread: (() => void)[] | undefined;

  /**
   * Takes over an upgraded socket.
   *
   * @param ws The WebSocket, for what the peer says and for closing.
   * @param socket The connection under it: frames are written to it whole.
   * @param context What is shared.
   * @param caller Who is at the other end.
   */
  constructor(
    ws: RelayWebSocket,
    socket: Duplex,
    context: WebSocketContext,
    { access, address, network }: WebSocketCaller,
  ) {
    this.#ws = ws;
    this.#socket = socket;
    this.#context = context;
    this.#address = address;
    this.#network = network;
    this.#start = context.clock.now();
    this.#access = access;
    context.expiries.add(access.expires, this);
    this.#subscriber = new Subscriber(this, context.pump, this, context.slow);
    ws.on("message", (data, isBinary) => {
      this.#missed = 0;
      this.#onMessage(data, isBinary);
    });
    ws.on("pong", () => this.#missed = 0);
    ws.on("ping", (data) => {
      if (!this.#takesMore(data.byteLength)) return;
      if (socket.writableLength < PONG_BACKLOG) ws.pong(data);
    });
    // Each is followed by `close`, which is where a connection is given up.
    ws.on("error", (error: Error & { code?: string }) => {
      logger.debug("{connection}: {error}", { connection: this.#id, error });
      const { code } = error;
      if (code === MESSAGE_TOO_LARGE) context.refused("message_too_large");
      else if (code?.startsWith("WS_ERR_")) context.refused("invalid_frame");
    });
    ws.on("close", (code) => {
      context.heartbeat.delete(this);
      context.expiries.delete(this.#access.expires, this);
      this.#subscriber[Symbol.dispose]();
      logger.info(
        "WebSocket {connection} of {address} closed after {seconds} s: {code}",
        {
          connection: this.#id,
          address,
          seconds: secondsSince(this.#start, context.clock),
          code,
        },
      );
    });
    context.heartbeat.add(this);
    context.frames.counts.opened++;
    this.#answer({
      type: "welcome",
      connection: this.#id,
      heartbeat: context.heartbeat.interval,
      limits: {
        subscriptions: context.maxSubscriptions,
        message: context.maxMessage,
      },
    });
  }

  /** Follows the topic that the socket was opened for. */
  follow(request: SubscribeRequest): void {
    this.#only = request.topic;
    this.#subscribe(request);
  }

  /** What it follows, up to the end of each. */
  get subscriptions(): readonly Subscription[] {
    return this.#subscriber.subscriptions;
  }

  /** Resolves when the connection is closed. */
  closed(): Promise<void> {
    const ws = this.#ws;
    return new Promise((resolve) => {
      if (ws.readyState === ws.CLOSED) resolve();
      else ws.on("close", () => resolve());
    });
  }

  /** Says that the relay goes, and when to come back, in milliseconds from now. */
  goodbye(reason: string, reconnectIn: readonly [number, number]): void {
    this.#answer({ type: "goodbye", reason, reconnectIn });
  }

  /** Closes the socket once what was said has gone out. */
  close({ code, text }: Closing): void {
    this.#subscriber.close();
    this.#ws.close(code, text);
  }

  /** Cuts the connection. */
  terminate(): void {
    this.#ws.terminate();
  }

  /** Writes a frame, or some that are joined. */
  write(bytes: Uint8Array, done: () => void): void {
    // After its close frame a socket may carry nothing more.
    if (this.#isOpen) this.#socket.write(bytes, done);
  }

  /** The end of a subscription has been written. */
  onEnd({ topic }: Subscription): void {
    if (topic.name === this.#only) this.#onlyEnded = true;
    if (this.#onlyEnded && this.#subscriber.subscriptions.length === 0) {
      this.close(CLOSINGS.topicEnded);
    }
  }

  /** Something cannot be read from a log. */
  onError(error: unknown): void {
    logger.error("Cannot read a log for {connection}: {error}", {
      connection: this.#id,
      error,
    });
    this.close(CLOSINGS.logUnreadable);
  }

  /** The peer is too slow to be kept. */
  onSlow(): void {
    if (!this.#isOpen) return this.#ws.terminate();
    this.#context.frames.counts.slowCloses++;
    this.close(CLOSINGS.slow);
  }

  /** All answers have been written. */
  onDrain(): void {
    this.#resume();
  }

  /** The token holds no longer. */
  onExpiry(): void {
    this.#context.refused("token_expired");
    this.close(CLOSINGS.tokenExpired);
  }

  /** Whether anything was written; takes note of what that says of the peer. */
  takeSign(): boolean {
    const subscriber = this.#subscriber;
    // The kernel takes at once what finds room: only a write that had to wait
    // tells of the peer. Then a pong may be long in coming, behind all that
    // is on its way.
    if (this.#stuck > 0 && subscriber.finished >= this.#stuck) this.#missed = 0;
    this.#stuck = this.#isStuck ? subscriber.begun : 0;
    return subscriber.takeWrote();
  }

  /** Gives a sign of life where nothing else is sent. */
  onQuiet(): void {
    this.#subscriber.answer(
      websocketFormat.heartbeat(this.#context.clock.now()),
    );
  }

  /** Asks for the peer's. */
  onInterval(): void {
    if (this.#missed >= MAX_MISSED) return this.#giveUp();
    this.#missed++;
    // Behind the write that is under way at most: an answer would be next to go.
    if (this.#isOpen) this.#socket.write(PING);
  }

  get #isOpen(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  get #isStuck(): boolean {
    return this.#subscriber.begun > this.#subscriber.finished;
  }

  #subscriptionTo(name: string): Subscription | undefined {
    return this.#subscriber.subscriptions.find(({ topic }) =>
      topic.name === name
    );
  }

  /** Cuts the connection of a dead peer, and tells it where that can still be done. */
  #giveUp(): void {
    if (this.#isStuck || !this.#isOpen) return this.terminate();
    this.close(CLOSINGS.noPong);
    this.#socket.end(() => this.terminate());
  }

  #answer(message: Record<string, unknown>): void {
    this.#send(textFrame(JSON.stringify(message)));
  }

  #send(frame: Uint8Array): void {
    this.#subscriber.answer(frame);
    if (this.#subscriber.backlog > MAX_BACKLOG) this.#ws.pause();
  }

  #refuse(
    code: string,
    message: string,
    topic?: string,
    facts: { readonly id?: string | undefined; readonly retryable?: boolean } =
      {},
  ): void {
    const { id, retryable = false } = facts;
    this.#context.refused(code);
    this.#answer({ type: "error", code, message, topic, id, retryable });
  }

  #onMessage(data: unknown, isBinary: boolean): void {
    // What was under way when the socket was closed asks for nothing any more.
    if (!this.#isOpen) return;
    if (this.#unread) {
      return void this.#unread.push(() => this.#onMessage(data, isBinary));
    }
    if (isBinary || !(data instanceof Uint8Array)) {
      return this.#reject("Expected a text frame, got a binary one");
    }
    if (!this.#takesMore(data.byteLength)) return;
    let text: string;
    try {
      text = utf8.decode(data);
    } catch {
      return this.#reject("Expected UTF-8");
    }
    const result = parseClientMessage(text);
    switch (result.kind) {
      case "message":
        return this.#handle(result.message);
      case "refused":
        return this.#refuse(result.code, result.reason, result.topic);
      case "malformed":
        return this.#reject(result.reason);
    }
  }

  /** Closes on a peer that cannot be trusted any further. */
  #reject(reason: string): void {
    this.#context.refused("invalid_frame");
    this.close({ ...CLOSINGS.invalidFrame, text: reason });
  }

  /** Whether a message is not one too many, or too soon; closes otherwise. */
  #takesMore(size: number): boolean {
    this.#rates ??= new MessageRates(this.#context);
    if (this.#rates.take(size)) return true;
    // What was under way when it was closed is not counted once more.
    if (this.#isOpen) {
      this.#context.refused("message_rate");
      this.close(CLOSINGS.messageRate);
    }
    return false;
  }

  #handle(message: ClientMessage): void {
    switch (message.type) {
      case "subscribe":
        return this.#subscribe(message);
      case "unsubscribe": {
        const subscription = this.#subscriptionTo(message.topic);
        if (!subscription) {
          return this.#refuse(
            "not_subscribed",
            "There is no subscription to this topic",
            message.topic,
          );
        }
        return this.#subscriber.remove(subscription);
      }
      case "heartbeat":
        return this.#send(
          websocketFormat.heartbeat(this.#context.clock.now()),
        );
      case "ack":
        return this.#ack(message.topic, message.offset);
      case "cancel":
        return this.#cancel(message.topic, message.reason);
      case "publish":
        return this.#publish(message);
      case "auth":
        return void this.#authorize(message.token);
    }
  }

  /** Takes a new token; one that is bad changes nothing. */
  async #authorize(token: string): Promise<void> {
    const unread: (() => void)[] = this.#unread = [];
    this.#ws.pause();
    const { authority, expiries } = this.#context;
    try {
      const access = await authority.authorize(token);
      // A peer that has gone meanwhile needs nothing more.
      if (!this.#isOpen) return;
      expiries.delete(this.#access.expires, this);
      this.#access = access;
      const { expires } = access;
      expiries.add(expires, this);
      this.#answer({
        type: "authorized",
        expires: expires === Infinity ? undefined : expires,
      });
      this.#dropForbidden();
    } catch (error) {
      this.#refuseToken(error);
    } finally {
      this.#unread = undefined;
      // Another token may be among them: what is behind it waits again.
      for (const read of unread) read();
      if (this.#subscriber.backlog <= MAX_BACKLOG) this.#resume();
    }
  }

  #refuseToken(error: unknown): void {
    if (error instanceof Problem) {
      const retryable = error.status >= 500;
      return this.#refuse(error.code, error.message, undefined, { retryable });
    }
    logger.error("Cannot read a token: {error}", { error });
    this.#refuse(
      "internal",
      "Something went wrong in the relay; its log says what",
    );
  }

  /** Ends what a new token has no right to. */
  #dropForbidden(): void {
    for (const subscription of [...this.#subscriber.subscriptions]) {
      const { name } = subscription.topic;
      if (this.#access.may("read", name)) continue;
      if (name === this.#only) {
        this.#context.refused("forbidden");
        return this.close(CLOSINGS.forbidden);
      }
      this.#subscriber.remove(subscription);
      this.#forbid("read", name);
    }
  }

  #forbid(right: Right, topic: string): void {
    this.#refuse(
      "forbidden",
      `Expected a token with the right to ${right} this topic`,
      topic,
    );
  }

  #cancel(name: string, reason: string | undefined): void {
    if (!this.#access.may("cancel", name)) return this.#forbid("cancel", name);
    // What this peer follows, though it may have been deleted since: another topic
    // of that name is not what was meant.
    const topic = this.#subscriptionTo(name)?.topic ??
      this.#context.topics.get(name);
    if (!topic) {
      return this.#refuse("unknown_topic", "There is no such topic", name);
    }
    topic.end("cancelled", reason);
    const { state } = topic;
    // To repeat a verdict is no error.
    if (state.kind === "ended" && state.end.status !== "cancelled") {
      this.#refuse(
        "topic_ended",
        `The topic has ended already: ${state.end.status}`,
        name,
      );
    }
  }

  #publish(request: PublishRequest): void {
    const { topic } = request;
    if (!this.#access.may("write", topic)) return this.#forbid("write", topic);
    const result = this.#context.publish(request, {
      access: this.#access,
      address: this.#address,
      network: this.#network,
    });
    if (!(result instanceof Promise)) return this.#tell(request, result);
    // Who publishes cannot outrun those who read: it is not listened to meanwhile.
    this.#publishing++;
    this.#ws.pause();
    void result.then((result) => {
      this.#publishing--;
      this.#tell(request, result);
      if (this.#subscriber.backlog <= MAX_BACKLOG) this.#resume();
    });
  }

  #resume(): void {
    if (this.#publishing > 0 || this.#unread) return;
    if (this.#ws.isPaused) this.#ws.resume();
  }

  #tell({ topic, id }: PublishRequest, result: PublishResult): void {
    if (result.kind === "published") {
      const { epoch, first, next } = result;
      return this.#answer({ type: "published", topic, epoch, first, next, id });
    }
    const { code, reason, retryable } = result;
    this.#refuse(code, reason, topic, { id, retryable });
  }

  #ack(topic: string, offset: number): void {
    const subscription = this.#subscriptionTo(topic);
    // An ack that has crossed an end on its way is nobody's mistake.
    if (!subscription) return;
    const { blocked } = subscription;
    if (!subscription.ack(offset)) {
      return this.#refuse(
        "invalid_ack",
        `Event ${offset} was not sent yet: acknowledge what was taken`,
        topic,
      );
    }
    // Nobody gets more turns than others by acknowledging more often.
    if (blocked && !subscription.blocked) this.#subscriber.wake(subscription);
  }

  #subscribe(
    { topic: name, after, mode, window, snapshot }: SubscribeRequest,
  ): void {
    if (!this.#access.may("read", name)) return this.#forbid("read", name);
    const { maxSubscriptions } = this.#context;
    const { subscriptions } = this.#subscriber;
    if (this.#subscriptionTo(name)) {
      return this.#refuse(
        "already_subscribed",
        "There is a subscription to this topic already: unsubscribe first",
        name,
      );
    }
    if (subscriptions.length >= maxSubscriptions) {
      return this.#refuse(
        "too_many_subscriptions",
        `Expected at most ${maxSubscriptions} subscriptions on one connection`,
        name,
      );
    }
    const topic = this.#topic(name);
    if (!topic) return;
    const { frames, mergedFrames } = this.#context;
    const subscription = new Subscription(
      topic,
      after ?? topic.from,
      websocketFormat,
      mode === "merge" ? mergedFrames : frames,
      {
        latest: mode === "latest",
        ...(window !== undefined && { window }),
        ...(snapshot !== undefined && { snapshot }),
      },
    );
    this.#subscriber.add(subscription);
  }

  /** The topic of this name; refuses what cannot be had. */
  #topic(name: string): Topic | undefined {
    const { topics, awaitTopics } = this.#context;
    try {
      const topic = awaitTopics
        ? topics.await(name, this.#access.identity)
        : topics.get(name);
      if (topic) return topic;
      this.#refuse("unknown_topic", "There is no such topic", name);
    } catch (error) {
      if (!(error instanceof TopicLimitError)) throw error;
      this.#refuse(error.code, error.message, name, { retryable: true });
    }
    return undefined;
  }
}
