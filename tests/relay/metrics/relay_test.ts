// The values at /metrics after traffic in which every number is known.
import { assert, assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import type { Topic } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { messages } from "../../support/delivery/delivery_world.ts";
import { Exposition } from "../../support/observing/exposition.ts";
import { LIMIT, startGateway } from "../../support/gateway/gateway_world.ts";
import {
  makeFrame,
  OPCODE,
  RawClient,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";
import {
  numbered,
  ReconnectingUpstream,
} from "../../support/upstreams/reconnecting_upstream.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { until, within } from "../../support/within.ts";

async function readMetrics(
  { request }: Pick<TestRelay, "request">,
): Promise<Exposition> {
  const response = await request("/metrics");
  const text = await response.text();
  assertEquals(response.status, 200, text);
  assertEquals(
    response.headers.get("content-type"),
    "text/plain; version=0.0.4; charset=utf-8",
  );
  return new Exposition(text);
}

/** Waits until a number is there. */
function untilMetric(
  relay: Pick<TestRelay, "request">,
  name: string,
  labels: Readonly<Record<string, string>>,
  value: number,
): Promise<Exposition> {
  let seen: number | undefined;
  return until(
    async () => {
      const metrics = await readMetrics(relay);
      seen = metrics.value(name, labels);
      return seen === value ? metrics : undefined;
    },
    LIMIT,
    () => `${name} ${JSON.stringify(labels)} to be ${value}: it is ${seen}`,
  );
}

/** Reads a WebSocket to its end: the messages but for the welcome, and their bytes as frames. */
async function readSocket(
  socket: RawWebSocket,
): Promise<{ types: string[]; bytes: number }> {
  const types: string[] = [];
  let bytes = 0;
  for (;;) {
    const frame = await socket.frame();
    if (!frame || frame.opcode === OPCODE.close) return { types, bytes };
    if (frame.opcode !== OPCODE.text) continue;
    const { type } = JSON.parse(Buffer.from(frame.payload).toString());
    if (type === "welcome") continue;
    types.push(type);
    // the mask of four bytes is a client's alone
    bytes += makeFrame(frame.opcode, frame.payload).length - 4;
  }
}

Deno.test("Metrics have exactly what was delivered through both doors", async () => {
  await using relay = await startRelay();
  const { relay: { topics }, url } = relay;
  const topic = topics.create("t");
  topic.append(messages(1, 40));
  const sockets: RawWebSocket[] = [];
  for (let count = 0; count < 3; count++) {
    sockets.push(await RawWebSocket.open(url, "/topics/t"));
  }
  const raw = relay.request("/topics/t?raw", {
    headers: { Accept: "text/event-stream" },
  });
  const stream = relay.request("/topics/t?after=now", {
    headers: { Accept: "text/event-stream" },
  });
  const streams = await Promise.all([raw, stream]);
  const open = await readMetrics(relay);
  const door = (name: string, seen: Exposition): unknown =>
    seen.by(`rivulet_${name}`, "door");
  assertEquals(door("connections", open), { websocket: 3, sse: 2 });
  assertEquals(door("subscriptions", open), { websocket: 3, sse: 2 });
  assertEquals(open.by("rivulet_topics", "state"), {
    pending: 0,
    open: 1,
    ended: 0,
  });
  assertEquals(open.value("rivulet_log_events"), 40);
  assertEquals(
    open.value("rivulet_log_bytes"),
    9 * "message1".length + 31 * "message10".length,
  );

  topic.append(messages(41, 50));
  topic.end("complete");
  const read = await Promise.all(sockets.map(readSocket));
  const texts = await Promise.all(streams.map((answer) => answer.text()));
  for (const socket of sockets) await socket[Symbol.asyncDispose]();
  const seen = await untilMetric(
    relay,
    "rivulet_connections",
    { door: "websocket" },
    0,
  );
  assertEquals(door("connections_opened_total", seen), {
    websocket: 3,
    sse: 2,
  });
  assertEquals(door("subscriptions", seen), { websocket: 0, sse: 0 });
  assertEquals(door("subscriptions_begun_total", seen), {
    websocket: 3,
    sse: 2,
  });
  assertEquals(door("delivered_events_total", seen), {
    websocket: 3 * 50,
    sse: 50 + 10,
  });
  assertEquals(door("delivered_bytes_total", seen), {
    websocket: read.reduce((sum, { bytes }) => sum + bytes, 0),
    sse: texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0),
  });
  assertEquals(
    seen.value("rivulet_delivered_messages_total", { door: "websocket" }),
    read.reduce((sum, { types }) => sum + types.length, 0),
  );
  assertEquals(
    seen.value("rivulet_topic_ends_total", { status: "complete" }),
    1,
  );
  const gaps = seen.families.get("rivulet_gaps_total")!.samples; // it has all series
  assert(gaps.every(({ value }) => value === 0));
});

Deno.test("Metrics have what was published, through both doors", async () => {
  await using relay = await startRelay();
  const post = async (
    type: string,
    body: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<number> => {
    const response = await relay.request("/topics/p", {
      method: "POST",
      headers: { "Content-Type": type, ...headers },
      body,
    });
    await response.body?.cancel();
    return response.status;
  };
  const key = { "Idempotency-Key": "k" };
  assertEquals(await post("text/plain", "é€"), 200);
  assertEquals(
    await post("application/json", '[{"data":"a"},{"data":"bc"}]'),
    200,
  );
  assertEquals(
    await post("text/event-stream", "data: x\n\ndata: y\n\n", key),
    200,
  );
  assertEquals(
    await post("text/event-stream", "data: x\n\ndata: y\n\n", key),
    200,
  );
  assertEquals(await post("application/json", "{}"), 400);
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.say({
    type: "publish",
    topic: "p",
    events: [{ data: "four" }, { data: "5" }],
  });
  await socket.message("published");
  const seen = await readMetrics(relay);
  assertEquals(seen.by("rivulet_published_events_total", "door"), {
    http: 1 + 2 + 2,
    websocket: 2,
  });
  assertEquals(seen.by("rivulet_published_bytes_total", "door"), {
    http: 5 + 3 + 2,
    websocket: 5,
  });
  assertEquals(seen.value("rivulet_log_events"), 7);
});

Deno.test("Metrics have what was refused, by its code and by nothing that a client says", async () => {
  await using relay = await startRelay({ limits: { maxSubscriptions: 1 } });
  const hostile = 'x"}\\n';
  const refused = async (path: string, init?: RequestInit): Promise<void> => {
    const response = await relay.request(path, init);
    await response.body?.cancel();
    assert(response.status >= 400);
  };
  const before = (await readMetrics(relay)).labelValues;
  await refused(`/topics/${encodeURIComponent(hostile)}`, {
    headers: { Accept: "text/event-stream" },
  });
  await refused("/topics/unknown", { method: "DELETE" });
  await refused("/topics/unknown", { method: "DELETE" });
  await refused(`/${encodeURIComponent(hostile)}`);
  await refused("/topics/t?after=nowhere", {
    headers: { Accept: "text/event-stream" },
  });
  await RawWebSocket.open(relay.url, "/nowhere").catch(() => {});
  await using socket = await RawWebSocket.open(relay.url, "/topics/t");
  await socket.say({ type: "subscribe", topic: "u" });
  await socket.message("error");
  await socket.say({ type: hostile });
  await socket.message("error");
  const seen = await readMetrics(relay);
  const reasons = Object.entries(seen.by("rivulet_refusals_total", "reason"))
    .filter(([, value]) => value > 0);
  assertEquals(Object.fromEntries(reasons), {
    invalid_topic: 1,
    unknown_topic: 2,
    not_found: 2,
    invalid_position: 1,
    too_many_subscriptions: 1,
    unknown_type: 1,
  });
  assertEquals(seen.labelValues, before);
});

/** A relay for readers that take nothing, and more than all buffers between take. */
function startSlow(
  clock: FakeClock,
  onSlow: "close" | "gap",
): Promise<TestRelay> {
  return startRelay({
    clock,
    delivery: { slowTimeout: 1_000, heartbeat: 3_600_000, onSlow },
    retention: { maxBytes: 1 << 30 },
  });
}

function flood(topic: Topic): void {
  const data = "x".repeat(64 * 1024);
  for (let count = 0; count < 400; count++) {
    topic.append([{ event: "message", data, id: "" }]);
  }
}

const READERS = {
  websocket: async ({ url }: TestRelay): Promise<RawClient> => {
    const socket = await RawWebSocket.open(url, "/topics/t");
    await socket.message("live");
    return socket.client;
  },
  sse: async ({ url }: TestRelay): Promise<RawClient> => {
    const client = await RawClient.connect(url);
    await client.send(
      `GET /topics/t HTTP/1.1\r\nHost: ${
        new URL(url).host
      }\r\nAccept: text/event-stream\r\n\r\n`,
    );
    return client;
  },
};

for (const door of ["websocket", "sse"] as const) {
  Deno.test(`Metrics have a connection that was closed as it was slow, once: ${door}`, async () => {
    const clock = new FakeClock();
    await using relay = await startSlow(clock, "close");
    const topic = relay.relay.topics.create("t");
    topic.open();
    await using client = await READERS[door](relay);
    await untilMetric(relay, "rivulet_subscriptions", { door }, 1);
    client.pause();
    flood(topic);
    const closes = async (): Promise<Record<string, number>> => {
      await clock.advance(500);
      return (await readMetrics(relay)).by("rivulet_slow_closes_total", "door");
    };
    await until(
      async () => (await closes())[door] === 0 ? undefined : true,
      LIMIT,
      "the slow one to be closed",
    );
    await clock.advance(60_000);
    assertEquals(await closes(), { websocket: 0, sse: 0, [door]: 1 });
  });
}

Deno.test("Metrics have the lag of a reader that takes nothing, and its gap", async () => {
  const clock = new FakeClock();
  await using relay = await startSlow(clock, "gap");
  const topic = relay.relay.topics.create("t");
  topic.open();
  const door = "websocket";
  await using client = await READERS[door](relay);
  client.pause();
  flood(topic);
  await until(
    async () => {
      await clock.advance(1_000);
      const seen = await readMetrics(relay);
      const lag = seen.value("rivulet_lag_seconds_sum", { door });
      const events = seen.value("rivulet_lag_events_sum", { door });
      return lag > 0 && events > 0 ? true : undefined;
    },
    LIMIT,
    "the lag to be seen",
  );
  client.resume();
  const reason = "slow";
  await untilMetric(relay, "rivulet_gaps_total", { door, reason }, 1);
});

Deno.test("Metrics have each attempt at an upstream, and how it is", async () => {
  await using upstream = await ReconnectingUpstream.start(
    async ({ write, drop }) => {
      await write(numbered(1, 2));
      drop();
    },
    ({ refuse }) => refuse(503),
    ({ write }) => write(numbered(3, 4)),
  );
  await using relay = await startRelay({
    sources: [{
      name: "t",
      url: upstream.url,
      reconnect: { minTimeout: 2, maxTimeout: 5 },
    }],
  });
  const seen = await untilMetric(
    relay,
    "rivulet_upstream_attempts_total",
    { outcome: "opened" },
    2,
  );
  assertEquals(seen.by("rivulet_upstream_attempts_total", "outcome"), {
    opened: 2,
    failed: 1,
  });
  assertEquals(seen.by("rivulet_upstreams", "state"), {
    connecting: 0,
    open: 1,
    retrying: 0,
    lost: 0,
  });
});

Deno.test("Metrics have an upstream that is lost, with its last attempts, and no file among them", async () => {
  await using upstream = await ReconnectingUpstream.start(
    async ({ write, drop }) => {
      await write(numbered(1, 2));
      drop();
    },
    ({ refuse }) => refuse(503),
  );
  const reconnect = { minTimeout: 2, maxTimeout: 5, maxAttempts: 3 };
  await using relay = await startRelay({
    sources: [{ name: "t", url: upstream.url, reconnect }],
    fixtures: [{ name: "demo", path: "fixtures/demo.sse", loop: true }],
  });
  const topic = relay.relay.topics.get("t");
  await within(topic!.ended, LIMIT, "the upstream to be lost"); // it is a source's
  const seen = await readMetrics(relay);
  assertEquals(seen.by("rivulet_upstreams", "state"), {
    connecting: 0,
    open: 0,
    retrying: 0,
    lost: 1,
  });
  assertEquals(seen.by("rivulet_upstream_attempts_total", "outcome"), {
    opened: 1,
    failed: upstream.given.length - 1,
  });
});

Deno.test("Metrics have runs, by what became of them", async () => {
  await using world = await startGateway();
  const asked = { headers: { "Rivulet-Topic": "run" } };
  const { exchange, answer } = await world.begin(asked);
  assertEquals((await readMetrics(world)).value("rivulet_runs"), 1);
  await exchange.stream("data: [DONE]\n\n");
  await exchange.end();
  await (await answer).rest();
  await world.ended("run");
  const refused = await world.begin();
  await refused.exchange.head(400, { "content-type": "application/json" });
  await refused.exchange.end();
  await (await refused.answer).rest();
  const seen = await untilMetric(world, "rivulet_runs", {}, 0);
  const counted = (name: string): unknown =>
    Object.fromEntries(
      Object.entries(seen.by(name, "outcome")).filter(([, value]) => value > 0),
    );
  const { status } = await world.topic("run").ended;
  assertEquals(counted("rivulet_runs_ended_total"), {
    [status]: 1,
    refused: 1,
  });
  assertEquals(counted("rivulet_provider_attempts_total"), {
    stream: 1,
    refused: 1,
  });
});

Deno.test("Metrics are told while 1,000 subscriptions are served", async () => {
  await using relay = await startRelay({ limits: { maxSubscriptions: 1_000 } });
  const topics = Array.from(
    { length: 500 },
    (_, index) => relay.relay.topics.create(`t${index}`),
  );
  const sockets = await Promise.all(
    [1, 2].map(() => RawWebSocket.open(relay.url, "/ws")),
  );
  for (const socket of sockets) {
    for (const { name } of topics) {
      await socket.say({ type: "subscribe", topic: name });
    }
  }
  const door = "websocket";
  await untilMetric(relay, "rivulet_subscriptions", { door }, 1_000);
  for (const topic of topics) topic.append(messages(1, 2));
  const seen = await untilMetric(
    relay,
    "rivulet_delivered_events_total",
    { door },
    2_000,
  );
  const names = new Set(topics.map(({ name }) => name));
  for (const label of seen.labelValues) assert(!names.has(label), label);
  for (const socket of sockets) await socket[Symbol.asyncDispose]();
  await untilMetric(relay, "rivulet_subscriptions", { door }, 0);
});

Deno.test("Metrics of two relays in one process have nothing in common", async () => {
  await using one = await startRelay();
  await using other = await startRelay();
  one.relay.topics.create("t").end("failed");
  await within(one.relay.topics.create("t").ended, LIMIT, "the end");
  const status = { status: "failed" };
  await untilMetric(one, "rivulet_topic_ends_total", status, 1);
  const seen = await readMetrics(other);
  assertEquals(seen.value("rivulet_topic_ends_total", status), 0);
  assertEquals(seen.by("rivulet_topics", "state"), {
    pending: 0,
    open: 0,
    ended: 0,
  });
});
