import type { Duplex } from "node:stream";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";
import type { After } from "../topics/position.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import { type ClientMessage, parseClientMessage } from "./client_message.ts";
import type { FrameCache } from "./frames.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Pump } from "./pump.ts";
import type { CloseCode, RelayWebSocket } from "./relay_websocket.ts";
import { Subscriber } from "./subscriber.ts";
import { Subscription } from "./subscription.ts";
import { textFrame, websocketFormat } from "./websocket_format.ts";

/** What every WebSocket connection shares. */
export interface WebSocketContext {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** Wakes those who wait. */
  readonly pump: Pump;
  /** Joined frames. */
  readonly frames: FrameCache;
  /** Signs of life. */
  readonly heartbeat: Heartbeat;
  /** Where time comes from. */
  readonly clock: Clock;
  /** The most subscriptions of one connection. */
  readonly maxSubscriptions: number;
  /** The largest message of a client, in bytes. */
  readonly maxMessage: number;
  /** Whether an unknown topic can be waited for. */
  readonly awaitTopics: boolean;
}

/** A peer that asks and does not read is no longer listened to beyond this many answers. */
const MAX_BACKLOG = 64;

/** A pong is left out where this much is waiting to be sent: a flood of pings must not pile up. */
const PONG_BACKLOG = 16 * 1024;

const logger = getLogger(["rivulet", "relay", "websocket"]);

/** One WebSocket peer (protocol, section 2). */
export class WebSocketConnection {
  readonly #id = crypto.randomUUID();
  readonly #ws: RelayWebSocket;
  readonly #socket: Duplex;
  readonly #context: WebSocketContext;
  readonly #subscriber: Subscriber;
  readonly #subscriptions = new Map<string, Subscription>();
  /** The topic that the socket was opened for: with its end, the socket is done. */
  #only: string | undefined;
  #onlyEnded = false;

  /**
   * Takes over an upgraded socket.
   *
   * @param ws The WebSocket, for what the peer says and for closing.
   * @param socket The connection under it: frames are written to it whole.
   * @param context What is shared.
   */
  constructor(ws: RelayWebSocket, socket: Duplex, context: WebSocketContext) {
    this.#ws = ws;
    this.#socket = socket;
    this.#context = context;
    const sink = {
      write: (bytes: Uint8Array, done: () => void): void => {
        // After its close frame a socket may carry nothing more.
        if (ws.readyState === ws.OPEN) socket.write(bytes, done);
      },
    };
    this.#subscriber = new Subscriber(sink, context.pump, {
      onEnd: (subscription) => this.#onEnd(subscription),
      onError: (error) => {
        logger.error("Cannot read a log for {connection}: {error}", {
          connection: this.#id,
          error,
        });
        this.close(1011, "A log could not be read");
      },
      onDrain: () => ws.isPaused && ws.resume(),
    });
    const beater = {
      takeWrote: (): boolean =>
        this.#subscriber.takeWrote() || this.#subscriber.busy,
      beat: (): void =>
        this.#subscriber.answer(
          websocketFormat.heartbeat(context.clock.now()),
        ),
    };
    ws.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    ws.on("ping", (data) => {
      if (socket.writableLength < PONG_BACKLOG) ws.pong(data);
    });
    // Each is followed by `close`, which is where a connection is given up.
    ws.on(
      "error",
      (error) =>
        logger.debug("{connection}: {error}", { connection: this.#id, error }),
    );
    ws.on("close", () => {
      context.heartbeat.delete(beater);
      this.#subscriber.close();
      this.#subscriptions.clear();
    });
    context.heartbeat.add(beater);
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
  follow(topic: string, after?: After): void {
    this.#only = topic;
    this.#subscribe(topic, after);
  }

  /** Says that the relay goes, and when to come back, in milliseconds from now. */
  goodbye(reason: string, reconnectIn: readonly [number, number]): void {
    this.#answer({ type: "goodbye", reason, reconnectIn });
  }

  /** Closes the socket once what was said has gone out. */
  close(code: CloseCode, reason: string): void {
    this.#subscriber.close();
    this.#ws.close(code, reason);
  }

  /** Cuts the connection. */
  terminate(): void {
    this.#ws.terminate();
  }

  #answer(message: Record<string, unknown>): void {
    this.#send(textFrame(JSON.stringify(message)));
  }

  #send(frame: Uint8Array): void {
    this.#subscriber.answer(frame);
    if (this.#subscriber.backlog > MAX_BACKLOG) this.#ws.pause();
  }

  #refuse(code: string, message: string, topic?: string): void {
    this.#answer({
      type: "error",
      code,
      message,
      ...(topic !== undefined && { topic }),
      retryable: false,
    });
  }

  #onMessage(data: unknown, isBinary: boolean): void {
    // What was under way when the socket was closed asks for nothing any more.
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    if (isBinary || !(data instanceof Uint8Array)) {
      return this.close(4500, "Expected a text frame, got a binary one");
    }
    let text: string;
    try {
      text = new TextDecoder("utf-8", { fatal: true }).decode(data);
    } catch {
      return this.close(4500, "Expected UTF-8");
    }
    const result = parseClientMessage(text);
    switch (result.kind) {
      case "message":
        return this.#handle(result.message);
      case "refused":
        return this.#refuse(result.code, result.reason, result.topic);
      case "malformed":
        return this.close(4500, result.reason);
    }
  }

  #handle(message: ClientMessage): void {
    switch (message.type) {
      case "subscribe": {
        const { topic, after, mode = "all" } = message;
        if (mode !== "all" || message.snapshot || message.window) {
          return this.#refuse(
            "unsupported",
            "This relay delivers in mode 'all', without 'window' and 'snapshot': leave them out",
            topic,
          );
        }
        return this.#subscribe(topic, after);
      }
      case "unsubscribe": {
        const subscription = this.#subscriptions.get(message.topic);
        if (!subscription) {
          return this.#refuse(
            "not_subscribed",
            "There is no subscription to this topic",
            message.topic,
          );
        }
        this.#subscriptions.delete(message.topic);
        return this.#subscriber.remove(subscription);
      }
      case "heartbeat":
        return this.#send(
          websocketFormat.heartbeat(this.#context.clock.now()),
        );
      case "ack":
        return; // accepted; it matters once a subscription can have a window
    }
  }

  #subscribe(name: string, after?: After): void {
    const { topics, maxSubscriptions, awaitTopics } = this.#context;
    if (this.#subscriptions.has(name)) {
      return this.#refuse(
        "already_subscribed",
        "There is a subscription to this topic already: unsubscribe first",
        name,
      );
    }
    if (this.#subscriptions.size >= maxSubscriptions) {
      return this.#refuse(
        "too_many_subscriptions",
        `Expected at most ${maxSubscriptions} subscriptions on one connection`,
        name,
      );
    }
    const topic = awaitTopics ? topics.await(name) : topics.get(name);
    if (!topic) {
      return this.#refuse("unknown_topic", "There is no such topic", name);
    }
    const { frames } = this.#context;
    const subscription = new Subscription(
      topic,
      after ?? topic.from,
      websocketFormat,
      frames,
    );
    this.#subscriptions.set(name, subscription);
    this.#subscriber.add(subscription);
  }

  #onEnd(subscription: Subscription): void {
    const { name } = subscription.topic;
    this.#subscriptions.delete(name);
    if (name === this.#only) this.#onlyEnded = true;
    if (this.#onlyEnded && this.#subscriptions.size === 0) {
      this.close(1000, "The topic has ended");
    }
  }
}
