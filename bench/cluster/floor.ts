/**
 * The same ranges of events, published by a bare client of NATS: what no relay can do
 * faster.
 *
 * @module
 */
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import {
  jetstream,
  type JetStreamClient,
  jetstreamManager,
} from "@nats-io/jetstream";
import {
  HEADER,
  writeEvents,
  writeHeader,
} from "../../relay/stores/jetstream/log_message.ts";
import { LIMIT, within } from "../../tests/support/within.ts";
import {
  type FullSpeed,
  type Latency,
  latencyOf,
  PUBLISHERS,
} from "./loads.ts";

const STREAM = "floor";

/** The time between two publications of a bare client, in milliseconds. */
const INTERVAL = 10;

/**
 * Publishes ranges of events at a rate, fenced, to another bare client that hears what is
 * stored; returns how long each range took.
 *
 * @param servers The addresses of the NATS servers.
 * @param rate The events of a second.
 * @param seconds The duration.
 */
export async function bareLatency(
  servers: readonly string[],
  rate: number,
  seconds: number,
): Promise<Latency> {
  const times: number[] = [];
  await withStream(servers, async (nats) => {
    const other = await connect({ servers: [...servers] });
    try {
      const js = jetstream(nats);
      let sentAt = 0;
      let heard = Promise.withResolvers<void>();
      other.subscribe(`${STREAM}.live.0`, {
        callback: () => {
          times.push(performance.now() - sentAt);
          heard.resolve();
        },
      });
      await other.flush();
      const count = Math.max(1, Math.round(rate * INTERVAL / 1_000));
      const pause = count * 1_000 / rate;
      let after = 0;
      const end = performance.now() + seconds * 1_000;
      while (performance.now() < end) {
        sentAt = performance.now();
        heard = Promise.withResolvers();
        after = await publish(js, 0, count, after);
        await within(heard.promise, LIMIT, "a message that was stored");
        const due = Math.max(0, sentAt + pause - performance.now());
        await new Promise((resolve) => setTimeout(resolve, due));
      }
    } finally {
      await other.close();
    }
  });
  return latencyOf(times);
}

/**
 * Publishes ranges as relays write them, fenced, as many at a time as there are
 * publishers; returns the events that were acknowledged a second.
 *
 * @param servers The addresses of the NATS servers.
 * @param load The topics, and the events of a message.
 */
export async function bareThroughput(
  servers: readonly string[],
  load: FullSpeed,
): Promise<number> {
  return await withStream(
    servers,
    (nats) => publishAll(jetstream(nats), load),
  );
}

/** Does something with a stream that is like that of relays. */
async function withStream<T>(
  servers: readonly string[],
  use: (nats: NatsConnection) => Promise<T>,
): Promise<T> {
  const nats = await connect({ servers: [...servers] });
  try {
    const manager = await jetstreamManager(nats);
    await manager.streams.add({
      name: STREAM,
      subjects: [`${STREAM}.log.*`],
      republish: {
        src: `${STREAM}.log.*`,
        dest: `${STREAM}.live.{{wildcard(1)}}`,
      },
      storage: "file",
      num_replicas: servers.length,
    });
    try {
      return await use(nats);
    } finally {
      await manager.streams.delete(STREAM);
    }
  } finally {
    await nats.close();
  }
}

/** Publishes a range behind another message of its subject; returns its place. */
async function publish(
  js: JetStreamClient,
  topic: number,
  count: number,
  after: number,
): Promise<number> {
  const event = { event: "message", data: "x".repeat(120), id: "" };
  const events = Array.from({ length: count }, () => event);
  const all = headers();
  all.set(HEADER, writeHeader({ v: 1, after, at: 1, time: Date.now(), count }));
  const { seq } = await js.publish(
    `${STREAM}.log.${topic}`,
    writeEvents(events),
    {
      headers: all,
      msgID: crypto.randomUUID(),
      expect: { lastSubjectSequence: after },
    },
  );
  return seq;
}

async function publishAll(
  js: JetStreamClient,
  { count, batch, seconds }: FullSpeed,
): Promise<number> {
  const start = performance.now();
  const end = start + seconds * 1_000;
  let acknowledged = 0;
  await Promise.all(Array.from({ length: PUBLISHERS }, async (_, index) => {
    const places = new Map<number, number>();
    // Each topic has one message under way, as those of relays do.
    for (let at = index; at < count && performance.now() < end;) {
      const topic = at;
      at = at + PUBLISHERS < count ? at + PUBLISHERS : index;
      const after = places.get(topic) ?? 0;
      places.set(topic, await publish(js, topic, batch, after));
      acknowledged += batch;
    }
  }));
  return acknowledged / (performance.now() - start) * 1_000;
}
