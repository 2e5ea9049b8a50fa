/**
 * The callers and subscribers of the load, a process of their own. When all are
 * subscribed it says `subscribed`, and the callers ask; when all is over it says
 * the {@linkcode ClientCounts} as JSON.
 *
 * `clients.ts PORT RUNS DELTAS SUBSCRIBERS LIMIT NAME`: LIMIT in milliseconds.
 *
 * @module
 */
import { wallClock } from "../../../../bench/fanout/event.ts";
import { Sockets } from "../../../../bench/fanout/generator/sockets.ts";
import { Latencies } from "../../../../bench/fanout/generator/tally.ts";
import { upgradeRequest } from "../../http/upgrade_request.ts";
import { CallerReader } from "./caller_reader.ts";
import { LoadRun } from "./load_run.ts";
import type { Counts, Reader } from "./reader.ts";
import { SubscriberReader } from "./subscriber_reader.ts";

/** The counts of one kind of clients; latencies in milliseconds. */
export interface SideCounts {
  /** Events that came. */
  readonly events: number;
  /** Frames or chunks that brought them. */
  readonly messages: number;
  /** The number of clients that received everything. */
  readonly whole: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** The counts of all clients. */
export interface ClientCounts {
  readonly callers: SideCounts;
  readonly subscribers: SideCounts;
  /** From the first request to the last end, in seconds. */
  readonly seconds: number;
  /** The first things that should not be, in words. */
  readonly errors: readonly string[];
}

/**
 * The number of clients that wait for their upgrade at a time: less than a
 * server's backlog.
 */
const CONNECTING = 64;

/**
 * The time between two looks for anything that is waited for, in milliseconds.
 */
const TIMEOUT = 100;

const [name = "", ...numbers] = [...Deno.args].reverse();
const [limit = 0, each = 0, deltas = 0, runs = 0, port = 0] = numbers.map(
  Number,
);

/** Some clients, and what they have counted. */
class Side {
  readonly readers: Reader[] = [];
  readonly counts: Counts;
  readonly #latencies = new Latencies();

  constructor(errors: string[]) {
    this.counts = {
      events: 0,
      messages: 0,
      errors,
      onLatency: (latency) => this.#latencies.add(latency),
    };
  }

  /** Returns their counts. */
  said(length: number): SideCounts {
    const { events, messages } = this.counts;
    return {
      events,
      messages,
      whole:
        this.readers.filter(({ seen, isDone }) => isDone && seen === length)
          .length,
      p50: this.#latencies.percentile(0.5),
      p99: this.#latencies.percentile(0.99),
      max: this.#latencies.max,
    };
  }
}

const encoder = new TextEncoder();
const sockets = new Sockets();
const readers = new Map<number, Reader>();
const errors: string[] = [];
const callers = new Side(errors);
const subscribers = new Side(errors);
const end = performance.now() + limit;

function connect(side: Side, reader: Reader, request: string): void {
  const fd = sockets.connect(port);
  sockets.send(fd, encoder.encode(request));
  side.readers.push(reader);
  readers.set(fd, reader);
}

function onRead(fd: number, length: number): void {
  const reader = readers.get(fd);
  if (!reader) throw new Error("There was to be no such socket");
  reader.push(sockets.buffer.subarray(0, length), wallClock());
  if (reader.isDone) {
    readers.delete(fd);
    sockets.close(fd);
  } else if (reader instanceof SubscriberReader) {
    const pong = reader.takePong();
    if (pong) sockets.send(fd, pong);
  }
}

function onClose(fd: number): void {
  readers.get(fd)?.cut();
  readers.delete(fd);
  sockets.close(fd);
}

function pollUntil(isOver: () => boolean): void {
  while (!isOver()) {
    if (performance.now() > end) {
      errors.push(`It takes more than ${limit} ms`);
      return;
    }
    sockets.poll(TIMEOUT, onRead, onClose);
  }
}

const escaped = (data: string): string => JSON.stringify(data).slice(1, -1);
const waiting: SubscriberReader[] = [];
for (let run = 0; run < runs; run++) {
  const topic = `${name}-${run}`;
  const events = new LoadRun(topic, deltas, escaped);
  for (let index = 0; index < each; index++) {
    const who = `subscriber ${index} of ${topic}`;
    const reader = new SubscriberReader(
      who,
      topic,
      events,
      subscribers.counts,
    );
    connect(subscribers, reader, upgradeRequest(`/topics/${topic}`));
    waiting.push(reader);
    if (waiting.length === CONNECTING) {
      pollUntil(() => waiting.every(({ isOpen }) => isOpen));
      waiting.length = 0;
    }
  }
}
pollUntil(() => waiting.every(({ isOpen }) => isOpen));
console.log("subscribed");

const begin = performance.now();
for (let run = 0; run < runs; run++) {
  const topic = `${name}-${run}`;
  const body = JSON.stringify({
    model: topic,
    stream: true,
    messages: [{ role: "user", content: "Count, and say the time" }],
  });
  const reader = new CallerReader(
    `caller of ${topic}`,
    new LoadRun(topic, deltas),
    callers.counts,
  );
  connect(
    callers,
    reader,
    [
      "POST /v1/chat/completions HTTP/1.1",
      "Host: localhost",
      "Content-Type: application/json",
      `Content-Length: ${body.length}`,
      `Rivulet-Topic: ${topic}`,
      "",
      body,
    ].join("\r\n"),
  );
}
pollUntil(() => readers.size === 0);
const { length } = new LoadRun("", deltas);
const counts: ClientCounts = {
  callers: callers.said(length),
  subscribers: subscribers.said(length),
  seconds: (performance.now() - begin) / 1_000,
  errors,
};
console.log(JSON.stringify(counts));
Deno.exit(0);
