/**
 * The same ranges of events, published by a bare client of NATS: what no relay can do
 * faster.
 *
 * @module
 */
import { connect, headers } from "@nats-io/transport-node";
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
import { type FullSpeed, PUBLISHERS } from "./loads.ts";

const STREAM = "floor";

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
      return await publishAll(jetstream(nats), load);
    } finally {
      await manager.streams.delete(STREAM);
    }
  } finally {
    await nats.close();
  }
}

async function publishAll(
  js: JetStreamClient,
  { count, batch, seconds }: FullSpeed,
): Promise<number> {
  const event = { event: "message", data: "x".repeat(120), id: "" };
  const events = Array.from({ length: batch }, () => event);
  const start = performance.now();
  const end = start + seconds * 1_000;
  let acknowledged = 0;
  await Promise.all(Array.from({ length: PUBLISHERS }, async (_, index) => {
    const places = new Map<string, number>();
    // Each topic has one message under way, as those of relays do.
    for (let at = index; at < count && performance.now() < end;) {
      const subject = `${STREAM}.log.${at}`;
      at = at + PUBLISHERS < count ? at + PUBLISHERS : index;
      const after = places.get(subject) ?? 0;
      const all = headers();
      all.set(
        HEADER,
        writeHeader({ v: 1, after, at: 1, time: Date.now(), count: batch }),
      );
      const { seq } = await js.publish(subject, writeEvents(events), {
        headers: all,
        msgID: crypto.randomUUID(),
        expect: { lastSubjectSequence: after },
      });
      places.set(subject, seq);
      acknowledged += batch;
    }
  }));
  return acknowledged / (performance.now() - start) * 1_000;
}
