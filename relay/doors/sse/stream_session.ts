import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { getLogger } from "@logtape/logtape";
import { type Clock, wallTime } from "../../../src/fetch/clock.ts";
import type { DeliveryCounts } from "../../delivery/delivery_counts.ts";
import type { Format } from "../../delivery/format.ts";
import type { Pump } from "../../delivery/pump.ts";
import {
  type Sink,
  type SlowReaders,
  Subscriber,
  type SubscriberEvents,
} from "../../delivery/subscriber.ts";
import type { Stays } from "../../delivery/stays.ts";
import type { Subscription } from "../../delivery/subscription.ts";
import type { Watch, Watched } from "../../delivery/watch.ts";
import { cutAnswer, dropAnswer } from "../../cut_answer.ts";
import type { SendBudget } from "../../limits/memory/send_budget.ts";
import type { Expiries, Expiring } from "../../rights/expiries.ts";
import { writeChunk } from "../../write_chunk.ts";
import { type Guest, secondsSince } from "../guests.ts";
import { retryAfter } from "./format.ts";

/** A reader that is to be answered with an event stream. */
export interface StreamReader {
  /** The response to write to: it has not begun. */
  readonly response: ServerResponse;
  /** The address of the reader. */
  readonly address: string;
  /** The name under which limits count the reader. */
  readonly client: string;
  /** The time when the reader's token expires, in milliseconds since the epoch. */
  readonly expires: number;
}

/** The context that every event stream shares. */
export interface StreamContext {
  /** Wakes subscriptions that wait. */
  readonly pump: Pump;
  /** Signs of life. */
  readonly heartbeat: Watch;
  /** The treatment of slow subscribers. Default: none. */
  readonly slow?: SlowReaders | undefined;
  /** The readers that wait for the next epoch of their topic. */
  readonly stays: Stays;
  /** Looks after responses until a subscriber does. */
  readonly slowResponses: { delete(response: ServerResponse): void };
  /** Counts the bytes that wait for readers. */
  readonly budget: SendBudget;
  /** Ends streams whose tokens expire. */
  readonly expiries: Expiries;
  /** The source of time. */
  readonly clock: Clock;
}

/** The nature of one event stream. */
export interface StreamNature {
  /** The topic, or the beginning of names and a `*`: for logs. */
  readonly name: string;
  /** The counts of what is delivered through this door. */
  readonly counts: DeliveryCounts;
  /** The format of the stream's signs of life. */
  readonly format: Format;
  /** Whether it has nothing but what the upstream sent, so that only a cut tells of a stop. */
  readonly isRaw: boolean;
  /** Headers of the response, besides those of every event stream. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The headers of every event stream. */
const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
};

const logger = getLogger(["rivulet", "relay", "sse"]);

/** The response of one SSE reader, whatever it reads (PROTOCOL.md, section 3). */
export abstract class StreamSession
  implements Guest, Sink, SubscriberEvents, Watched, Expiring {
  protected readonly response: ServerResponse;
  protected readonly context: StreamContext;
  protected readonly subscriber: Subscriber;
  readonly #nature: StreamNature;
  #isStopped = false;

  /**
   * Begins the answer to a request.
   *
   * @param reader The reader.
   * @param nature The nature of the stream.
   * @param context The context that every event stream shares.
   */
  constructor(
    reader: StreamReader,
    nature: StreamNature,
    context: StreamContext,
  ) {
    const { response, address, client, expires } = reader;
    const { pump, heartbeat, slow, expiries, clock } = context;
    context.slowResponses.delete(response);
    this.response = response;
    this.context = context;
    this.#nature = nature;
    const queued = context.budget.open({
      client,
      address,
      drop: () => dropAnswer(response),
    });
    this.subscriber = new Subscriber(this, pump, this, slow, queued);
    const start = clock.now();
    response.on("error", (error) => logger.debug("{error}", { error }));
    response.on("close", () => {
      heartbeat.delete(this);
      expiries.delete(expires, this);
      this.subscriber[Symbol.dispose]();
      this.leaveTopics();
      logger.info(
        "The event stream of {topic} to {address} closed after {seconds} s",
        { topic: nature.name, address, seconds: secondsSince(start, clock) },
      );
    });
    response.writeHead(200, { ...HEADERS, ...nature.headers });
    // The reader learns at once that it is connected, on a quiet topic too.
    response.flushHeaders();
    heartbeat.add(this);
    expiries.add(expires, this);
    nature.counts.opened++;
  }

  /** The end of a topic has been written. */
  abstract onEnd(subscription: Subscription): void;

  /** Follows no more than has been added to the subscriber. */
  protected abstract leaveTopics(): void;

  /** The subscriptions of the stream, each until it has ended. */
  get subscriptions(): readonly Subscription[] {
    return this.subscriber.subscriptions;
  }

  /** Resolves when the connection is closed. */
  closed(): Promise<void> {
    const { response } = this;
    return new Promise((resolve) => {
      if (response.closed) resolve();
      else response.once("close", resolve);
    });
  }

  /** Says when to come back, and ends the response, once all events are written. */
  leave(_left: number, duration: number): void {
    this.subscriber.whenWritten(() => {
      // The wait is as long for all: they come back one by one, when all have gone.
      const retry = retryAfter(duration);
      this.subscriber.answer(
        Buffer.from(this.#nature.isRaw ? retry : `${retry}\n`),
      );
      this.stop();
    });
  }

  /** Ends the response once all events are written. */
  finish(): void {
    this.subscriber.whenWritten(() => this.stop());
  }

  /** Ends the response between two events. */
  stop(): void {
    this.#isStopped = true;
    this.subscriber.close();
    this.leaveTopics();
    // The relay's own events tell other readers that they have not seen the end.
    if (this.#nature.isRaw) cutAnswer(this.response);
    else this.response.end();
  }

  /** Writes events. */
  write(bytes: Uint8Array, done: () => void): void {
    if (this.response.writable) writeChunk(this.response, bytes, done);
  }

  /** The log cannot be read, or its events not be written. */
  onError(error: unknown): void {
    this.noteError(error);
    // Not an end: the client sees a broken stream, and comes back.
    cutAnswer(this.response);
  }

  /** Logs why the stream cannot go on. */
  protected noteError(error: unknown): void {
    const { name: topic } = this.#nature;
    logger.error("Cannot deliver {topic}: {error}", { topic, error });
  }

  /** The reader is too slow to be kept. */
  onSlow(): void {
    if (this.#isStopped || this.response.writableEnded) {
      return dropAnswer(this.response);
    }
    this.#nature.counts.slowCloses++;
    this.stop();
  }

  /** The token has expired: a reader that comes back is asked for a new one. */
  onExpiry(): void {
    this.stop();
  }

  /** Whether anything was written. */
  takeSign(): boolean {
    return this.subscriber.takeWrote();
  }

  /** Sends a sign of life, as nothing else was sent. */
  onQuiet(): void {
    const time = wallTime(this.context.clock);
    this.subscriber.answer(this.#nature.format.heartbeat(time));
  }
}

/**
 * Answers a reader that is not taken so that an `EventSource` comes back: an
 * `EventSource` gives up for good after a status of 503.
 *
 * @param response The response: it has not begun.
 * @param wait The time after which the reader should come back, in milliseconds.
 */
export function turnAway(response: ServerResponse, wait: number): void {
  response.writeHead(200, HEADERS);
  response.write(retryAfter(wait));
  // An end would say that there is nothing more.
  cutAnswer(response);
}
