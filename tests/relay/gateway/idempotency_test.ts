// A request that is made twice is paid for once.
import { assertEquals, assertNotEquals } from "@std/assert";
import type { CallerStream } from "../../support/gateway/caller_stream.ts";
import {
  type Asked,
  type GatewayWorld,
  LIMIT,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { until } from "../../support/within.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { readEvents } from "../../../src/sse/read_events.ts";

const { path, start, delta, ends } = WIRE_FORMATS["Anthropic"]!;
const WHOLE = start + delta("a") + ends[0]![1];

function keyed(more: Asked = {}): Asked {
  return {
    path,
    ...more,
    headers: { "idempotency-key": "k", ...more.headers },
  };
}

/** The names and the data of a stream's events. */
async function said(text: string): Promise<string[]> {
  const events = await Array.fromAsync(readEvents(new Blob([text]).stream()));
  return events.map(({ event, data }) => `${event} ${data}`);
}

async function assertJoined(caller: CallerStream, first: CallerStream) {
  assertEquals(caller.status, 200);
  assertEquals(caller.header("idempotent-replayed"), "true");
  for (const name of ["rivulet-topic", "rivulet-epoch", "link"]) {
    assertEquals(caller.header(name), first.header(name));
  }
  const { text, end } = await caller.rest();
  assertEquals(await said(text), await said(WHOLE));
  assertEquals(end, "whole");
}

Deno.test("The same request joins a run that is going on, and one that has ended", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin(keyed());
  await exchange.stream(start);
  const first = await answer;
  await first.see(start);
  const second = await world.ask(keyed());
  await exchange.end(delta("a") + ends[0]![1]);
  assertEquals(first.header("idempotent-replayed"), null);
  assertEquals((await first.rest()).text, WHOLE);
  await assertJoined(second, first);
  await assertJoined(await world.ask(keyed()), first);
  assertEquals(world.provider.count, 1);
});

Deno.test("Requests at the same time are one, whenever the provider answers", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin(keyed());
  const others = [1, 2, 3].map(() => world.ask(keyed()));
  // They have reached the relay: what else is asked of it is answered.
  await (await world.request("/healthz")).body?.cancel();
  await exchange.stream(WHOLE);
  await exchange.end();
  const first = await answer;
  await first.rest();
  for (const other of await Promise.all(others)) {
    await assertJoined(other, first);
  }
  assertEquals(world.provider.count, 1);
});

Deno.test("A caller that has left joins its own run", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin(keyed());
  await exchange.stream(start);
  const first = await answer;
  await first.see(start);
  await first.leave();
  const second = await world.ask(keyed());
  await exchange.end(delta("a") + ends[0]![1]);
  await assertJoined(second, first);
  assertEquals(world.provider.count, 1);
});

Deno.test("Another request under the same key is refused", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin(keyed());
  for (const isAnswered of [false, true]) {
    if (isAnswered) await exchange.stream(start);
    for (
      const request of [{ body: { model: "other" } }, {
        path: `${path}?beta=1`,
      }]
    ) {
      const other = await world.ask(keyed(request));
      assertEquals(other.status, 422);
      assertEquals((await other.problem())["code"], "idempotency_mismatch");
    }
  }
  await exchange.end();
  await (await answer).rest();
  assertEquals(world.provider.count, 1);
});

Deno.test("Requests of others, and of other paths, keys or kinds, are runs of their own", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin(keyed());
  await exchange.stream(start);
  const first = await answer;
  for (
    const asked of [
      keyed({ headers: { authorization: "Bearer other" } }),
      keyed({ headers: { "x-api-key": "other" } }),
      keyed({ headers: { "api-key": "other" } }),
      keyed({ headers: { "x-goog-api-key": "other" } }),
      keyed({ headers: { "xi-api-key": "other" } }),
      keyed({ path: `${path}?key=other` }),
      keyed({ path: `${path}?api_key=other` }),
      keyed({ headers: { "idempotency-key": "K" } }),
      keyed({ path: "responses" }),
      keyed({ body: { stream: false } }),
      { path },
    ]
  ) {
    const other = await world.begin(asked);
    await other.exchange.stream();
    const caller = await other.answer;
    assertEquals(caller.header("idempotent-replayed"), null);
    assertNotEquals(
      caller.header("rivulet-topic"),
      first.header("rivulet-topic"),
    );
    await caller.leave();
  }
  await first.leave();
});

for (const status of [400, 429, 500]) {
  Deno.test(`After a refusal with ${status} the same request is made anew, by one of those who wait`, async () => {
    await using world = await startGateway();
    const { exchange, answer } = await world.begin(keyed());
    const others = [world.ask(keyed()), world.ask(keyed())];
    await (await world.request("/healthz")).body?.cancel();
    await exchange.json(status, {});
    assertEquals((await answer).status, status);
    await (await answer).rest();
    const second = await world.provider.next();
    await second.stream(WHOLE);
    await second.end();
    const callers = await Promise.all(others);
    for (const caller of callers) {
      assertEquals(await said((await caller.rest()).text), await said(WHOLE));
    }
    assertEquals(
      callers.map((caller) => caller.header("idempotent-replayed")).sort(),
      [null, "true"],
    );
    assertEquals(world.provider.count, 2);
  });
}

Deno.test("Nobody takes up a run that was cancelled before it was answered", async () => {
  await using world = await startGateway();
  for (const headers of [{}, { "rivulet-topic": "t" }]) {
    const before = world.provider.count;
    const { answer } = await world.begin(keyed({ headers }));
    const others = [
      world.ask(keyed({ headers })),
      world.ask(keyed({ headers })),
    ];
    await (await world.request("/healthz")).body?.cancel();
    for (const name of await world.names()) {
      const isPending = (await world.describe(name))?.state === "pending";
      if (isPending) await world.cancel(name, "enough");
    }
    for (const caller of [await answer, ...await Promise.all(others)]) {
      assertEquals(caller.status, 410);
      assertEquals((await caller.problem())["code"], "cancelled");
    }
    assertEquals(world.provider.count, before + 1);
  }
});

Deno.test("A run whose beginning is not retained any more cannot be joined", async () => {
  await using world = await startGateway({ retention: { maxEvents: 2 } });
  const { exchange, answer } = await world.begin(keyed());
  await exchange.stream(start + delta("a") + delta("b"));
  await (await answer).see(delta("b"));
  const name = (await answer).header("rivulet-topic") ?? "";
  await until(
    async () => {
      const { data = "none" } = (await world.events(name)).at(-1) ?? {};
      return delta("b").includes(data) || undefined;
    },
    LIMIT,
    "the topic to have all events",
  );
  const caller = await world.ask(keyed());
  assertEquals(caller.status, 410);
  assertEquals((await caller.problem())["code"], "run_not_retained");
  await exchange.end(ends[0]![1]);
  await (await answer).rest();
  assertEquals(world.provider.count, 1);
});

Deno.test("A run whose topic is gone is not joined any more", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin(keyed());
  await exchange.stream(WHOLE);
  await exchange.end();
  await (await answer).rest();
  const name = (await answer).header("rivulet-topic") ?? "";
  await world.remove(name);
  const second = await world.begin(keyed());
  await second.exchange.stream(WHOLE);
  await second.exchange.end();
  assertEquals((await (await second.answer).rest()).text, WHOLE);
});

/** Waits until the relay has taken note that a second caller has gone. */
async function hasLeft(world: GatewayWorld): Promise<void> {
  const figures = async (): Promise<string> =>
    await (await world.request("/metrics")).text();
  // The first caller's connection, and that of whoever asks for this.
  await until(
    async () =>
      /^rivulet_tcp_connections [12]$/m.test(await figures()) || undefined,
    LIMIT,
    "the second caller to be gone",
  );
}

Deno.test("Who has left before the run it waits for began follows nothing", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin(keyed());
  const abort = new AbortController();
  const other = world.ask(keyed({ signal: abort.signal }));
  other.catch(() => {});
  await (await world.request("/healthz")).body?.cancel();
  abort.abort();
  await other.catch(() => {});
  await hasLeft(world);
  await exchange.stream(start);
  const caller = await answer;
  await caller.see(start);
  const topic = caller.header("rivulet-topic") ?? "";
  await world.followed(topic, 0);
  await exchange.end(WHOLE);
  await caller.rest();
  assertEquals((await world.ended(topic)).status, "complete");
});

Deno.test("Who has left before the run it waits for was refused begins none", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin(keyed());
  const abort = new AbortController();
  const other = world.ask(keyed({ signal: abort.signal }));
  other.catch(() => {});
  await (await world.request("/healthz")).body?.cancel();
  abort.abort();
  await other.catch(() => {});
  await hasLeft(world);
  await exchange.json(500, {});
  await (await answer).rest();
  assertEquals(await world.names(), []);
  assertEquals(world.provider.count, 1);
});
