/**
 * Delivery without a network: peers that read when they are told to.
 *
 * @module
 */
import { assertEquals, AssertionError } from "@std/assert";
import { z } from "zod";
import type { Format } from "../../../relay/delivery/format.ts";
import { FrameCache } from "../../../relay/delivery/frames.ts";
import { Pump } from "../../../relay/delivery/pump.ts";
import {
  type Sink,
  type SlowReaders,
  Subscriber,
} from "../../../relay/delivery/subscriber.ts";
import {
  type Delivery,
  Subscription,
} from "../../../relay/delivery/subscription.ts";
import type { LogRange } from "../../../relay/topics/log.ts";
import type { After } from "../../../relay/topics/position.ts";
import { DEFAULT_RETENTION } from "../retention.ts";
import type { Retention } from "../../../relay/topics/log.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { turns as eventLoopTurns } from "../../../src/testing/turns.ts";

const said = z.looseObject({ type: z.string() });
type Said = z.infer<typeof said>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One JSON object a write; counts how often a range is joined. */
class JsonFormat implements Format {
  /**
   * The chunks that were made: a chunk that is only lent is lost when its
   * memory is needed.
   */
  readonly #made: Uint8Array[] = [];

  get joined(): number {
    return this.#made.length;
  }
  events(topic: Topic, { offset, entries }: LogRange): Uint8Array {
    const events = entries.map(({ event }) => event.data);
    const bytes = encoder.encode(
      JSON.stringify({ type: "events", topic: topic.name, offset, events }),
    );
    this.#made.push(bytes);
    return bytes;
  }
  message(message: unknown): Uint8Array {
    return encoder.encode(JSON.stringify(message));
  }
  heartbeat(): Uint8Array {
    return encoder.encode(`{"type":"heartbeat"}`);
  }
}

/** A peer that reads when it is told to. */
export class Peer implements Sink {
  readonly said: Said[] = [];
  reads = true;
  #done: (() => void) | undefined;

  write(bytes: Uint8Array, done: () => void): void {
    assertEquals(this.#done, undefined, "one write under way at a time");
    this.said.push(said.parse(JSON.parse(decoder.decode(bytes))));
    if (this.reads) queueMicrotask(done);
    else this.#done = done;
  }

  /** Reads what is under way, and no more. */
  readOne(): void {
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }

  types(): string[] {
    return this.said.map(({ type }) => type);
  }

  data(): unknown[] {
    return this.said.flatMap(({ events }) => events ?? []);
  }
}

/** A pump, and all that is woken by it. */
export class World implements Disposable {
  readonly clock = new FakeClock();
  readonly pump = new Pump();
  readonly format = new JsonFormat();
  readonly frames = new FrameCache(this.format);
  readonly ended: string[] = [];
  readonly errors: unknown[] = [];
  /** The number of times that a subscriber was too slow to be kept. */
  slow = 0;

  topic(name = "t", retention: Partial<Retention> = {}): Topic {
    const log = new MemoryLog(
      { ...DEFAULT_RETENTION, ...retention },
      this.clock,
    );
    return new Topic(name, log, this.clock);
  }

  subscriber(sink: Sink, slow?: SlowReaders): Subscriber {
    return new Subscriber(sink, this.pump, {
      onEnd: ({ topic }) => this.ended.push(topic.name),
      onError: (error) => {
        // A failed assertion of this world's peer is not an error of delivery.
        if (error instanceof AssertionError) throw error;
        this.errors.push(error);
      },
      onSlow: () => this.slow++,
    }, slow);
  }

  subscription(
    topic: Topic,
    after: After = "start",
    delivery: Delivery = {},
  ): Subscription {
    return new Subscription(topic, after, this.format, this.frames, delivery);
  }

  /** A peer of its own for one subscription. */
  follow(topic: Topic, after: After = "start"): Peer {
    const peer = new Peer();
    this.subscriber(peer).add(this.subscription(topic, after));
    return peer;
  }

  [Symbol.dispose](): void {
    this.pump[Symbol.dispose]();
  }
}

/** Events with their own offsets as data. */
export function messages(from: number, to: number): ServerSentEvent[] {
  return Array.from(
    { length: to - from + 1 },
    (_, index) => ({ event: "message", data: String(from + index), id: "" }),
  );
}

/** The data of them. */
export function numbers(from: number, to: number): string[] {
  return messages(from, to).map(({ data }) => data);
}

/** Lets the pump have its turns. */
export function turns(count = 200): Promise<void> {
  return eventLoopTurns(count);
}
