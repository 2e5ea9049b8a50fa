// The relay's promise, over real sockets: whoever follows a topic, from when,
// with whatever client, gone and come back however often, is told every event
// once, in order, byte for byte, and then how it ended.
import { assertEquals } from "@std/assert";
import type { RelayOptions } from "../../relay/options/relay_options.ts";
import { startRelay } from "../support/relay/relay.ts";
import { RELAY_SHAPE } from "../support/relay/shape.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import {
  type Absence,
  ExpectedTopic,
  type Leaving,
  TopicReader,
} from "../support/subscribers/followed_topic.ts";
import { oddStream } from "../support/upstreams/odd_stream.ts";
import { seedOf } from "../support/property.ts";
import { Random } from "../support/random.ts";
import {
  readRecordings,
  recordingsMissing,
} from "../support/recordings/recordings.ts";
import { readReferenceBytes } from "../support/recordings/reference_events.ts";
import { SseSubscriber } from "../support/subscribers/sse_subscriber.ts";
import { cutAnywhere, Upstream } from "../support/upstreams/upstream.ts";
import { WebSocketSubscriber } from "../support/subscribers/websocket_subscriber.ts";
import { showSuppressed } from "../support/suppressed.ts";
import { LIMIT, until, within } from "../support/within.ts";

const WEBSOCKETS = 200;
const EVENT_STREAMS = 50;

type Subscriber = WebSocketSubscriber | SseSubscriber;

/** One thing that the upstream does: it makes events appear. */
interface Step {
  /** The smallest number of events after it. */
  readonly events: number;
  run(): Promise<void>;
}

/** A topic, and how it is filled. */
interface Feed {
  readonly topic: ExpectedTopic;
  /** Makes the source, if there is none yet. */
  begin(): Promise<void>;
  readonly steps: readonly Step[];
  /** Ends it; all events have been seen then. */
  end(): Promise<void>;
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(
    parts.reduce((length, part) => length + part.length, 0),
  );
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Recordings in a row, with what they do not have between them. */
function makeBody(
  recordings: readonly Uint8Array[],
  random: Random,
  atLeast: number,
): Uint8Array {
  const parts: Uint8Array[] = [];
  let number = 0;
  while (readReferenceBytes(concatenate(parts)).length < atLeast) {
    parts.push(random.pick(recordings));
    if (random.chance(0.6)) {
      parts.push(...random.shuffle(oddStream(++number)));
    }
  }
  parts.push(...oddStream(++number));
  return concatenate(parts);
}

/**
 * Returns the number of events complete after each chunk; a CR at its end may
 * hide one.
 */
function countEvents(chunks: readonly Uint8Array[]): number[] {
  const decoder = new TextDecoder();
  let events = 0;
  let rest = "";
  return chunks.map((chunk) => {
    const text = rest + decoder.decode(chunk, { stream: true });
    const known = text.replace(/\r$/, "").replace(/\r\n?/g, "\n");
    const end = known.lastIndexOf("\n\n") + 2;
    if (end < 2) {
      rest = text;
      return events;
    }
    for (const block of known.slice(0, end).split("\n\n")) {
      if (/(^|\n)data(:|\n|$)/.test(block)) events++;
    }
    rest = known.slice(end) + (text.endsWith("\r") ? "\r" : "");
    return events;
  });
}

function upstreamFeed(
  upstream: Upstream,
  topic: ExpectedTopic,
  chunks: readonly Uint8Array[],
  begin: () => Promise<void>,
  ending: "end" | "destroy" | "reset",
): Feed {
  const counts = countEvents(chunks);
  return {
    topic,
    begin,
    steps: chunks.map((chunk, index) => ({
      events: counts[index] ?? 0,
      run: async () => (await upstream.answer(topic.name)).write(chunk),
    })),
    async end() {
      const answer = await upstream.answer(topic.name);
      await answer.write(new TextEncoder().encode("id: 0\ndata: unfinished\n"));
      answer[ending]();
    },
  };
}

async function succeed(
  method: string,
  url: string,
  type: string,
  body: BodyInit,
  expected: number,
): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    method,
    body,
    headers: { "Content-Type": type },
  });
  const text = await response.text();
  assertEquals(response.status, expected, `${method} ${url}: ${text}`);
  return JSON.parse(text);
}

/** Publishes by `POST`: streams at random cuts, JSON and text. */
function publishedFeed(
  url: string,
  name: string,
  body: Uint8Array,
  random: Random,
  verdict: { status: string; reason?: string },
): Feed {
  const events: ServerSentEvent[] = [];
  const steps: Step[] = [];
  const post = (
    added: readonly ServerSentEvent[],
    type: string,
    makeBody: () => BodyInit,
  ) => {
    const first = events.length + 1;
    events.push(...added);
    const next = first + added.length;
    steps.push({
      events: events.length,
      async run() {
        const published = await succeed("POST", url, type, makeBody(), 200);
        // Only if no subscriber has reported it yet.
        topic.epoch ??= String(published["epoch"]);
        assertEquals(published, { epoch: topic.epoch, first, next });
      },
    });
  };
  const all = readReferenceBytes(body);
  for (let at = 0; at < all.length;) {
    const some = all.slice(at, at += random.integer(1, 40));
    if (random.chance(0.5)) {
      const json = some.length === 1 && random.chance(0.5) ? some[0] : some;
      post(some, "application/json", () => JSON.stringify(json));
    } else {
      const { data } = some[0]!; // one at least
      const added = [{ event: "message", data, id: "" }];
      post(added, "text/plain", () => data.replaceAll("\n", "\r\n"));
    }
    if (random.chance(0.3)) {
      const stream = concatenate(oddStream(at));
      const chunks = cutAnywhere(stream, random);
      post(
        readReferenceBytes(stream),
        "text/event-stream; charset=utf-8",
        () => ReadableStream.from(chunks),
      );
    }
  }
  const topic = new ExpectedTopic(name, events, verdict.status);
  return {
    topic,
    begin: () => Promise.resolve(),
    steps,
    async end() {
      const type = "application/json";
      const body = JSON.stringify(verdict);
      await succeed("POST", `${url}/end`, type, body, 200);
    },
  };
}

/**
 * The time at which a subscriber begins to follow a topic, counted in events
 * seen there by another.
 */
interface Arrival {
  readonly at: number;
  readonly reader: TopicReader;
  join(): void;
}

function planAbsences(random: Random, events: number): Absence[] {
  if (events === 0 || random.chance(0.4)) return [];
  const times = random.integer(1, 4);
  const ways: Leaving[] = ["close", "destroy", "unsubscribe"];
  return Array.from({ length: times }, () => ({
    at: random.integer(1, events),
    for: random.chance(0.3) ? 0 : random.integer(1, events),
    how: random.pick(ways),
  })).sort((a, b) => a.at - b.at);
}

function planArrival(random: Random, events: number): number {
  const kind = random.next();
  if (kind < 0.25) return 0;
  if (kind < 0.4 || events === 0) return Infinity;
  return random.integer(1, events);
}

class Audience implements AsyncDisposable {
  readonly subscribers: Subscriber[] = [];
  readonly arrivals = new Map<ExpectedTopic, Arrival[]>();
  /** Uses no connection twice: the relay may close an idle connection as a reader reuses it. */
  readonly #http = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });

  constructor(url: string, feeds: readonly Feed[], random: Random) {
    const topics = feeds.map(({ topic }) => topic);
    // A topic without events is over soon: few subscribers need to see that.
    const popular = topics.flatMap((topic) =>
      Array<ExpectedTopic>(topic.events.length > 0 ? 8 : 1).fill(topic)
    );
    const ws = url.replace(/^http/, "ws");
    for (const topic of topics) {
      const who = `witness of ${topic.name}`;
      const reader = new TopicReader(topic, who, [], true);
      const subscriber = new WebSocketSubscriber(who, [reader], {
        origin: ws,
        client: "ws",
        door: "one",
        returnsAfterEnd: false,
      });
      this.#add(subscriber, [0]);
    }
    while (this.subscribers.length < WEBSOCKETS) {
      const who = `subscriber ${this.subscribers.length}`;
      const door = random.chance(0.6) ? "one" : "many";
      const count = door === "one" ? 1 : random.integer(2, 4);
      const followed = new Set<ExpectedTopic>();
      while (followed.size < count) followed.add(random.pick(popular));
      const readers = [...followed].map((topic) =>
        new TopicReader(topic, who, planAbsences(random, topic.events.length))
      );
      const subscriber = new WebSocketSubscriber(who, readers, {
        origin: ws,
        client: random.chance(0.35) ? "native" : "ws",
        door,
        returnsAfterEnd: random.chance(0.2),
      });
      this.#add(
        subscriber,
        readers.map(({ topic }) => planArrival(random, topic.events.length)),
      );
    }
    const clients = [
      "readEvents",
      "readEvents",
      "text",
      "text",
      "raw",
    ] as const;
    for (let number = 0; number < EVENT_STREAMS; number++) {
      const who = `reader ${number}`;
      const topic = random.pick(popular);
      const client = number < 8 ? "EventSource" : random.pick(clients);
      const absences = client === "EventSource"
        ? []
        : planAbsences(random, topic.events.length);
      const reader = new TopicReader(topic, who, absences);
      const subscriber = new SseSubscriber(who, reader, {
        origin: url,
        client,
        positionIn: random.pick(["header", "query"]),
        http: this.#http,
      });
      this.#add(subscriber, [planArrival(random, topic.events.length)]);
    }
  }

  #add(subscriber: Subscriber, at: readonly number[]): void {
    this.subscribers.push(subscriber);
    for (const [index, reader] of subscriber.readers.entries()) {
      const arrivals = this.arrivals.get(reader.topic) ?? [];
      this.arrivals.set(reader.topic, arrivals);
      arrivals.push({
        at: at[index] ?? 0,
        reader,
        join: () => subscriber.join(reader),
      });
      arrivals.sort((a, b) => a.at - b.at);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    using _http = this.#http;
    await Promise.all(this.subscribers.map((each) => each.dispose()));
  }
}

/** Fills a topic, and lets subscribers come when it is their time. */
async function play(
  { topic, begin, steps, end }: Feed,
  arrivals: Arrival[],
  random: Random,
): Promise<void> {
  const arrive = (seen: number): Arrival[] => {
    const count = arrivals.findIndex(({ at }) => at > seen);
    const now = arrivals.splice(0, count < 0 ? arrivals.length : count);
    for (const { join } of now) join();
    return now;
  };
  const early = arrive(0).map(({ reader }) => reader.isThere);
  await within(early[0]!, LIMIT, `the witness of ${topic.name}`);
  await begin();
  for (const { events, run } of steps) {
    await run();
    if (topic.isAbandoned) return;
    const moment = arrivals[0]?.at ?? Infinity;
    if (moment > events) continue;
    await within(
      topic.reached(moment),
      LIMIT,
      () => `event ${moment} of ${topic.name}: the witness saw ${topic.seen}`,
    );
    const arrived = arrive(moment);
    // At times they are there before it goes on, at times they meet what comes.
    const [first] = arrived;
    if (first && random.chance(0.3)) {
      await Promise.race([first.reader.isThere, topic.reached(moment + 10)]);
    }
  }
  await within(
    topic.reached(topic.events.length),
    LIMIT,
    () => `all of ${topic.name}: the witness saw ${topic.seen}`,
  );
  if (topic.isAbandoned) return;
  arrive(topic.events.length);
  await end();
  await within(topic.reached(Infinity), LIMIT, `the end of ${topic.name}`);
  arrive(Infinity);
}

async function makeFeeds(
  upstream: Upstream,
  random: Random,
): Promise<{
  sources: { name: string; url: string; reconnect: false }[];
  feeds(url: string): Feed[];
}> {
  const recordings = [...(await readRecordings()).values()]
    .filter(({ length }) => length < 80_000);
  const sources: { name: string; url: string; reconnect: false }[] = [];
  const pending: ((relay: string) => Feed)[] = [];
  const put = async (relay: string, name: string, url: string) => {
    const body = JSON.stringify({ source: { url, reconnect: false } });
    const type = "application/json";
    await succeed("PUT", `${relay}/topics/${name}`, type, body, 201);
  };
  for (
    const [name, status, ending, made] of [
      ["clean", "complete", "end", "before"],
      ["cut", "truncated", "destroy", "before"],
      ["reset", "truncated", "reset", "put"],
      ["put", "complete", "end", "put"],
    ] as const
  ) {
    const parts = [makeBody(recordings, random, 300)];
    if (random.chance(0.5)) parts.unshift(Uint8Array.of(0xEF, 0xBB, 0xBF));
    const body = concatenate(parts);
    const topic = new ExpectedTopic(name, readReferenceBytes(body), status);
    const chunks = cutAnywhere(body, random);
    const url = upstream.add(name);
    if (made === "before") sources.push({ name, url, reconnect: false });
    pending.push((relay) =>
      upstreamFeed(
        upstream,
        topic,
        chunks,
        () => made === "put" ? put(relay, name, url) : Promise.resolve(),
        ending,
      )
    );
  }
  for (
    const [name, verdict] of [
      ["posted", { status: "cancelled" }],
      ["posted.failed", { status: "failed", reason: "it had to" }],
    ] as const
  ) {
    const body = makeBody(recordings, random, 250);
    const feedRandom = random.fork();
    pending.push((relay) =>
      publishedFeed(`${relay}/topics/${name}`, name, body, feedRandom, verdict)
    );
  }
  for (
    const [name, status, options] of [
      ["refused", "failed", { status: 500, body: "no" }],
      ["not-a-stream", "failed", {
        contentType: "text/html",
        body: "data: 1\n\n",
      }],
      ["nothing", "complete", { body: "" }],
    ] as const
  ) {
    const url = upstream.add(name, options);
    pending.push((relay) => ({
      topic: new ExpectedTopic(name, [], status),
      begin: () => put(relay, name, url),
      steps: [],
      end: () => Promise.resolve(),
    }));
  }
  return { sources, feeds: (relay) => pending.map((feed) => feed(relay)) };
}

async function assertNobodyIsLeft(
  url: string,
  feeds: readonly Feed[],
): Promise<void> {
  const count = async () => {
    const response = await fetch(`${url}/topics`);
    const { topics } = await response.json();
    return topics.map((topic: { name: string; subscribers: number }) =>
      `${topic.name}: ${topic.subscribers}`
    ).join();
  };
  const none = feeds.map(({ topic: { name } }) => name).sort()
    .map((name) => `${name}: 0`).join();
  let counted = "";
  await until(
    async () => (counted = await count()) === none || undefined,
    LIMIT,
    () => `all subscribers to be forgotten: ${counted}`,
  );
}

/** A relay, and how many there are above it: its topics live in the last one. */
const TREES = [
  {
    name: "Relay delivers every event once, in order, and then the end",
    levels: 0,
  },
  {
    name:
      "Relay delivers every event once, in order, and then the end, through a tree of three levels",
    levels: 3,
  },
];

/** Starts a relay whose topics live in another one, and so on. */
async function startTree(
  options: RelayOptions,
  levels: number,
): Promise<{ relays: AsyncDisposableStack; url: string }> {
  const relays = new AsyncDisposableStack();
  // Those above are of this process: only the one that is asked has another shape.
  const start = (options: RelayOptions, level: number) =>
    startRelay(options, level < levels ? "process" : RELAY_SHAPE);
  let { url } = relays.use(await start({ ...options, links: levels > 0 }, 0));
  for (let level = 1; level <= levels; level++) {
    const ofLevel = { ...options, sources: [], store: url, links: true };
    ({ url } = relays.use(await start(ofLevel, level)));
  }
  return { relays, url };
}

for (const { name, levels } of TREES) {
  Deno.test({
    name,
    ignore: recordingsMissing(name),
    fn: () =>
      showSuppressed(async () => {
        const random = new Random(seedOf(name));
        await using upstream = await Upstream.start();
        const { sources, feeds: makeAll } = await makeFeeds(
          upstream,
          random.fork(),
        );
        const { relays, url } = await startTree({
          port: 0,
          sources,
          rights: {
            allowSources: [upstream.origin],
            allowAddresses: ["127.0.0.0/8"],
          },
          // Nothing may be given up here: gaps are another test's.
          retention: {
            maxBytes: 64 * 1024 * 1024,
          },
          // Everybody comes at once, perhaps on a machine that is busy.
          limits: { headTimeout: LIMIT },
        }, levels);
        await using _relays = relays;
        const feeds = makeAll(url);
        await using audience = new Audience(url, feeds, random.fork());
        const started = performance.now();
        const { subscribers } = audience;
        const pending = new Set(subscribers);
        await within(
          Promise.all([
            ...subscribers.map(async (subscriber) => {
              await subscriber.done;
              pending.delete(subscriber);
            }),
            ...feeds.map((feed) =>
              play(feed, audience.arrivals.get(feed.topic) ?? [], random.fork())
            ),
          ]),
          2 * LIMIT,
          () =>
            `${pending.size} subscribers, such as: ${
              [...pending].slice(0, 5).map(({ state }) => state).join("; ")
            }`,
        );
        await assertNobodyIsLeft(url, feeds);

        const readers = subscribers.flatMap(({ readers }) => [...readers]);
        const seconds = (performance.now() - started) / 1_000;
        const total = (of: (reader: TopicReader) => number) =>
          readers.reduce((sum, reader) => sum + of(reader), 0);
        console.log(
          `${subscribers.length} subscribers followed ${feeds.length} topics ` +
            `${readers.length} times, left and came back ` +
            `${total(({ visits }) => visits - 1)} times, and saw ` +
            `${total(({ seen }) => seen)} events in ${seconds.toFixed(1)} s`,
        );
        // A plan that lets everybody in at the same time would show little.
        assertEquals(subscribers.length, WEBSOCKETS + EVENT_STREAMS);
      }),
  });
}
