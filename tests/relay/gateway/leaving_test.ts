// The caller leaves: the run goes on, or it does not, as was asked for.
import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import {
  type Asked,
  type Begun,
  type GatewayWorld,
  LIMIT,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { passTime } from "../../support/pass_time.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { until, within } from "../../support/within.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";

const { start, delta, ends } = WIRE_FORMATS["Chat"]!;
const LAST = ends[0]![1];
const CANCEL = { "rivulet-on-disconnect": "cancel" };

/** A run whose caller has left: before there was an answer, or after an event. */
async function left(
  world: GatewayWorld,
  when: "before the head" | "after the head" | "after an event",
  headers: Readonly<Record<string, string>> = {},
): Promise<Begun> {
  const abort = new AbortController();
  const asked: Asked = {
    headers: { "rivulet-topic": "t", ...headers },
    signal: abort.signal,
  };
  const begun = await world.begin(asked);
  if (when !== "before the head") {
    await begun.exchange.stream();
    const caller = await begun.answer;
    if (when === "after an event") {
      await begun.exchange.write(start);
      await caller.see(start);
    }
    await caller.leave();
  }
  abort.abort();
  await begun.answer.catch(() => {});
  return begun;
}

for (
  const when of ["before the head", "after the head", "after an event"] as const
) {
  Deno.test(`A run goes on whose caller has left ${when}, and the caller can have the rest`, async () => {
    await using world = await startGateway();
    await using follower = await RawWebSocket.open(world.url, "/topics/t");
    const { exchange } = await left(world, when);
    if (when === "before the head") await exchange.stream();
    const before = when === "after an event" ? "" : start;
    await exchange.end(before + delta("b") + delta("c") + LAST);
    assertEquals(await world.ended("t"), { status: "complete" });
    assertEquals((await follower.message("end"))["status"], "complete");
    const { epoch } = await world.describe("t") ?? {};
    const events = await world.events("t");
    assertEquals(events.length, 5);
    for (let seen = 0; seen < events.length; seen++) {
      const response = await world.request("/topics/t?raw", {
        headers: {
          accept: "text/event-stream",
          ...(seen > 0 && { "last-event-id": `${epoch}:${seen}` }),
        },
      });
      const text = await response.text();
      assertEquals(
        text,
        events.slice(seen).map(({ data }, index) =>
          `id: ${epoch}:${seen + index + 1}\ndata: ${data}\n\n`
        ).join(""),
      );
    }
    const response = await world.request("/topics/t?raw", {
      headers: { accept: "text/event-stream", "last-event-id": `${epoch}:5` },
    });
    assertEquals(response.status, 204);
    assertEquals(world.provider.count, 1);
  });

  Deno.test(`A run is cancelled whose caller has left ${when}, if it was asked for`, async () => {
    await using world = await startGateway();
    const { exchange } = await left(world, when, CANCEL);
    await within(exchange.closed, LIMIT, "the provider's connection to close");
    assertEquals(await world.ended("t"), {
      status: "cancelled",
      reason: "The caller has left",
    });
  });

  Deno.test(`A run that nobody follows is cancelled after a while, if its caller has left ${when}`, async () => {
    const clock = new FakeClock();
    await using world = await startGateway({
      clock,
      gateway: { idleCancel: 5_000 },
    });
    const { exchange } = await left(world, when);
    assertEquals(await passTime(clock, world.ended("t")), {
      status: "cancelled",
      reason: "Nobody has followed for 5000 ms",
    });
    assert(clock.now() >= 5_000, `it was cancelled after ${clock.now()} ms`);
    await within(exchange.closed, LIMIT, "the provider's connection to close");
  });
}

Deno.test("A run that somebody follows goes on, until nobody has for long enough", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({
    clock,
    gateway: { idleCancel: 5_000 },
    delivery: { heartbeat: 1_000_000 },
  });
  const follower = await RawWebSocket.open(world.url, "/topics/t");
  await follower.message("subscribed");
  const topic = world.topic("t");
  const { exchange } = await left(world, "after an event");
  await clock.advance(60_000);
  assertEquals(topic.state.kind, "open");
  await exchange.write(delta("b"));
  await follower[Symbol.asyncDispose]();
  await until(
    () => topic.idleSince === undefined ? undefined : true,
    LIMIT,
    "the follower to be gone",
  );
  await clock.advance(4_999);
  assertEquals(topic.state.kind, "open");
  // One that comes back in time has it wait anew.
  const other = await RawWebSocket.open(world.url, "/topics/t");
  await other.message("subscribed");
  await clock.advance(10_000);
  assertEquals(topic.state.kind, "open");
  await other[Symbol.asyncDispose]();
  await until(
    () => topic.idleSince === undefined ? undefined : true,
    LIMIT,
    "the follower to be gone",
  );
  await clock.advance(4_999);
  assertEquals(topic.state.kind, "open");
  await clock.advance(5_001);
  assertEquals((await world.ended("t")).status, "cancelled");
  await within(exchange.closed, LIMIT, "the provider's connection to close");
});

Deno.test("A run whose caller has stayed is not cancelled, however long nobody else follows", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({
    clock,
    gateway: { idleCancel: 5_000 },
  });
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t", ...CANCEL },
  });
  await exchange.stream(start);
  await (await answer).see(start);
  await clock.advance(60_000);
  await exchange.end(LAST);
  assertEquals((await (await answer).rest()).end, "whole");
  assertEquals(await world.ended("t"), { status: "complete" });
});

Deno.test("A run ends as it does, though its caller has left and nobody follows", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({
    clock,
    gateway: { idleCancel: 5_000 },
  });
  const { exchange } = await left(world, "after an event");
  await exchange.end(LAST);
  assertEquals(await world.ended("t"), { status: "complete" });
  await clock.advance(60_000);
  assertEquals((await world.ended("t")).status, "complete");
});

Deno.test("A caller that does not read is let go, and its run goes on", async () => {
  await using world = await startGateway({
    retention: { maxBytes: 1_000_000 },
  });
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t" },
  });
  await exchange.stream(start);
  const caller = await answer;
  // Some of it is in the sockets, the rest waits in the relay.
  const part = delta("a".repeat(1_000_000));
  for (let i = 0; i < 40; i++) await exchange.write(part);
  await exchange.end(LAST);
  assertEquals(await world.ended("t"), { status: "complete" });
  const { text, end } = await caller.rest();
  assertEquals(end, "cut");
  assertEquals(text.length < 30 * part.length, true);
});

Deno.test("A stream that was not foreseen goes on without its caller too", async () => {
  for (const headers of [{}, CANCEL]) {
    await using world = await startGateway();
    const asked = world.request("/v1/responses/resp_1?stream=true", {
      headers,
    });
    const exchange = await world.provider.next();
    await exchange.stream(WIRE_FORMATS["Responses"]!.start);
    const caller = new CallerStream(await asked);
    const name = caller.header("rivulet-topic") ?? "";
    await caller.see("\n\n");
    await caller.leave();
    if (headers === CANCEL) {
      await within(exchange.closed, LIMIT, "the provider to be left");
      assertEquals((await world.ended(name)).status, "cancelled");
    } else {
      await exchange.end(WIRE_FORMATS["Responses"]!.ends[0]![1]);
      assertEquals((await world.ended(name)).status, "complete");
    }
  }
});
