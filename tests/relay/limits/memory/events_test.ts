// Events of sources and providers that are not whole yet count among what is received.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { EventRoom } from "../../../../relay/limits/memory/event_room.ts";
import type { SourceReconnect } from "../../../../relay/sources/source_reconnect.ts";
import { ReceiveBudget } from "../../../../relay/limits/memory/receive_budget.ts";
import type { RelayOptions } from "../../../../relay/options/relay_options.ts";
import {
  type GatewayWorld,
  LIMIT,
  startGateway,
} from "../../../support/gateway/gateway_world.ts";
import { RawProvider } from "../../../support/gateway/raw_provider.ts";
import { askFramed } from "../../../support/http/framed_answer.ts";
import { LogCapture } from "../../../support/observing/log_capture.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import { until, within } from "../../../support/within.ts";

const KIB = 1_024;
const RECONNECT = { minTimeout: 1, maxTimeout: 2 };

/** Two clients may hold 90 KiB, and one of them 50. */
const LIMITS = { maxReceived: 90 * KIB, maxReceivedPerClient: 50 * KIB };

async function metric(
  { request }: Pick<TestRelay, "request">,
  name: string,
): Promise<number> {
  const text = await (await request("/metrics")).text();
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  return Number(line?.split(" ").at(-1));
}

/** Waits until so many bytes are held. */
async function holds(
  relay: Pick<TestRelay, "request">,
  is: (bytes: number) => boolean,
  what: string,
): Promise<void> {
  let held = NaN;
  await until(
    async () => {
      held = await metric(relay, "rivulet_received_bytes");
      return is(held) || undefined;
    },
    LIMIT,
    () => `${what}: ${held} bytes are held`,
  );
}

function refused(relay: TestRelay, code: string): Promise<number> {
  return metric(relay, `rivulet_refusals_total{reason="${code}"}`);
}

const GUARD: RelayOptions = {
  rights: { allowSources: ["*"], allowAddresses: ["127.0.0.0/8"] },
};

/** Starts a relay with sources at a provider's URL, each named after its path. */
async function startSources(
  kind: "source" | "guarded source",
  upstream: RawProvider,
  names: readonly string[],
  reconnect: false | SourceReconnect = RECONNECT,
): Promise<TestRelay & AsyncDisposable> {
  const sources = names.map((name) => ({
    name,
    url: `${upstream.url}/${name}`,
    reconnect,
  }));
  const relay = await startRelay({
    limits: LIMITS,
    ...(kind === "source" ? { sources } : GUARD),
  });
  if (kind === "source") return relay;
  for (const { name, url } of sources) {
    // Answered when the upstream has answered.
    void relay.request(`/topics/${name}`, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ source: { url, reconnect: reconnect !== false } }),
    }).then((response) => response.body?.cancel());
  }
  return relay;
}

for (const kind of ["source", "guarded source"] as const) {
  Deno.test(`A3: the event of a ${kind} counts until it is whole, and is asked for again where there is no room`, async () => {
    await using log = await LogCapture.start();
    await using upstream = await RawProvider.start();
    await using relay = await startSources(kind, upstream, ["t"]);
    const first = await upstream.next();
    await first.stream(`id: 1\ndata: a\n\ndata: ${"x".repeat(40 * KIB)}`);
    await holds(relay, (bytes) => bytes > 40 * KIB, "a part");
    await first.write("\n\n");
    const topic = relay.relay.topics.get("t")!; // it has events
    await until(() => topic.log.next === 3 || undefined, LIMIT, "the event");
    await first.write(": comments are no event\n");
    await holds(relay, (bytes) => bytes === 0, "a whole event");
    // Comments do not add up.
    await first.write(": a comment\n".repeat(10 * KIB));
    await first.write(`data: ${"x".repeat(55 * KIB)}`);
    const second = await upstream.next();
    assertEquals(second.header("last-event-id"), "1");
    await second.stream(`data: ${"x".repeat(45 * KIB)}`);
    await holds(relay, (bytes) => bytes > 45 * KIB, "a part of the next");
    await second.write("\n\n");
    await until(() => topic.log.next === 4 || undefined, LIMIT, "the next");
    await holds(relay, (bytes) => bytes === 0, "nothing");
    assertEquals(await refused(relay, "too_many_bytes_of_client"), 1);
    assertEquals(topic.state.kind, "open");
    assertStringIncludes(
      log.text,
      "The relay had no room for an event that was not whole",
    );
  });
}

Deno.test("A3: nothing counts of a source that waits until it asks again", async () => {
  await using upstream = await RawProvider.start();
  await using relay = await startSources("source", upstream, ["t"], {
    minTimeout: 3_600_000,
    maxTimeout: 3_600_000,
  });
  const exchange = await upstream.next();
  await exchange.stream(`data: ${"x".repeat(40 * KIB)}`);
  await holds(relay, (bytes) => bytes > 40 * KIB, "a part");
  exchange.close();
  await holds(relay, (bytes) => bytes === 0, "a connection that is lost");
});

Deno.test("A3: a source that is not asked again ends truncated where there is no room for its event", async () => {
  await using upstream = await RawProvider.start();
  await using relay = await startSources("source", upstream, ["t"], false);
  const exchange = await upstream.next();
  await exchange.stream(`data: a\n\ndata: ${"x".repeat(55 * KIB)}`);
  const topic = relay.relay.topics.get("t")!; // of the options
  const { status, reason = "" } = await within(topic.ended, LIMIT, "the end");
  assertEquals(status, "truncated");
  assertMatch(reason, /no room for an event .*--max-received-per-client/);
  assertEquals(topic.log.next, 2);
  await within(exchange.closed, LIMIT, "the connection to be closed");
});

Deno.test("A3: where the budget is used up, the largest event is given up while it waits, and others go on", async () => {
  await using upstream = await RawProvider.start();
  await using relay = await startSources("source", upstream, ["a", "b"]);
  const exchanges = [await upstream.next(), await upstream.next()];
  const of = (name: string) =>
    exchanges.find(({ target }) => target.endsWith(name))!; // both were asked
  await of("/a").stream(`data: ${"x".repeat(48 * KIB)}`);
  await holds(relay, (bytes) => bytes > 48 * KIB, "the first");
  await of("/b").stream(`data: ${"x".repeat(45 * KIB)}`);
  // It says nothing more: the other has taken its place.
  const again = await upstream.next();
  assertEquals(again.target.endsWith("/a"), true);
  await again.stream();
  await holds(relay, (bytes) => bytes > 0 && bytes < 46 * KIB, "the second");
  await of("/b").write("\n\n");
  const topic = relay.relay.topics.get("b")!; // of the options
  await until(() => topic.log.next === 2 || undefined, LIMIT, "its event");
  await holds(relay, (bytes) => bytes === 0, "nothing");
  assertEquals(await refused(relay, "out_of_memory"), 1);
});

const START = 'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n';
const LONG = `data: ${"x".repeat(55 * KIB)}`;
const REST = `\n\n${START}data: [DONE]\n\n`;

async function makeRun(
  world: GatewayWorld,
): Promise<Awaited<ReturnType<GatewayWorld["begin"]>>> {
  return await world.begin({ headers: { "rivulet-topic": "t" } });
}

for (
  const [what, before] of [
    ["after others", START],
    ["that is the first", ""],
  ] as const
) {
  Deno.test(`A3: the caller of a run gets each byte of an event ${what} that there is no room for, and its topic is truncated`, async () => {
    await using log = await LogCapture.start();
    await using world = await startGateway({ limits: LIMITS });
    const { exchange, answer } = await makeRun(world);
    // Of the first event, the bytes are held back from the caller too.
    const isFirst = before === "";
    const part = isFirst ? 20 * KIB : 40 * KIB;
    await exchange.stream(before + LONG.slice(0, part));
    await holds(world, (bytes) => bytes > 40 * KIB, "a part");
    const topic = world.topic("t");
    const raw = askFramed({
      port: world.port,
      version: "1.1",
      target: "/topics/t?raw",
    });
    await until(() => topic.followers === 1 || undefined, LIMIT, "the reader");
    await exchange.write(LONG.slice(part));
    const { status, reason = "" } = await world.ended("t");
    assertEquals(status, "truncated");
    assertMatch(reason, /no room for an event .*--max-received-per-client/);
    // Nothing of the event is held while the rest is waited for.
    await holds(world, (bytes) => bytes < KIB, "the request alone");
    const { body, end } = await raw;
    assertEquals(
      [body.match(/^data: .*$/gm), end],
      [isFirst ? null : [before.trimEnd()], "cut"],
    );
    await exchange.end(REST);
    const seen = await (await answer).rest();
    assertEquals(seen.text, before + LONG + REST);
    assertEquals(seen.end, "whole");
    await holds(world, (bytes) => bytes === 0, "nothing");
    assertEquals(await refused(world, "too_many_bytes_of_client"), 1);
    assertEquals(
      await metric(world, 'rivulet_runs_ended_total{outcome="truncated"}'),
      1,
    );
    assertStringIncludes(log.text, "Stopped filling topic");
  });
}

Deno.test("A3: a run whose event there is no room for is cut for its caller where its provider breaks off", async () => {
  await using world = await startGateway({ limits: LIMITS });
  const { exchange, answer } = await makeRun(world);
  await exchange.stream(START + LONG);
  await world.ended("t");
  exchange.close();
  const { text, end } = await (await answer).rest();
  assertEquals([text, end], [START + LONG, "cut"]);
});

Deno.test("A3: a run whose event there is no room for ends when its caller leaves", async () => {
  await using world = await startGateway({ limits: LIMITS });
  const controller = new AbortController();
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t" },
    signal: controller.signal,
  });
  await exchange.stream(START + LONG);
  await world.ended("t");
  await answer; // it has begun
  controller.abort();
  await within(exchange.closed, LIMIT, "the provider to be left");
  await holds(world, (bytes) => bytes === 0, "nothing");
});

Deno.test("A3: EventRoom gives up an event once, and has room again after a reset", () => {
  const budget = new ReceiveBudget({
    maxReceived: 100,
    maxReceivedPerClient: 60,
  });
  const counted: string[] = [];
  const seen: string[] = [];
  {
    using room = new EventRoom(budget, "a", (code) => counted.push(code));
    room.onRefused = ({ message }) => seen.push(message);
    room.hold(0);
    assertEquals(budget.clients, 0);
    room.hold(60);
    room.hold(10);
    assertEquals([budget.received, seen], [10, []]);
    room.hold(61);
    room.hold(62);
    assertEquals(budget.received, 0);
    assertEquals(counted, ["too_many_bytes_of_client"]);
    assertEquals(seen, [
      "The relay had no room for an event that was not whole, of which it held 61 bytes (--max-received-per-client)",
    ]);
    room.reset();
    room.hold(60);
    assertEquals(budget.received, 60);
    assertEquals(budget.dropHeaviest(), 60);
    assertMatch(seen[1] ?? "", /held 60 bytes .*--max-memory/);
    room.reset();
    room.hold(1);
  }
  assertEquals([budget.received, budget.clients], [0, 0]);
});
