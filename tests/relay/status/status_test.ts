// The answer of GET /status after traffic in which every number is known.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { RelayStatus } from "../../../relay/status/relay_status.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { VERSION } from "../../../src/version.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { lacksNats, NatsServer } from "../../support/nats/nats_server.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";
import { LIMIT, until } from "../../support/within.ts";

async function statusOf(
  relay: Pick<TestRelay, "request">,
): Promise<RelayStatus> {
  const response = await relay.request("/status");
  assertEquals(response.headers.get("cache-control"), "no-store");
  return await response.json();
}

Deno.test("GET /status counts what goes on, and how fast", async () => {
  const clock = new FakeClock(Date.now());
  await using world = await startGateway({ clock });
  const { topics } = world.relay;
  await clock.advance(1_000);
  const start = await statusOf(world);
  assertEquals(
    [start.version, start.uptime, start.workers, start.ready, start.access],
    [VERSION, 1_000, 1, true, "localhost"],
  );
  assertMatch(start.runtime, /^(?:Deno|Node|Bun) \d+\./);
  assertEquals(start.time - start.startedAt, 1_000);
  assertEquals(start.topics, { pending: 0, open: 0, ended: 0 });
  assertEquals(start.store, {
    kind: "memory",
    isLasting: false,
    isShared: false,
  });
  assertEquals([start.draining, start.problem], [undefined, undefined]);
  assertEquals([start.refusals, start.ends], [{}, {}]);

  // A subscriber that acknowledges nothing, and one that reads; a list; a run.
  const follow = (query: string): WebSocket =>
    new WebSocket(`${world.url.replace("http", "ws")}/topics/t${query}`);
  const sockets = [follow("?window=1000"), follow("")];
  const stream = await world.request("/topics/t", {
    headers: { Accept: "text/event-stream" },
  });
  const list = await world.request("/topics", {
    headers: { Accept: "text/event-stream" },
  });
  const topic = await until(() => topics.get("t"), LIMIT, "the topic");
  await until(() => topic.followers === 3 || undefined, LIMIT, "followers");
  const { exchange, answer } = await world.begin();
  await (await world.request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(
      Array.from({ length: 50 }, () => ({ data: "x".repeat(100) })),
    ),
  })).body?.cancel();
  topics.create("done").end("expired");
  for (let index = 0; index < 3; index++) {
    const refused = await world.request("/topics/none?wait=false", {
      headers: { Accept: "text/event-stream" },
    });
    await refused.body?.cancel();
  }
  const status = await until(
    async () => {
      const status = await statusOf(world);
      return status.totals.deliveredEvents >= 100 ? status : undefined;
    },
    LIMIT,
    "deliveries",
  );
  assertEquals(status.totals.publishedEvents, 50);
  assertEquals(status.totals.publishedBytes, 5_000);
  assertEquals(status.totals.subscriptions, 3);
  assertEquals(status.totals.connections, 3);
  assertEquals(status.totals.refusals, 3);
  assertEquals(status.refusals, { unknown_topic: 3 });
  assertEquals(status.ends, { expired: 1 });
  assertEquals(status.subscriptions, { websocket: 2, sse: 1 });
  const { tcp, max, ...connections } = status.connections;
  assertEquals(connections, { websocket: 2, sse: 1, lists: 1 });
  assert(tcp >= 4 && max >= tcp, `${tcp} of ${max}`);
  assertEquals([status.runs, status.upstreams], [1, 0]);
  // The run's topic has no name but its own, and is pending.
  assertEquals(status.topics, { pending: 1, open: 1, ended: 1 });
  assertEquals(status.log.events, 50);
  assert(status.log.bytes >= 5_000);
  assert(status.lag.max > 30 && status.lag.topic === "t");
  const { rss, heap, max: maxMemory } = status.memory;
  assert(rss > 0 && heap > 0 && maxMemory > rss);
  assert(status.loopDelay.max >= status.loopDelay.p50);
  // Since the start, and then over the last 5 to 10 s.
  assertEquals(status.rates.publishedEvents, 50);
  for (const seconds of [4, 5, 5]) await clock.advance(seconds * 1_000);
  assertEquals((await statusOf(world)).rates.publishedEvents, 0);

  await exchange.json(400, {});
  await (await answer).rest();
  for (const socket of sockets) socket.close();
  await stream.body?.cancel();
  await list.body?.cancel();
  await until(() => topic.followers === 0 || undefined, LIMIT, "nobody");
});

Deno.test("GET /status says why a relay is not ready, and that it is being drained", async () => {
  const clock = new FakeClock(Date.now());
  const relay = await startRelay({ clock });
  const follow = (): Promise<Response> =>
    relay.request("/topics/t", { headers: { Accept: "text/event-stream" } });
  // The first one is sent away at once, and the second one later.
  const streams = [await follow(), await follow()];
  const drained = relay.relay.drain(10_000);
  const { draining, ready, problem } = await statusOf(relay);
  assertEquals([draining?.left, ready, problem?.code], [
    10_000,
    false,
    "draining",
  ]);
  for (const { body } of streams) await body?.cancel();
  await relay[Symbol.asyncDispose]();
  await drained;
});

Deno.test("GET /status is for administrators, as /metrics is", async () => {
  const asked = async (relay: TestRelay, token?: string): Promise<number> => {
    const response = await relay.request("/status", {
      headers: token ? { Authorization: `Bearer ${token}` } : {},
    });
    await response.body?.cancel();
    return response.status;
  };
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
  assertEquals(await asked(relay), 401);
  assertEquals(await asked(relay, await mintToken({ read: ["*"] })), 403);
  assertEquals(await asked(relay, await mintToken({ admin: true })), 200);
  await using open = await startRelay({
    rights: { jwtKey: JWT_KEY, publicMetrics: true },
  });
  assertEquals(await asked(open), 200);
  const { access } = await statusOf(open);
  assertEquals(access, "tokens");
});

for (const kind of ["sqlite", "nats"] as const) {
  Deno.test({
    name: `GET /status names the store (${kind})`,
    ignore: kind === "nats" && lacksNats(),
    async fn() {
      await using folder = new TemporaryFolder();
      await using nats = kind === "nats" ? await NatsServer.start() : undefined;
      await using relay = await startRelay({
        store: nats ? `nats://${nats.host}` : `sqlite:${folder.path}/s.db`,
      });
      const { store } = await statusOf(relay);
      assertEquals(store, {
        kind,
        isLasting: true,
        isShared: kind === "nats",
      });
    },
  });
}
