/**
 * A reader of one topic over a WebSocket, of which everything is accounted for.
 *
 * @module
 */
import { Buffer } from "node:buffer";
// @ts-types="../../../relay/ws.d.ts"
import { WebSocket } from "ws";
import { z } from "zod";
import type { Topic } from "../../../relay/topics/topic.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import {
  DeliveryLedger,
  type LedgerAfter,
} from "../subscribers/delivery_ledger.ts";
import { LIMIT, within } from "../within.ts";

/** Answers in a row without anything else, that say that nothing more comes. */
const QUIET = 4;

const anyMessage = z.looseObject({
  type: z.string(),
  topic: z.string().optional(),
});

/** A message that came. */
export interface Received {
  readonly type: string;
  /** As JSON gives it. */
  readonly message: Readonly<Record<string, unknown>>;
  /** Its length on the wire, with the header of its frame. */
  readonly bytes: number;
}

/** A request to read. */
export interface ReadRequest {
  readonly mode?: "all" | "merge" | "latest";
  readonly window?: number;
  readonly snapshot?: boolean;
  readonly after?: LedgerAfter;
  /** The door: the URL of the topic, or `/ws` and a message. Default: `one`. */
  readonly door?: "one" | "many";
}

/** The length of a frame with this payload, from the server (RFC 6455, section 5.2). */
function frameLength(payload: number): number {
  return payload + (payload < 126 ? 2 : payload < 2 ** 16 ? 4 : 10);
}

/** The length of the frame with these events. */
export function eventsLength(
  topic: string,
  offset: number,
  events: readonly ServerSentEvent[],
): number {
  const fields = events.map(({ event, data, id }) => ({
    ...(event !== "message" && { event }),
    data,
    ...(id !== "" && { id }),
  }));
  const message = { type: "events", topic, offset, events: fields };
  return frameLength(Buffer.byteLength(JSON.stringify(message)));
}

/** A reader that acknowledges, and reads, when it is told to. */
export class DeliveryReader implements AsyncDisposable {
  readonly ledger: DeliveryLedger;
  /** The messages received of the topic, in order. */
  readonly received: Received[] = [];
  readonly #socket: WebSocket;
  readonly #topic: string;
  readonly #closed: Promise<number>;
  readonly #refused: Record<string, unknown>[] = [];
  #answers = 0;
  #changed = Promise.withResolvers<void>();
  #failure: unknown;

  private constructor(
    url: string,
    topic: string,
    request: ReadRequest,
    eventAt: (epoch: string, offset: number) => ServerSentEvent | undefined,
  ) {
    this.#topic = topic;
    const { mode, window, snapshot, after, door = "one" } = request;
    const position = typeof after === "object"
      ? `${after.epoch}:${after.offset}`
      : after;
    this.ledger = new DeliveryLedger({
      who: JSON.stringify(request),
      mode,
      snapshot,
      after,
      eventAt,
    });
    const asked = { mode, window, snapshot, after: position };
    const query = Object.entries(asked)
      .flatMap(([name, value]) =>
        value === undefined ? [] : `${name}=${value}`
      );
    this.#socket = new WebSocket(
      url.replace(/^http/, "ws") +
        (door === "many" ? "/ws" : `/topics/${topic}?${query.join("&")}`),
      { perMessageDeflate: false },
    );
    const closed = Promise.withResolvers<number>();
    this.#closed = closed.promise;
    this.#socket.on("open", () => {
      if (door === "many") this.send({ type: "subscribe", topic, ...asked });
    });
    this.#socket.on("message", (data) => this.#take(data));
    this.#socket.on("error", (error) => this.#failure ??= error);
    this.#socket.on("close", (code) => {
      closed.resolve(code);
      this.#change();
    });
  }

  /** Subscribes to a topic of a relay of this process. */
  static async open(
    url: string,
    topic: Topic,
    request: ReadRequest = {},
  ): Promise<DeliveryReader> {
    const published = recordOf(topic);
    const reader = new DeliveryReader(
      url,
      topic.name,
      request,
      (_epoch, offset) => published[offset - 1],
    );
    await reader.until(() => reader.received.length > 0, "subscribed");
    return reader;
  }

  /** The code that the connection was closed with. */
  get closed(): Promise<number> {
    return within(this.#closed, LIMIT, "the connection to be closed");
  }

  /** Errors that the relay has told, in order. */
  get refused(): readonly Record<string, unknown>[] {
    return this.#refused;
  }

  /** The types of what came. */
  get types(): string[] {
    return this.received.map(({ type }) => type);
  }

  /** Sends a message. */
  send(message: unknown): void {
    this.#socket.send(JSON.stringify(message));
  }

  /** Acknowledges. */
  ack(offset = this.ledger.seen): void {
    this.send({ type: "ack", topic: this.#topic, offset });
  }

  /** Reads no more, until it resumes. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#socket.resume();
  }

  /** Waits for something, and throws what is wrong with what came. */
  async until(isThere: () => boolean, what: string): Promise<void> {
    // Heartbeats come while nothing does.
    const end = performance.now() + LIMIT;
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (isThere()) return;
      if (this.#socket.readyState === 3) {
        throw new Error(`Closed before ${what}`);
      }
      this.#changed = Promise.withResolvers();
      await within(
        this.#changed.promise,
        end - performance.now(),
        () =>
          `${what}: ${this.ledger.seen} seen, ${this.types.slice(-5)}, ${
            JSON.stringify(this.#refused)
          }`,
      );
    }
  }

  /** Waits until this offset is accounted for. */
  sees(offset: number): Promise<void> {
    return this.until(() => this.ledger.seen >= offset, `event ${offset}`);
  }

  /** Waits for the end of the topic. */
  ends(): Promise<void> {
    return this.until(() => this.ledger.end !== undefined, "the end");
  }

  /**
   * Waits until the relay has nothing more to send, unless something happens:
   * after the end, or where it answers what it is asked with nothing in between.
   */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET && !this.ledger.end; quiet++) {
      const before = this.received.length;
      const answers = this.#answers;
      this.send({ type: "heartbeat" });
      await this.until(
        () => this.#answers > answers || this.ledger.end !== undefined,
        "an answer",
      );
      if (this.received.length > before) quiet = -1;
    }
  }

  /** Acknowledges whatever comes, until the topic ends. */
  async drain(): Promise<void> {
    while (!this.ledger.end) {
      const { seen } = this.ledger;
      this.ack();
      await this.settle();
      if (this.ledger.seen > seen || this.ledger.end) continue;
      throw new Error(`It stands still, with all acknowledged up to ${seen}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
    await this.#closed;
  }

  #take(data: Uint8Array): void {
    try {
      const message = anyMessage.parse(
        JSON.parse(Buffer.from(data).toString()),
      );
      if (message.type === "heartbeat") this.#answers++;
      else if (message.type === "error") this.#refused.push(message);
      else if (message.topic === this.#topic) {
        this.ledger.take(message);
        this.received.push({
          type: message.type,
          message,
          bytes: frameLength(data.byteLength),
        });
      }
    } catch (error) {
      this.#failure ??= error;
    }
    this.#change();
  }

  #change(): void {
    this.#changed.resolve();
  }
}

const records = new WeakMap<Topic, ServerSentEvent[]>();

/** Every event that a topic has had, whatever is retained of them. */
function recordOf(topic: Topic): readonly ServerSentEvent[] {
  const known = records.get(topic);
  if (known) return known;
  throw new Error(`Nothing is recorded of '${topic.name}': use publish()`);
}

/** Records what a topic gets from now on, which has to be empty. */
export function record(topic: Topic): Topic {
  records.set(topic, []);
  return topic;
}

/** Adds events to a topic that is recorded. */
export function publish(
  topic: Topic,
  events: readonly ServerSentEvent[],
): void {
  records.get(topic)?.push(...events);
  topic.append(events);
}
