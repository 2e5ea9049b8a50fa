/**
 * The loads of a cluster. Each of them checks that everything has arrived.
 *
 * @module
 */
import { BenchPublisher, BenchSubscriber } from "./clients.ts";
import type { Relays } from "./relays.ts";

/** The time between two publications, in milliseconds. */
const INTERVAL = 10;

/** The publishers at full speed. */
export const PUBLISHERS = 24;

/** The subscribers that connect at a time. */
const AT_A_TIME = 50;

let topics = 0;

function freshTopic(): string {
  return `bench-${++topics}`;
}

function portOf({ all }: Relays, index: number): number {
  return all[index % all.length]!.port; // there is one at least
}

/** Publishes at a rate for a while; returns the number of events. */
async function publishAt(
  publisher: BenchPublisher,
  topic: string,
  rate: number,
  seconds: number,
): Promise<number> {
  const start = performance.now();
  let sent = 0;
  for (;;) {
    const elapsed = performance.now() - start;
    if (elapsed >= seconds * 1_000) return sent;
    const count = Math.floor(rate * elapsed / 1_000) + 1 - sent;
    if (count > 0) {
      await publisher.publish(topic, count);
      sent += count;
    }
    const due = INTERVAL - (performance.now() - start) % INTERVAL;
    await new Promise((resolve) => setTimeout(resolve, due));
  }
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor((sorted.length - 1) * share)] ?? NaN;
}

/** The time from a publisher at one relay to a subscriber at another, in milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

/** Measures latency. */
export async function latency(
  relays: Relays,
  rate: number,
  seconds: number,
): Promise<Latency> {
  const topic = freshTopic();
  await using publisher = await BenchPublisher.open(portOf(relays, 0));
  await using subscriber = await BenchSubscriber.open(
    portOf(relays, 1),
    topic,
    true,
  );
  // Code that is compiled at first is not measured.
  const early = await publishAt(publisher, topic, rate, seconds / 4);
  await subscriber.has(early);
  const sent = await publishAt(publisher, topic, rate, seconds);
  await subscriber.has(early + sent);
  return latencyOf(subscriber.latencies.slice(early));
}

/** Sums up how long events took. */
export function latencyOf(times: readonly number[]): Latency {
  const sorted = times.toSorted((a, b) => a - b);
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
}

/** Publications at full speed. */
export interface FullSpeed {
  /** The number of topics. */
  readonly count: number;
  /** The events of a publication. */
  readonly batch: number;
  readonly seconds: number;
}

/** The result of a load at full speed. */
export interface Throughput {
  /** The events that were acknowledged a second. */
  readonly rate: number;
  /** The processor time of all relays for an event, in microseconds. */
  readonly cpu: number;
}

/** Measures how many events are acknowledged a second, by publishers at all relays. */
export async function throughput(
  relays: Relays,
  { count, batch, seconds }: FullSpeed,
): Promise<Throughput> {
  const names = Array.from({ length: count }, freshTopic);
  await using stack = new AsyncDisposableStack();
  const publishers: BenchPublisher[] = [];
  for (let index = 0; index < PUBLISHERS; index++) {
    const port = portOf(relays, index);
    publishers.push(stack.use(await BenchPublisher.open(port)));
  }
  const each = async (
    work: (publisher: BenchPublisher, name: string) => Promise<boolean>,
  ): Promise<void> => {
    await Promise.all(publishers.map(async (publisher, index) => {
      for (let at = index;; at += PUBLISHERS) {
        if (!await work(publisher, names[at % count]!)) return; // of the names
      }
    }));
  };
  // The topics are made before.
  const made = new Set<string>();
  await each(async (publisher, name) => {
    if (made.has(name)) return false;
    made.add(name);
    await publisher.publish(name, 1);
    return true;
  });
  for (const publisher of publishers) publisher.acknowledged = 0;
  const cpu = cpuOf(relays);
  const start = performance.now();
  const end = start + seconds * 1_000;
  await each(async (publisher, name) => {
    await publisher.publish(name, batch);
    return performance.now() < end;
  });
  const acknowledged = publishers.reduce(
    (sum, publisher) => sum + publisher.acknowledged,
    0,
  );
  const took = (performance.now() - start) / 1_000;
  const used = (cpuOf(relays) - cpu) / acknowledged * 1e6;
  const kept = await countOf(relays, names) - made.size;
  if (kept !== acknowledged) {
    throw new Error(`${kept} events are kept, of ${acknowledged}`);
  }
  return { rate: acknowledged / took, cpu: used };
}

/** The processor time of relays until now, in seconds. */
function cpuOf({ all }: Relays): number {
  return all.reduce((sum, { process }) => sum + process.usage().cpu, 0);
}

async function countOf(
  relays: Relays,
  names: readonly string[],
): Promise<number> {
  let count = 0;
  for (const name of names) {
    const url = `http://127.0.0.1:${portOf(relays, 1)}/topics/${name}`;
    const response = await fetch(url, { method: "HEAD" });
    const next = response.headers.get("rivulet-next");
    if (next === null) throw new Error(`${name}: ${response.status}`);
    count += Number(next) - 1;
  }
  return count;
}

/** The deliveries of a relay, and their cost. */
export interface FanOut {
  /** The deliveries of a relay in a second. */
  readonly delivered: number;
  /** The processor time of a million deliveries, in seconds. */
  readonly cpuPerMillion: number;
}

/** Measures deliveries to subscribers of one topic at each relay. */
export async function fanOut(
  relays: Relays,
  { subscribers: each, rate, seconds }: {
    readonly subscribers: number;
    readonly rate: number;
    readonly seconds: number;
  },
): Promise<FanOut> {
  const topic = freshTopic();
  await using stack = new AsyncDisposableStack();
  const publisher = stack.use(await BenchPublisher.open(portOf(relays, 0)));
  await publisher.publish(topic, 1);
  const subscribers: BenchSubscriber[] = [];
  const wanted = each * relays.all.length;
  while (subscribers.length < wanted) {
    const some = Math.min(AT_A_TIME, wanted - subscribers.length);
    const opened = await Promise.all(
      Array.from({ length: some }, (_, index) => {
        const port = portOf(relays, subscribers.length + index);
        return BenchSubscriber.open(port, topic, false);
      }),
    );
    for (const one of opened) subscribers.push(stack.use(one));
  }
  for (const one of subscribers) await one.has(1);
  const before = cpuOf(relays);
  const start = performance.now();
  const sent = await publishAt(publisher, topic, rate, seconds);
  for (const one of subscribers) await one.has(1 + sent);
  const took = (performance.now() - start) / 1_000;
  const deliveries = sent * wanted;
  return {
    delivered: deliveries / relays.all.length / took,
    cpuPerMillion: (cpuOf(relays) - before) / deliveries * 1e6,
  };
}
