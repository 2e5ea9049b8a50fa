/**
 * One who follows a topic over a WebSocket to its end, and keeps what it is told.
 *
 * @module
 */
import { subscribe, SubscriptionError } from "../../../relay/client/mod.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { openSocket } from "../client/client_socket.ts";
import { LIMIT, within } from "../within.ts";

/**
 * The client that follows a topic: the relay's own library, or nothing but
 * `ws`.
 */
export type FollowerKind = "subscribe" | "ws";

/** An event, or several that the relay has folded into one. */
export interface FollowedEvent extends ServerSentEvent {
  /** The number of events that it stands for. */
  readonly count: number;
}

/** The end of a topic, as a follower was told it. */
export interface FollowedEnd {
  readonly status: string;
  readonly reason?: string;
}

/**
 * The part of the relay's messages that is kept; nothing has checked it yet.
 */
interface Message {
  readonly type: string;
  readonly offset: number;
  readonly to: number;
  readonly event: string;
  readonly data: string;
  readonly state: string;
  readonly status: string;
  readonly reason?: string;
  readonly events: readonly (Partial<ServerSentEvent> & { data: string })[];
}

/** A follower of one topic. */
export class TopicFollower implements AsyncDisposable {
  /** The events received, in order. */
  readonly events: FollowedEvent[] = [];
  /** The states of the topic's source, in order. */
  readonly upstream: string[] = [];
  /** Resolves with how the topic ended; rejects at the first gap, repetition or error. */
  readonly end: Promise<FollowedEnd>;
  readonly #end = Promise.withResolvers<FollowedEnd>();
  readonly #close: () => Promise<void>;
  readonly #who: string;
  #next = 1;
  #changed = Promise.withResolvers<void>();

  /**
   * Begins to follow.
   *
   * @param origin `http://127.0.0.1:PORT`
   * @param topic The topic's name.
   * @param kind With what.
   * @param mode What is sent to it if it falls behind.
   */
  constructor(
    origin: string,
    topic: string,
    kind: FollowerKind,
    mode: "all" | "merge" = "all",
  ) {
    this.#who = `${kind} (${mode}) of ${topic}`;
    const url = `${origin.replace(/^http/, "ws")}/topics/${topic}`;
    this.#close = kind === "ws"
      ? this.#followWithWs(`${url}?mode=${mode}`)
      : this.#followWithClient(url, mode);
    this.end = within(
      this.#end.promise,
      LIMIT,
      () => `the end of ${this.#who}, after ${this.#next - 1} events`,
    );
    // Whoever waits for it is told; the others see what is missing.
    this.end.catch(() => {});
  }

  /** Resolves when so many events have come. */
  async received(count: number): Promise<void> {
    while (this.#next <= count) {
      this.#changed = Promise.withResolvers();
      await within(
        Promise.race([this.#changed.promise, this.end]),
        LIMIT,
        `event ${count} of ${this.#who}`,
      );
    }
  }

  /** Leaves. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.reject(new Error(`${this.#who} was left`));
    await this.#close();
  }

  #followWithWs(url: string): () => Promise<void> {
    const socket = openSocket("ws", url, {
      onOpen() {},
      onText: (text) => {
        const message: Message = JSON.parse(text);
        try {
          this.#onMessage(message);
        } catch (error) {
          this.#end.reject(error);
        }
      },
      onClose: (code) =>
        this.#end.reject(new Error(`${this.#who} was closed: ${code}`)),
    });
    return async () => {
      socket.destroy();
      await socket.closed;
    };
  }

  #followWithClient(url: string, mode: "all" | "merge"): () => Promise<void> {
    const subscription = subscribe(url, { mode, reconnect: false });
    const run = async (): Promise<void> => {
      try {
        for await (const message of subscription) {
          switch (message.type) {
            case "event":
            case "merged": {
              const { offset, event, data } = message;
              const to = message.type === "merged" ? message.to : offset;
              const id = message.type === "merged" ? "" : message.id;
              this.#take(offset, to, { event, data, id });
              break;
            }
            case "upstream":
              this.upstream.push(message.state);
              break;
            case "live":
              break;
            default:
              throw new Error(`${this.#who} got ${message.type}`);
          }
        }
      } catch (error) {
        const isEnd = error instanceof SubscriptionError &&
          error.status !== undefined;
        if (!isEnd) this.#end.reject(error);
      }
      // Without an end it was left.
      if (subscription.end) this.#end.resolve(subscription.end);
    };
    const running = run();
    return async () => {
      await subscription.close();
      await running;
    };
  }

  #onMessage(message: Message): void {
    const { type, offset, status, reason } = message;
    switch (type) {
      case "events":
        for (const [index, event] of message.events.entries()) {
          const { event: name = "message", data, id = "" } = event;
          this.#take(offset + index, offset + index, { event: name, data, id });
        }
        break;
      case "merged":
        this.#take(offset, message.to, { ...message, id: "" });
        break;
      case "upstream":
        this.upstream.push(message.state);
        break;
      case "end":
        this.#end.resolve({ status, ...reason !== undefined && { reason } });
        break;
      case "welcome":
      case "subscribed":
      case "live":
      case "heartbeat":
        break;
      default:
        throw new Error(`${this.#who} got ${JSON.stringify(message)}`);
    }
  }

  #take(
    offset: number,
    to: number,
    { event, data, id }: ServerSentEvent,
  ): void {
    if (offset !== this.#next) {
      throw new Error(`${this.#who} expected ${this.#next}, and got ${offset}`);
    }
    this.events.push({ event, data, id, count: to - offset + 1 });
    this.#next = to + 1;
    this.#changed.resolve();
  }
}
