/**
 * A publisher and a subscriber over WebSockets, which know when each event was made.
 *
 * @module
 */
import { z } from "zod";
import {
  type ClientSocket,
  openSocket,
} from "../../tests/support/client/client_socket.ts";
import { LIMIT, until, within } from "../../tests/support/within.ts";

const message = z.looseObject({
  type: z.string(),
  events: z.array(z.looseObject({ data: z.string() })).optional(),
});

/** The size of an event's data. */
const SIZE = 120;

/** Publishes batch after batch: the next one when the one before is kept. */
export class BenchPublisher implements AsyncDisposable {
  /** The number of events that were acknowledged. */
  acknowledged = 0;
  readonly #socket: ClientSocket;
  readonly #waiting: (() => void)[] = [];

  private constructor(
    port: number,
    onOpen: () => void,
    onFailed: (error: Error) => void,
  ) {
    this.#socket = openSocket("ws", `ws://127.0.0.1:${port}/ws`, {
      onOpen,
      onText: (text) => {
        const { type } = message.parse(JSON.parse(text));
        if (type === "error") return onFailed(new Error(text));
        if (type === "published") this.#waiting.shift()?.();
      },
      onClose: (code) => onFailed(new Error(`Closed with ${code}`)),
    });
  }

  /** Connects to a relay. */
  static async open(port: number): Promise<BenchPublisher> {
    const opened = Promise.withResolvers<void>();
    const publisher = new BenchPublisher(port, opened.resolve, (error) => {
      publisher.failure ??= error;
      opened.reject(error);
    });
    await within(opened.promise, LIMIT, "a publisher's connection");
    return publisher;
  }

  /** The reason why nothing more is acknowledged. */
  failure: Error | undefined;

  /** Publishes events that say when they were made; resolves once they are kept. */
  async publish(topic: string, count: number): Promise<void> {
    if (this.failure) throw this.failure;
    const now = performance.now();
    const data = String(now).padEnd(SIZE, " ");
    const events = Array.from({ length: count }, () => ({ data }));
    const kept = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#socket.send(JSON.stringify({ type: "publish", topic, events }));
    await within(kept, LIMIT, `an answer of the relay, ${this.failure}`);
    this.acknowledged += count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await this.#socket.closed;
  }
}

/** Counts the events of a topic, and notes how long each has taken. */
export class BenchSubscriber implements AsyncDisposable {
  received = 0;
  /** The times from the making of each event to its arrival, in milliseconds. */
  readonly latencies: number[] = [];
  readonly #socket: ClientSocket;

  private constructor(
    port: number,
    topic: string,
    onSubscribed: () => void,
    isTimed: boolean,
  ) {
    this.#socket = openSocket("ws", `ws://127.0.0.1:${port}/topics/${topic}`, {
      onOpen: () => {},
      onText: (text) => {
        const now = performance.now();
        const { type, events = [] } = message.parse(JSON.parse(text));
        if (type === "subscribed") onSubscribed();
        this.received += events.length;
        if (!isTimed) return;
        for (const { data } of events) this.latencies.push(now - Number(data));
      },
      onClose: () => {},
    });
  }

  /**
   * Subscribes to a topic.
   *
   * @param isTimed Whether it notes how long each event has taken.
   */
  static async open(
    port: number,
    topic: string,
    isTimed: boolean,
  ): Promise<BenchSubscriber> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const subscriber = new BenchSubscriber(port, topic, resolve, isTimed);
    await within(promise, LIMIT, "a subscription");
    return subscriber;
  }

  /** Waits until so many events have come. */
  async has(count: number): Promise<void> {
    await until(
      () => this.received >= count || undefined,
      LIMIT,
      () => `${count} events: ${this.received} have come`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await this.#socket.closed;
  }
}
