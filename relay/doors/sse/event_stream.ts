import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../src/fetch/clock.ts";
import type { After } from "../../topics/position.ts";
import type { Topic } from "../../topics/topic.ts";
import type { FrameCache } from "../../delivery/frames.ts";
import type { Pump } from "../../delivery/pump.ts";
import { rawSseFormat, sseFormat } from "./format.ts";
import { type SlowReaders, Subscriber } from "../../delivery/subscriber.ts";
import { Subscription } from "../../delivery/subscription.ts";
import type { Watch } from "../../delivery/watch.ts";

/** What every event stream shares. */
export interface EventStreamContext {
  /** Wakes those who wait. */
  readonly pump: Pump;
  /** Joined frames. */
  readonly frames: FrameCache;
  /** Signs of life. */
  readonly heartbeat: Watch;
  /** What becomes of those who take nothing. Default: nothing. */
  readonly slow?: SlowReaders | undefined;
  /** Where time comes from. */
  readonly clock: Clock;
}

const HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
};

const logger = getLogger(["rivulet", "relay", "sse"]);

/** Whether a reader at this position has everything, so that there is nothing to answer with. */
export function isAtEnd(
  { state, log }: Topic,
  after: After,
  raw: boolean,
): boolean {
  if (state.kind !== "ended") return false;
  if (after === "now") return raw;
  if (after === "start") return false;
  // Without the relay's own events, the last that a reader sees is the last event.
  const last = raw ? log.next - 1 : log.next;
  return after.epoch === log.epoch && after.offset === last;
}

/** One SSE reader of one topic (PROTOCOL.md, section 3). */
export class EventStreamConnection {
  readonly #response: ServerResponse;
  readonly #subscriber: Subscriber;

  /**
   * Answers a request with a topic's events.
   *
   * @param response Not yet begun.
   * @param topic What is read.
   * @param after Where to begin.
   * @param raw Whether to leave out the relay's own events.
   * @param context What is shared.
   */
  constructor(
    response: ServerResponse,
    topic: Topic,
    after: After,
    raw: boolean,
    { pump, frames, heartbeat, slow, clock }: EventStreamContext,
  ) {
    this.#response = response;
    const format = raw ? rawSseFormat : sseFormat;
    const sink = {
      write: (bytes: Uint8Array, done: () => void): void => {
        if (response.writable) response.write(bytes, done);
      },
    };
    this.#subscriber = new Subscriber(sink, pump, {
      onEnd: () => response.end(),
      onError: (error) => {
        logger.error("Cannot read the log of {topic}: {error}", {
          topic: topic.name,
          error,
        });
        // Not an end: the client sees a broken stream, and comes back.
        response.destroy();
      },
      onSlow: () => {
        if (response.writableEnded) return response.destroy();
        frames.counts.slowCloses++;
        this.close();
      },
    }, slow);
    const life = {
      takeSign: (): boolean => this.#subscriber.takeWrote(),
      onQuiet: (): void =>
        this.#subscriber.answer(format.heartbeat(clock.now())),
    };
    response.on("error", (error) => logger.debug("{error}", { error }));
    response.on("close", () => {
      heartbeat.delete(life);
      this.#subscriber[Symbol.dispose]();
    });
    response.writeHead(200, {
      ...HEADERS,
      "Rivulet-Epoch": topic.log.epoch,
    });
    // The reader learns at once that it is connected, on a quiet topic too.
    response.flushHeaders();
    heartbeat.add(life);
    frames.counts.opened++;
    this.#subscriber.add(new Subscription(topic, after, format, frames));
  }

  /** What it follows: one topic, up to its end. */
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

  /**
   * Says when to come back; to be closed then.
   *
   * @param retryIn In milliseconds.
   */
  goodbye(retryIn: number): void {
    this.#subscriber.answer(Buffer.from(`retry: ${Math.ceil(retryIn)}\n\n`));
  }

  /** Ends the response between two events. */
  close(): void {
    this.#subscriber.close();
    this.#response.end();
  }

  /** Cuts the connection. */
  terminate(): void {
    this.#response.destroy();
  }
}
