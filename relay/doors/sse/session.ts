import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { getLogger } from "@logtape/logtape";
import { type Clock, wallTime } from "../../../src/fetch/clock.ts";
import type { FrameCache } from "../../delivery/frames.ts";
import type { Pump } from "../../delivery/pump.ts";
import {
  type Sink,
  type SlowReaders,
  Subscriber,
  type SubscriberEvents,
} from "../../delivery/subscriber.ts";
import type { Stays } from "../../delivery/stays.ts";
import { Subscription } from "../../delivery/subscription.ts";
import type { Watch, Watched } from "../../delivery/watch.ts";
import { cutAnswer, dropAnswer } from "../../cut_answer.ts";
import type { SendBudget } from "../../limits/memory/send_budget.ts";
import type { Expiries, Expiring } from "../../rights/expiries.ts";
import type { TopicEnd } from "../../topics/end.ts";
import type { After } from "../../topics/position.ts";
import type { Topic } from "../../topics/topic.ts";
import { type Guest, secondsSince } from "../guests.ts";
import {
  rawSseFormat,
  retryAfter,
  sseFormat,
  stayingSseFormat,
  UntoldGapError,
} from "./format.ts";

/** A reader that is to be answered with a topic's events. */
export interface StreamRequest {
  /** The response to write to: it has not begun. */
  readonly response: ServerResponse;
  /** The topic that is read. */
  readonly topic: Topic;
  /** The position after which it is read. */
  readonly after: After;
  /** Whether to leave out the relay's own events. */
  readonly raw: boolean;
  /**
   * Writes how the stream ends in the place of an upstream that has not said it: in a raw
   * stream, which is whole then. Default: a raw stream that is not whole is cut.
   */
  lastWords?(end: TopicEnd): string;
  /** Whether it stays for the next epoch of the topic. Default: `false`. */
  readonly stay?: boolean | undefined;
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

/** The headers of every event stream. */
const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
};

const logger = getLogger(["rivulet", "relay", "sse"]);

/** One SSE reader of one topic (PROTOCOL.md, section 3). */
export class EventStreamSession
  implements Guest, Sink, SubscriberEvents, Watched, Expiring {
  readonly #response: ServerResponse;
  readonly #context: StreamContext;
  readonly #frames: FrameCache;
  readonly #subscriber: Subscriber;
  #topic: Topic;
  readonly #isRaw: boolean;
  readonly #lastWords: StreamRequest["lastWords"];
  #cancelStay: (() => void) | undefined;
  #isStopped = false;

  /**
   * Answers a request with a topic's events.
   *
   * @param request The reader, and what it reads.
   * @param frames The events in the format of the request.
   * @param context The context that every event stream shares.
   */
  constructor(
    request: StreamRequest,
    frames: FrameCache,
    context: StreamContext,
  ) {
    const { response, topic, after, raw, address, client, expires } = request;
    const { stay = false } = request;
    const { pump, heartbeat, slow, expiries, clock } = context;
    context.slowResponses.delete(response);
    this.#response = response;
    this.#context = context;
    this.#frames = frames;
    const queued = context.budget.open({
      client,
      address,
      drop: () => dropAnswer(response),
    });
    this.#subscriber = new Subscriber(this, pump, this, slow, queued);
    const { name } = topic;
    this.#topic = topic;
    this.#isRaw = raw;
    this.#lastWords = request.lastWords;
    const start = clock.now();
    response.on("error", (error) => logger.debug("{error}", { error }));
    response.on("close", () => {
      heartbeat.delete(this);
      expiries.delete(expires, this);
      this.#subscriber[Symbol.dispose]();
      this.#cancelStay?.();
      logger.info(
        "The event stream of {topic} to {address} closed after {seconds} s",
        { topic: name, address, seconds: secondsSince(start, clock) },
      );
    });
    response.writeHead(200, {
      ...HEADERS,
      "Rivulet-Epoch": topic.log.epoch,
    });
    // The reader learns at once that it is connected, on a quiet topic too.
    response.flushHeaders();
    // A comment, which no client takes for an event: in one line, since some take
    // each blank line for the end of one.
    if (topic.state.kind === "pending") {
      response.write(
        `: topic '${name}' is pending: nothing has filled it yet. Is its name right?\n`,
      );
    }
    heartbeat.add(this);
    expiries.add(expires, this);
    frames.counts.opened++;
    const format = raw ? rawSseFormat : stay ? stayingSseFormat : sseFormat;
    const subscription = new Subscription(topic, after, format, frames, {
      stays: stay,
    });
    this.#subscriber.add(subscription);
  }

  /** The subscription of the stream, until it has ended. */
  get subscriptions(): readonly Subscription[] {
    return this.#subscriber.subscriptions;
  }

  /** Resolves when the connection is closed. */
  closed(): Promise<void> {
    const response = this.#response;
    return new Promise((resolve) => {
      if (response.closed) resolve();
      else response.once("close", resolve);
    });
  }

  /** Says when to come back, and ends the response, once all events are written. */
  leave(_left: number, duration: number): void {
    this.#subscriber.whenWritten(() => {
      // The wait is as long for all: they come back one by one, when all have gone.
      const retry = retryAfter(duration);
      this.#subscriber.answer(
        Buffer.from(this.#isRaw ? retry : `${retry}\n`),
      );
      this.stop();
    });
  }

  /** Ends the response once all events are written. */
  finish(): void {
    this.#subscriber.whenWritten(() => this.stop());
  }

  /** Ends the response between two events. */
  stop(): void {
    this.#isStopped = true;
    this.#subscriber.close();
    this.#cancelStay?.();
    // The relay's own events tell other readers that they have not seen the end.
    if (this.#isRaw) cutAnswer(this.#response);
    else this.#response.end();
  }

  /** Writes events. */
  write(bytes: Uint8Array, done: () => void): void {
    if (this.#response.writable) this.#response.write(bytes, done);
  }

  /** The end of the topic has been written. */
  onEnd(subscription: Subscription): void {
    if (subscription.stays) {
      this.#cancelStay = this.#context.stays.wait(
        subscription.topic,
        (next) => {
          this.#topic = next.topic;
          this.#subscriber.add(subscription.goOn(next));
        },
      );
      return;
    }
    // Without the relay's own events, the reader is not told how the topic ended.
    const { state, isWhole } = this.#topic;
    if (!this.#isRaw || isWhole) this.#response.end();
    else if (this.#lastWords && state.kind === "ended") {
      this.#response.end(this.#lastWords(state.end));
    } else cutAnswer(this.#response);
  }

  /** The log cannot be read, or its events not be written. */
  onError(error: unknown): void {
    const topic = this.#topic.name;
    if (error instanceof UntoldGapError) {
      logger.info("Cut a raw reader of {topic}: {reason}", {
        topic,
        reason: error.message,
      });
    } else logger.error("Cannot deliver {topic}: {error}", { topic, error });
    // Not an end: the client sees a broken stream, and comes back.
    cutAnswer(this.#response);
  }

  /** The reader is too slow to be kept. */
  onSlow(): void {
    if (this.#isStopped || this.#response.writableEnded) {
      return dropAnswer(this.#response);
    }
    this.#frames.counts.slowCloses++;
    this.stop();
  }

  /** The token has expired: a reader that comes back is asked for a new one. */
  onExpiry(): void {
    this.stop();
  }

  /** Whether anything was written. */
  takeSign(): boolean {
    return this.#subscriber.takeWrote();
  }

  /** Sends a sign of life, as nothing else was sent. */
  onQuiet(): void {
    const { clock } = this.#context;
    const format = this.#isRaw ? rawSseFormat : sseFormat;
    this.#subscriber.answer(format.heartbeat(wallTime(clock)));
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
