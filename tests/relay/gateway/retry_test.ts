// A provider that dies before it has said anything is asked again where a repeated request does
// nothing twice (D2), and one that has spoken never is.
import { assert, assertEquals } from "@std/assert";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import type { Topic } from "../../../relay/topics/topic.ts";
import type { UpstreamState } from "../../../relay/topics/upstream_state.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import {
  type GatewayWorld,
  LIMIT,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { passTime } from "../../support/pass_time.ts";
import type { ProviderExchange } from "../../support/gateway/raw_provider.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { until, within } from "../../support/within.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";

const { start, ends, delta } = WIRE_FORMATS["Chat"]!;
const WHOLE = start + delta("a") + ends[0]![1];

/**
 * The ways in which a provider dies before its first event, and the bytes that
 * the caller has by then.
 */
const DEATHS: Readonly<
  Record<
    string,
    readonly [
      (
        exchange: ProviderExchange,
        /** Waits until the caller has seen what came, how often it came. */
        reached: () => Promise<unknown>,
      ) => Promise<void>,
      string,
    ]
  >
> = {
  "is reset before its head": [(exchange) => {
    exchange.reset();
    return Promise.resolve();
  }, ""],
  "closes before its head": [(exchange) => {
    exchange.close();
    return Promise.resolve();
  }, ""],
  "is reset after its head": [async (exchange) => {
    await exchange.stream();
    exchange.reset();
  }, ""],
  "is reset after comments": [async (exchange, reached) => {
    await exchange.stream(": a\n\n: b\n");
    await reached();
    exchange.reset();
  }, ": a\n\n: b\n"],
  "is reset within its first event": [async (exchange) => {
    await exchange.stream(start.slice(0, 30));
    exchange.reset();
  }, ""],
  "ends without an event": [
    (exchange) => exchange.stream().then(() => exchange.end()),
    "",
  ],
  "ends within its first event": [
    (exchange) =>
      exchange.stream().then(() => exchange.end(start.slice(0, -1))),
    "",
  ],
  "closes within a chunk": [async (exchange) => {
    await exchange.stream();
    await exchange.raw("ff\r\ndata: ");
    exchange.close();
  }, ""],
};

/** Of a request that its provider takes for the first one, whenever it comes. */
const KEY = { "idempotency-key": "k" };

/** Starts a relay in front of a provider that does nothing twice for one key. */
function startIdempotent(options: RelayOptions): Promise<GatewayWorld> {
  return startGateway(options, { idempotent: true });
}

/** Takes down what is told of a topic's upstream. */
function watch(world: GatewayWorld): (UpstreamState | undefined)[] {
  const told: (UpstreamState | undefined)[] = [];
  const topic = world.topic("t");
  topic.observe({
    changed: () => {
      if (told.at(-1) !== topic.upstream) told.push(topic.upstream);
    },
  });
  return told;
}

for (const [how, [die, seen]] of Object.entries(DEATHS)) {
  Deno.test(`A provider that ${how} is asked again, and the caller sees one stream`, async () => {
    const clock = new FakeClock();
    await using world = await startIdempotent({ clock });
    const { exchange, answer } = await world.begin({
      headers: { "rivulet-topic": "t", ...KEY },
      body: { model: "m" },
    });
    const told = watch(world);
    const reached = async (times: number): Promise<Uint8Array> =>
      await (await answer).reach(times * seen.length);
    await die(exchange, () => reached(1));
    const second = await passTime(clock, world.provider.next());
    assertEquals(second.method, "POST");
    assertEquals(second.header("idempotency-key"), "k");
    assertEquals(
      new TextDecoder().decode(await second.body()),
      '{"stream":true,"model":"m"}',
    );
    await die(second, () => reached(2));
    const third = await passTime(clock, world.provider.next());
    await third.body();
    await third.stream(WHOLE);
    await third.end();
    const { text, end } = await (await answer).rest();
    // Comments of those that died are all that is seen of them.
    assertEquals(text.slice(-WHOLE.length), WHOLE);
    assertEquals(text.slice(0, -WHOLE.length), seen + seen);
    assertEquals(end, "whole");
    assertEquals(await world.ended("t"), { status: "complete" });
    assertEquals((await world.events("t")).length, 4);
    assertEquals(world.provider.count, 3);
    const states = told.flatMap((upstream) => upstream ? [upstream] : [])
      .map(({ state, attempt }) => attempt ? `${state} ${attempt}` : state);
    assertEquals(states.filter((state) => state !== "open"), [
      "retrying 2",
      "connecting 2",
      "retrying 3",
      "connecting 3",
    ]);
    assertEquals(states.at(-1), "open");
    const waits = told.flatMap((upstream) => upstream?.retryIn ?? []);
    assert(waits[0]! >= 180 && waits[0]! <= 221, `${waits}`);
    assert(waits[1]! >= 360 && waits[1]! <= 441, `${waits}`);
  });

  Deno.test(`A provider that ${how} is asked three times at most`, async () => {
    const clock = new FakeClock();
    await using world = await startIdempotent({ clock });
    const { exchange, answer } = await world.begin({
      headers: { "rivulet-topic": "t", ...KEY },
    });
    const reached = async (times: number): Promise<Uint8Array> =>
      await (await answer).reach(times * seen.length);
    await die(exchange, () => reached(1));
    for (const times of [2, 3]) {
      const next = await passTime(clock, world.provider.next());
      await die(next, () => reached(times));
    }
    const caller = await passTime(clock, answer);
    if (how.includes("before its head")) {
      assertEquals(caller.status, 502);
      const problem = await caller.problem();
      assertEquals(problem["code"], "provider_unreachable");
      assertEquals(caller.header("content-type"), "application/problem+json");
      // It may be asked for again under the same name.
      assertEquals(world.topic("t").state.kind, "pending");
    } else {
      const { text, end } = await caller.rest();
      assertEquals(caller.status, 200);
      assertEquals({ text, end }, { text: seen.repeat(3), end: "cut" });
      assertEquals((await world.ended("t")).status, "truncated");
    }
    await clock.advance(60_000);
    assertEquals(world.provider.count, 3);
  });
}

Deno.test("A provider that refuses connections is asked again, and says so in the end", async () => {
  const clock = new FakeClock();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  await new Promise((resolve) => server.close(resolve));
  await using relay = await startRelay({
    clock,
    gateway: {
      providers: [{ name: "gone", url: `http://127.0.0.1:${port}/v1` }],
    },
  });
  const told = new Set<string>();
  relay.relay.topics.await("t").observe({
    changed: ({ upstream }: Topic) => {
      if (upstream) told.add(`${upstream.state} ${upstream.attempt}`);
    },
  });
  const asked = relay.request("/v1/responses", {
    method: "POST",
    headers: { "content-type": "application/json", "rivulet-topic": "t" },
    body: '{"stream":true}',
  });
  const caller = new CallerStream(await passTime(clock, asked));
  assertEquals(caller.status, 502);
  const { code, detail } = await caller.problem();
  assertEquals(code, "provider_unreachable");
  // The runtime's own words for it, "connect ECONNREFUSED ...", say nothing more.
  assertEquals(
    detail,
    "Expected an answer of the provider, and there is none: the connection was refused (ECONNREFUSED)",
  );
  assertEquals([...told], [
    "retrying 2",
    "connecting 2",
    "retrying 3",
    "connecting 3",
    // The caller may come back, and the run begin yet.
    "retrying undefined",
  ]);
});

for (
  const [name, { path, headers, start, delta }] of Object.entries(WIRE_FORMATS)
) {
  Deno.test(`After the first event of ${name} there is no second POST`, async () => {
    const clock = new FakeClock();
    await using world = await startGateway({ clock });
    for (const events of [start, start + delta("a")]) {
      const { exchange, answer } = await world.begin({ path });
      await exchange.stream(events, headers);
      await (await answer).see(events);
      exchange.reset();
      assertEquals(await (await answer).rest(), { text: events, end: "cut" });
    }
    await clock.advance(60_000);
    assertEquals(world.provider.count, 2);
  });
}

/** A request of JSON. */
const JSON_BODY = {
  headers: { "content-type": "application/json" },
  body: "{}",
};

Deno.test("What a provider may have begun, or is no longer there, is sent once (D2)", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  for (
    const [method, init] of [
      ["POST", { body: "an upload" }],
      ["DELETE", {}],
      ["POST", {}],
      ["POST", JSON_BODY],
      ["PATCH", JSON_BODY],
      // This provider does not say that it honours keys.
      ["POST", { ...JSON_BODY, headers: { ...JSON_BODY.headers, ...KEY } }],
      ["POST", { ...JSON_BODY, body: '{"stream":true}' }],
      ["PUT", { body: "an upload" }],
    ] as const
  ) {
    const before = world.provider.count;
    const asked = world.request("/v1/files/f", { method, ...init });
    const exchange = await world.provider.next();
    if (init.body !== undefined) await exchange.body();
    exchange.reset();
    const caller = new CallerStream(await passTime(clock, asked));
    assertEquals(caller.status, 502);
    assertEquals((await caller.problem())["code"], "provider_unreachable");
    assertEquals(world.provider.count, before + 1);
  }
});

Deno.test("An idempotent request is sent again, until it is answered (D2)", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  for (
    const init of [{ method: "GET" }, { method: "PUT", ...JSON_BODY }] as const
  ) {
    const asked = world.request("/v1/models", init);
    (await world.provider.next()).reset();
    const exchange = await passTime(clock, world.provider.next());
    await exchange.json(200, { data: [] });
    assertEquals(await (await asked).json(), { data: [] });
  }
});

Deno.test("An answer of another kind after a stream that has died counts as one more death", async () => {
  const clock = new FakeClock();
  await using world = await startIdempotent({ clock });
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t", ...KEY },
  });
  await exchange.stream(": a\n\n");
  await (await answer).see(": a\n\n");
  exchange.reset();
  const second = await passTime(clock, world.provider.next());
  await second.json(500, { error: { message: "no" } });
  const third = await passTime(clock, world.provider.next());
  await third.stream(WHOLE);
  await third.end();
  assertEquals(await (await answer).rest(), {
    text: `: a\n\n${WHOLE}`,
    end: "whole",
  });
  assertEquals((await world.ended("t")).status, "complete");
});

Deno.test("A wait for the next attempt ends when the run is cancelled", async () => {
  const clock = new FakeClock();
  await using world = await startIdempotent({ clock });
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t", ...KEY },
  });
  const topic = world.topic("t");
  exchange.reset();
  await until(
    () => topic.upstream?.state === "retrying" || undefined,
    LIMIT,
    "the provider to be given up",
  );
  topic.end("cancelled", "enough");
  const caller = await within(answer, LIMIT, "the answer");
  assertEquals(caller.status, 410);
  assertEquals((await caller.problem())["code"], "cancelled");
  await clock.advance(60_000);
  assertEquals(world.provider.count, 1);
});

Deno.test("A wait for the next attempt is not the provider's silence", async () => {
  const clock = new FakeClock();
  await using world = await startIdempotent({
    clock,
    gateway: { timeout: 100 },
  });
  const { exchange, answer } = await world.begin({ headers: KEY });
  exchange.reset();
  const second = await passTime(clock, world.provider.next(), 20);
  await second.stream(WHOLE);
  await second.end();
  assertEquals(await (await answer).rest(), { text: WHOLE, end: "whole" });
});

Deno.test("A provider that says nothing at all is not asked again", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({
    clock,
    gateway: { timeout: 30_000 },
  });
  const { exchange, answer } = await world.begin();
  await clock.advance(30_000);
  const caller = await answer;
  assertEquals(caller.status, 502);
  assert(
    String((await caller.problem())["detail"]).includes("nothing for 30000 ms"),
  );
  await within(exchange.closed, LIMIT, "the provider's connection to close");
  assertEquals(world.provider.count, 1);
});
