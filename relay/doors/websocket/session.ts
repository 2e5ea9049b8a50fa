import type { Duplex } from "node:stream";
import { getLogger } from "@logtape/logtape";
import { wallTime } from "../../../src/fetch/clock.ts";
import {
  type Sink,
  Subscriber,
  type SubscriberEvents,
} from "../../delivery/subscriber.ts";
import {
  type Subscription,
  TopicLostError,
} from "../../delivery/subscription.ts";
import type { Watched } from "../../delivery/watch.ts";
import type { ReceiveAccount } from "../../limits/memory/receive_budget.ts";
import type { SendPeer } from "../../limits/memory/send_budget.ts";
import { MessageRates } from "../../limits/rate_limit.ts";
import { boundedDetail, Problem } from "../../problem.ts";
import type { Access } from "../../rights/access.ts";
import type { Expiring } from "../../rights/expiries.ts";
import type { Guest } from "../guests.ts";
import type { SubscribeRequest } from "../subscription_request.ts";
import { authorize } from "./authorization.ts";
import { type ClientMessage, parseClientMessage } from "./client_message.ts";
import { type Closing, CLOSINGS } from "./close_codes.ts";
import { acknowledge, cancel, subscribe, unsubscribe } from "./commands.ts";
import { textFrame, websocketFormat } from "./format.ts";
import type {
  RefusalFacts,
  SessionContext,
  WebSocketCaller,
  WebSocketPeer,
} from "./peer.ts";
import { MAX_MISSED, PONG_BACKLOG, socketRefusal } from "./peer_rules.ts";
import { prepare, refuse } from "./preparing.ts";
import { subscribeToPrefix } from "./prefix_commands.ts";
import { isPrefix, Prefixes } from "./prefixes.ts";
import { publish } from "./publishing.ts";
import { Staying } from "../staying.ts";
import type { RelayWebSocket, WebSocketOwner } from "./relay_websocket.ts";
import { tellClosed } from "./tell_closed.ts";

/** The most answers that may wait before the peer is no longer read. */
const MAX_BACKLOG = 64;

/**
 * The range of the time after which peers of a stopping relay should connect
 * again, in milliseconds.
 */
const RECONNECT_IN = [100, 5_000] as const;

const PING = Uint8Array.of(0x89, 0);

const utf8 = new TextDecoder("utf-8", { fatal: true });

const logger = getLogger(["rivulet", "relay", "websocket"]);

/** The property of a socket whose bytes are counted: its session. */
const SESSION = Symbol("session");

/** A socket whose bytes are counted. */
type FollowedSocket = Duplex & { readonly [SESSION]: WebSocketSession };

/** One for all sockets, called when `ws` has read the same bytes. */
function onData(this: FollowedSocket, { length }: Uint8Array): void {
  this[SESSION].onData(length);
}

function followData(socket: Duplex, session: WebSocketSession): void {
  Object.assign(socket, { [SESSION]: session });
  socket.on("data", onData);
}

function ignore(): void {}

/**
 * One WebSocket peer (PROTOCOL.md, section 2): its socket, and whether it lives.
 *
 * Modules of functions do what its messages ask for. The session is itself the
 * sink of its subscriber, the listener to its events, and what is watched:
 * separate objects, with functions of their own, would cost an idle connection
 * 1 KB.
 */
export class WebSocketSession
  implements
    WebSocketPeer,
    Guest,
    Sink,
    SubscriberEvents,
    Watched,
    Expiring,
    SendPeer,
    WebSocketOwner {
  readonly context: SessionContext;
  readonly subscriber: Subscriber;
  readonly address: string;
  readonly network: string;
  readonly #id = crypto.randomUUID();
  readonly #ws: RelayWebSocket;
  readonly #socket: Duplex;
  readonly #onClosed: (session: WebSocketSession) => void;
  /** The time at which it was opened, in milliseconds since the epoch. */
  readonly #start: number;
  #staying: Staying | undefined;
  #prefixes: Prefixes | undefined;
  #ownTopic: string | undefined;
  #ownTopicEnded = false;
  /** The number of pings since the last sign of life. */
  #missed = 0;
  /** The write that was under way at the last look; 0 if there was none. */
  #stuck = 0;
  /** The number of reasons not to read the socket. */
  #holds = 0;
  #access: Access;
  /** Counts messages; most peers send none, and need none. After the close frame it counts anew. */
  #rates: MessageRates | undefined;
  /** Counts the bytes of a message that is not whole yet. */
  #receiving: ReceiveAccount | undefined;
  /** Messages that came after a token that is being read: they may need its rights. */
  #unread: (() => void)[] | undefined;

  /**
   * Takes over an upgraded socket.
   *
   * @param ws The WebSocket, for the peer's messages and for closing.
   * @param socket The connection under it: frames are written to it whole.
   * @param context The parts that all sessions share.
   * @param caller The caller at the other end.
   * @param onClose Called when the connection is closed: one function for all sessions.
   * Default: does nothing.
   */
  constructor(
    ws: RelayWebSocket,
    socket: Duplex,
    context: SessionContext,
    { access, address, network }: WebSocketCaller,
    onClose: (session: WebSocketSession) => void = ignore,
  ) {
    this.#ws = ws;
    this.#onClosed = onClose;
    this.#socket = socket;
    this.context = context;
    this.address = address;
    this.network = network;
    this.#start = context.clock.now();
    this.#access = access;
    context.expiries.add(access.expires, this);
    this.subscriber = new Subscriber(
      this,
      context.pump,
      this,
      context.slow,
      context.budget.open(this),
    );
    ws.owner = this;
    followData(socket, this);
    context.heartbeat.add(this);
    context.frames.counts.opened++;
    this.answer({
      type: "welcome",
      connection: this.#id,
      heartbeat: context.heartbeat.interval,
      limits: {
        subscriptions: context.maxSubscriptions,
        message: context.maxMessage,
      },
    });
  }

  get access(): Access {
    return this.#access;
  }

  get prefixes(): Prefixes {
    return this.#prefixes ??= new Prefixes(this.context.clock);
  }

  get staying(): Staying | undefined {
    return this.#staying;
  }

  get ownTopic(): string | undefined {
    return this.#ownTopic;
  }

  get isOpen(): boolean {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  /** The subscriptions that have not ended. */
  get subscriptions(): readonly Subscription[] {
    return this.subscriber.subscriptions;
  }

  /** Follows the topic that the socket was opened for. */
  follow(request: SubscribeRequest): void {
    this.#ownTopic = request.topic;
    subscribe(this, request);
  }

  /** Resolves when the connection is closed. */
  closed(): Promise<void> {
    const ws = this.#ws;
    return new Promise((resolve) => {
      if (ws.readyState === ws.CLOSED) resolve();
      else ws.on("close", () => resolve());
    });
  }

  /** Says that the relay is drained, and closes, once all events are written. */
  leave(left: number, duration: number): void {
    this.subscriber.whenWritten(() => {
      // Others have as long to leave.
      this.#goodbye("drain", [left, left + Math.ceil(duration)]);
      this.close(CLOSINGS.draining);
    });
  }

  /** Says that the relay stops, and closes, once all events are written. */
  finish(): void {
    this.subscriber.whenWritten(() => this.stop());
  }

  /** Says that the relay stops, and closes. */
  stop(): void {
    this.#goodbye(CLOSINGS.shuttingDown.text, RECONNECT_IN);
    this.close(CLOSINGS.shuttingDown);
  }

  close({ code, text }: Closing): void {
    this.subscriber.close();
    this.#staying?.[Symbol.dispose]();
    this.#ws.close(code, text);
    // The close frame of a peer that was not read is waited for.
    if (this.#ws.isPaused) this.#ws.resume();
  }

  /** Writes a frame, or several that are joined. */
  write(bytes: Uint8Array, done: () => void): void {
    // After its close frame a socket may carry nothing more.
    if (this.isOpen) this.#socket.write(bytes, done);
  }

  answer(message: Readonly<Record<string, unknown>>): void {
    this.#send(textFrame(JSON.stringify(message)));
  }

  refuse(
    code: string,
    message: string,
    topic?: string,
    { id, retryable = false }: RefusalFacts = {},
  ): void {
    this.context.refused(code);
    this.answer({
      type: "error",
      code,
      message: boundedDetail(message),
      topic,
      id,
      retryable,
    });
  }

  grant(access: Access): void {
    const { expiries } = this.context;
    expiries.delete(this.#access.expires, this);
    this.#access = access;
    expiries.add(access.expires, this);
  }

  hold(): void {
    this.#holds++;
    this.#ws.pause();
  }

  release(): void {
    this.#holds--;
    if (this.subscriber.backlog <= MAX_BACKLOG) this.#resume();
  }

  /** The end of a subscription has been written. */
  onEnd(subscription: Subscription): void {
    const { topic, stays } = subscription;
    const { name } = topic;
    // A socket that only follows the topic of its URL comes back to no prefix.
    const prefixes = name === this.#ownTopic && !this.#prefixes
      ? undefined
      : this.prefixes.onEnd(subscription);
    // A next epoch that has come meanwhile was not followed: a name is followed once.
    const isRenewed = prefixes?.isCovered &&
      this.context.topics.after(topic) !== undefined;
    if (stays || isRenewed) this.stay(subscription);
    if (prefixes?.isDue) this.#tellPositions();
    if (stays || isRenewed) return;
    if (name === this.#ownTopic) this.#ownTopicEnded = true;
    const isLeft = this.subscriptions.length > 0 ||
      (this.#staying?.size ?? 0) > 0;
    if (this.#ownTopicEnded && !isLeft) this.close(CLOSINGS.topicEnded);
  }

  stay(subscription: Subscription): void {
    this.#staying ??= new Staying();
    this.#staying.add(subscription, this.context.stays, (next) => {
      this.#prefixes?.ends.delete(next.topic.name);
      this.subscriber.add(next);
    });
  }

  /** Something cannot be read from a log, or written. */
  onError(error: unknown): void {
    // It is told of where it was noticed.
    const level = error instanceof TopicLostError ? "debug" : "error";
    logger[level]("Cannot deliver to {connection}: {error}", {
      connection: this.#id,
      error,
    });
    this.close(CLOSINGS.logUnreadable);
  }

  /** The peer is too slow to be kept. */
  onSlow(): void {
    if (!this.isOpen) return this.#ws.terminate();
    this.context.frames.counts.slowCloses++;
    this.close(CLOSINGS.slow);
  }

  /** The name under which limits count the peer. */
  get client(): string {
    return this.#access.identity || this.network;
  }

  /** Cuts the connection: too much waits for it. */
  drop(): void {
    this.#ws.terminate();
  }

  /** All answers have been written. */
  onDrain(): void {
    this.#resume();
  }

  /** The token has expired. */
  onExpiry(): void {
    this.context.refused("token_expired");
    this.close(CLOSINGS.tokenExpired);
  }

  /** Whether anything was written; takes note of what that says of the peer. */
  takeSign(): boolean {
    const { subscriber } = this;
    // The kernel takes at once what finds room: only a write that had to wait
    // tells of the peer. Then a pong may be long in coming, behind all that
    // is on its way.
    if (this.#stuck > 0 && subscriber.finished >= this.#stuck) this.#missed = 0;
    this.#stuck = this.#isStuck ? subscriber.begun : 0;
    return subscriber.takeWrote();
  }

  /** Sends a sign of life, as nothing else was sent. */
  onQuiet(): void {
    this.subscriber.answer(this.#heartbeat());
  }

  /** Asks the peer for a sign of life. */
  onInterval(): void {
    if (this.#missed >= MAX_MISSED) return this.#giveUp();
    this.#tellPositions();
    this.#missed++;
    // Behind the write that is under way at most: an answer would be next to go. Of a
    // frame in parts, each that the peer takes is a sign of life.
    if (this.isOpen && !this.subscriber.isWithinMessage) {
      this.#socket.write(PING);
    }
  }

  /** Tells the peer what it needs to come back to prefixes whose topics have ended. */
  #tellPositions(): void {
    const { subscriptions } = this.subscriber;
    const positions = this.#prefixes?.positions(subscriptions) ?? [];
    for (const { topic, position } of positions) {
      this.answer({ type: "position", topic, position });
    }
  }

  get #isStuck(): boolean {
    return this.subscriber.begun > this.subscriber.finished;
  }

  #heartbeat(): Uint8Array {
    return websocketFormat.heartbeat(wallTime(this.context.clock));
  }

  /** Cuts the connection of a dead peer, and tells it where that can still be done. */
  #giveUp(): void {
    if (this.#isStuck || !this.isOpen) return this.#ws.terminate();
    this.close(CLOSINGS.noPong);
    this.#socket.end(() => this.#ws.terminate());
  }

  #goodbye(reason: string, reconnectIn: readonly [number, number]): void {
    this.answer({ type: "goodbye", reason, reconnectIn });
  }

  #send(frame: Uint8Array): void {
    this.subscriber.answer(frame);
    // A peer that asks and does not read is no longer listened to.
    if (this.subscriber.backlog > MAX_BACKLOG) this.#ws.pause();
  }

  #resume(): void {
    if (this.#holds === 0 && this.#ws.isPaused) this.#ws.resume();
  }

  onMessage(data: unknown, isBinary: boolean): void {
    this.#missed = 0;
    this.#onMessage(data, isBinary);
  }

  onPong({ byteLength }: Uint8Array): void {
    this.#missed = 0;
    this.#takesMore(byteLength);
  }

  onPing(data: Uint8Array): void {
    if (!this.#takesMore(data.byteLength)) return;
    // A pong must not come within a frame of which a part was written.
    if (this.subscriber.isWithinMessage) return;
    if (this.#socket.writableLength < PONG_BACKLOG) this.#ws.pong(data);
  }

  /** It is followed by {@linkcode onClose}, where the session is given up. */
  onFailure(error: Error): void {
    logger.debug("{connection}: {error}", { connection: this.#id, error });
    const refusal = socketRefusal(error);
    if (refusal) this.context.refused(refusal);
  }

  beforeClose(): void {
    this.subscriber.flush();
    this.#rates = undefined;
  }

  onClose(code: number): void {
    const { heartbeat, expiries, clock } = this.context;
    heartbeat.delete(this);
    expiries.delete(this.#access.expires, this);
    this.subscriber[Symbol.dispose]();
    this.#staying?.[Symbol.dispose]();
    this.#prefixes?.[Symbol.dispose]();
    this.#receiving?.[Symbol.dispose]();
    this.#onClosed(this);
    tellClosed({
      connection: this.#id,
      address: this.address,
      start: this.#start,
      clock,
    }, code);
  }

  /** Takes a message; what goes wrong with it costs nobody but this peer. */
  #onMessage(data: unknown, isBinary: boolean): void {
    try {
      this.#read(data, isBinary);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    logger.error("Cannot answer a message of {connection}: {error}", {
      connection: this.#id,
      error,
    });
    this.close(CLOSINGS.internal);
  }

  /** Counts what was read, as far as it is no whole message. */
  onData(bytes: number): void {
    if (!this.isOpen) return this.#onLate(bytes);
    const { unfinished } = this.#ws;
    if (unfinished === 0) {
      this.#receiving?.[Symbol.dispose]();
      this.#receiving = undefined;
      return;
    }
    if (!this.#receiving) {
      this.#receiving = this.context.received.open(this.client);
      this.#receiving.onRefused = (problem) => this.#onRefused(problem);
    }
    try {
      this.#receiving.set(unfinished);
    } catch (error) {
      // `#onRefused` was told.
      if (!(error instanceof Problem)) throw error;
    }
  }

  /** Gives up a message that is not whole, and with it the connection. */
  #onRefused({ code }: Problem): void {
    this.context.refused(code);
    this.close(CLOSINGS.overloaded);
    this.#socket.end(() => this.#ws.terminate());
  }

  /**
   * Takes note of what comes after the close frame. As much as the peer may send in a
   * second can have been under way; a peer that sends more is cut.
   */
  #onLate(bytes: number): void {
    this.#rates ??= new MessageRates(this.context);
    if (!this.#rates.take(bytes)) this.#ws.terminate();
  }

  #read(data: unknown, isBinary: boolean): void {
    // Messages that were under way when the socket was closed get no answer.
    if (!this.isOpen) return this.#onLate(0);
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
        return this.refuse(result.code, result.reason, result.topic);
      case "malformed":
        return this.#reject(result.reason);
    }
  }

  /** Closes on a peer that cannot be trusted any further. */
  #reject(reason: string): void {
    this.context.refused("invalid_frame");
    this.close({ ...CLOSINGS.invalidFrame, text: reason });
  }

  /** Whether a message is not one too many, or too soon; closes otherwise. */
  #takesMore(size: number): boolean {
    if (!this.isOpen) {
      this.#onLate(0);
      return false;
    }
    this.#rates ??= new MessageRates(this.context);
    if (this.#rates.take(size)) return true;
    this.context.refused("message_rate");
    this.close(CLOSINGS.messageRate);
    return false;
  }

  #handle(message: ClientMessage): void {
    const prepared = prepare(this, message);
    if (prepared) void this.#readAfter(this.#doAfter(prepared, message));
    else this.#do(message);
  }

  /** Does what a message asks for, once its topic is at hand. */
  async #doAfter(
    prepared: Promise<void>,
    message: ClientMessage,
  ): Promise<void> {
    try {
      await prepared;
    } catch (error) {
      return refuse(this, message, error);
    }
    // A client that has left meanwhile has said what is to be done all the same.
    const isDone = message.type === "cancel" || message.type === "publish";
    if (this.isOpen || isDone) this.#do(message);
  }

  #do(message: ClientMessage): void {
    switch (message.type) {
      case "subscribe":
        if (isPrefix(message.topic)) return subscribeToPrefix(this, message);
        return void subscribe(this, message);
      case "unsubscribe":
        return unsubscribe(this, message.topic);
      case "heartbeat":
        return this.#send(this.#heartbeat());
      case "ack":
        return acknowledge(this, message);
      case "cancel":
        return cancel(this, message);
      case "publish":
        return publish(this, message);
      case "auth":
        return void this.#readAfter(authorize(this, message.token));
    }
  }

  /** Lets messages wait, those too that have arrived, until work of an earlier one is done. */
  async #readAfter(work: Promise<void>): Promise<void> {
    const unread: (() => void)[] = this.#unread = [];
    this.hold();
    try {
      await work;
    } catch (error) {
      this.#fail(error);
    }
    this.#unread = undefined;
    // Another token may be among them: what is behind it waits again.
    for (const read of unread) read();
    this.release();
  }
}
