import type { ServerResponse } from "node:http";
import { getLogger } from "@logtape/logtape";
import type { DeliveryCounts } from "../../delivery/delivery_counts.ts";
import { secondsSince } from "../../delivery/seconds_since.ts";
import type { Expiries } from "../../rights/expiries.ts";
import type { After } from "../../topics/position.ts";
import type { Topic } from "../../topics/topic.ts";
import {
  EventStreamConnection,
  type EventStreamContext,
  isAtEnd,
} from "./event_stream.ts";
import { FrameCache } from "../../delivery/frames.ts";
import { rawSseFormat, sseFormat } from "./format.ts";

/** What is to be answered with a topic's events. */
export interface StreamRequest {
  /** Not yet begun. */
  readonly response: ServerResponse;
  /** What is read. */
  readonly topic: Topic;
  /** Where to begin. */
  readonly after: After;
  /** Whether to leave out the relay's own events. */
  readonly raw: boolean;
  /** Where the reader is. */
  readonly address: string;
  /** Until when the reader may read, in milliseconds since the epoch. */
  readonly expires: number;
}

/** What every reader shares, whatever it reads. */
export interface EventStreamsContext
  extends Omit<EventStreamContext, "frames"> {
  /** What is delivered to them. */
  readonly counts: DeliveryCounts;
  /** Ends those whose tokens expire. */
  readonly expiries: Expiries;
}

const logger = getLogger(["rivulet", "relay", "sse"]);

/** The SSE readers of all topics. */
export class EventStreams {
  /** The connections that are open. */
  readonly connections: Set<EventStreamConnection> = new Set();
  readonly #context: EventStreamsContext;
  readonly #frames: FrameCache;
  readonly #rawFrames: FrameCache;

  /** Makes a set without readers. */
  constructor(context: EventStreamsContext) {
    this.#context = context;
    this.#frames = new FrameCache(sseFormat, context.counts);
    this.#rawFrames = new FrameCache(rawSseFormat, context.counts);
  }

  /** Answers a request; one that has everything already is left to be answered. */
  open(
    { response, topic, after, raw, address, expires }: StreamRequest,
  ): "streaming" | "at end" {
    if (isAtEnd(topic, after, raw)) return "at end";
    const { clock, expiries } = this.#context;
    const connection = new EventStreamConnection(response, topic, after, raw, {
      ...this.#context,
      frames: raw ? this.#rawFrames : this.#frames,
    });
    this.connections.add(connection);
    // Who comes back is asked for a token that still holds.
    const expiring = { onExpiry: () => connection.close() };
    expiries.add(expires, expiring);
    const { name } = topic;
    const start = clock.now();
    response.on("close", () => {
      expiries.delete(expires, expiring);
      this.connections.delete(connection);
      logger.info(
        "The event stream of {topic} to {address} closed after {seconds} s",
        { topic: name, address, seconds: secondsSince(start, clock) },
      );
    });
    return "streaming";
  }
}
