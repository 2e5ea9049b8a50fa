// The ends of a run: the notice to subscribers, and the caller's view.
import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  type Begun,
  type GatewayWorld,
  LIMIT,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import {
  WIRE_FORMATS,
  type WireFormat,
} from "../../support/gateway/wire_formats.ts";
import { RELAY_SHAPE } from "../../support/relay/shape.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { until, within } from "../../support/within.ts";

const NAME = { headers: { "rivulet-topic": "t" } };

/** A run that has said something, and whose caller has it. */
async function running(
  world: GatewayWorld,
  format: WireFormat,
): Promise<Begun & { said: string; ends: () => Promise<number> }> {
  const begun = await world.begin({ ...NAME, path: format.path });
  const said = `${format.start}${format.delta("a")}`;
  await begun.exchange.stream(said, format.headers);
  await (await begun.answer).see(said);
  return { ...begun, said, ends: await countEnds(world) };
}

/** Counts the ends of the topic that somebody is told who follows it. */
async function countEnds(world: GatewayWorld): Promise<() => Promise<number>> {
  if (RELAY_SHAPE !== "workers") {
    let ends = 0;
    world.topic("t").observe({
      changed: ({ state }) => {
        if (state.kind === "ended") ends++;
      },
    });
    return () => Promise.resolve(ends);
  }
  const follower = await RawWebSocket.open(world.url, "/topics/t");
  await follower.message("subscribed");
  return async () => {
    await using socket = follower;
    let ends = 0;
    for (;;) {
      const message = await socket.next();
      if (message === undefined) return ends; // closed after the end
      if (message["type"] === "end") ends++;
    }
  };
}

async function assertClosed({ exchange }: Begun): Promise<void> {
  await within(exchange.closed, LIMIT, "the provider's connection to close");
}

for (const [name, format] of Object.entries(WIRE_FORMATS)) {
  for (const [how, wire, end] of format.ends) {
    Deno.test(`A ${name} stream that ends as ${how} does so for all, once`, async () => {
      await using world = await startGateway();
      const run = await running(world, format);
      await run.exchange.end(wire);
      assertEquals(await world.ended("t"), end);
      assertEquals(await (await run.answer).rest(), {
        text: run.said + wire,
        end: "whole",
      });
      await assertClosed(run);
      assertEquals(await run.ends(), 1);
      assertEquals(world.provider.count, 1);
    });

    Deno.test(`A ${name} stream that ended as ${how} is not harmed by a reset`, async () => {
      await using world = await startGateway();
      const run = await running(world, format);
      await run.exchange.write(wire);
      await (await run.answer).see(wire);
      run.exchange.reset();
      assertEquals(await world.ended("t"), end);
      assertEquals(await (await run.answer).rest(), {
        text: run.said + wire,
        end: "whole",
      });
      assertEquals(await run.ends(), 1);
      assertEquals(world.provider.count, 1);
    });

    Deno.test(`A ${name} stream that ended as ${how} is waited for no longer than 2 s`, async () => {
      const clock = new FakeClock();
      await using world = await startGateway({ clock });
      const run = await running(world, format);
      const caller = await run.answer;
      await run.exchange.write(wire);
      await caller.see(wire);
      await until(
        async () => (await world.events("t")).length > 2 || undefined,
        LIMIT,
        "the last word to be taken in",
      );
      await clock.advance(1_999);
      // A comment is no sign that anything is to come.
      await run.exchange.write(": ping\n\n");
      await caller.see(": ping\n\n");
      const over = caller.rest();
      await clock.advance(1);
      assertEquals(await over, {
        text: `${run.said}${wire}: ping\n\n`,
        end: "whole",
      });
      assertEquals(await world.ended("t"), end);
      await assertClosed(run);
      assertEquals(await run.ends(), 1);
    });
  }

  for (
    const [how, kill, seen] of [
      ["ends without a last word", (run: Begun) => run.exchange.end(), "cut"],
      ["is closed within", (run: Begun) => run.exchange.close(), "cut"],
      ["is reset within", (run: Begun) => run.exchange.reset(), "cut"],
    ] as const
  ) {
    Deno.test(`A ${name} stream that ${how} is truncated, and its caller sees that`, async () => {
      await using world = await startGateway();
      const run = await running(world, format);
      const half = format.delta("half").slice(0, 20);
      await run.exchange.write(half);
      await (await run.answer).see(half);
      await kill(run);
      const { status, reason } = await world.ended("t");
      assertEquals(status, "truncated");
      assert(reason && reason.length > 10 && reason.length <= 1_000, reason);
      assertEquals(await (await run.answer).rest(), {
        text: run.said + half,
        end: seen,
      });
      assertEquals(await run.ends(), 1);
      // It is never begun anew.
      assertEquals(world.provider.count, 1);
    });
  }

  Deno.test(`A ${name} stream that falls silent is truncated`, async () => {
    const clock = new FakeClock();
    await using world = await startGateway({
      clock,
      gateway: { timeout: 60_000 },
    });
    const run = await running(world, format);
    for (let i = 0; i < 3; i++) {
      await clock.advance(59_000);
      // Here every byte is a sign of life.
      await run.exchange.write(":\n");
      await (await run.answer).see(":\n".repeat(i + 1));
    }
    assertEquals(world.topic("t").state.kind, "open");
    await clock.advance(60_000);
    assertEquals(await world.ended("t"), {
      status: "truncated",
      reason: "The provider has said nothing for 60000 ms",
    });
    assertEquals((await (await run.answer).rest()).end, "cut");
    await assertClosed(run);
    assertEquals(await run.ends(), 1);
  });
}

Deno.test("Those who follow are told the end before the provider has closed", async () => {
  await using world = await startGateway();
  for (
    const [name, { path, headers, start, ends }] of Object.entries(WIRE_FORMATS)
  ) {
    // In Responses there may be more until the end, or until `[DONE]`.
    const wire = `${start}${ends[0]![1]}${
      name === "Responses" ? "data: [DONE]\n\n" : ""
    }`;
    const { exchange, answer } = await world.begin({
      path,
      headers: { "rivulet-topic": name },
    });
    await exchange.stream(wire, headers);
    assertEquals((await world.ended(name)).status, "complete");
    // And its caller can read what comes after.
    const caller = await answer;
    await caller.see(wire);
    await exchange.end(": bye\n\n");
    assertEquals(await caller.rest(), {
      text: `${wire}: bye\n\n`,
      end: "whole",
    });
  }
});

Deno.test("Each event after the last word may be followed by another for 2 s", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  const run = await running(world, WIRE_FORMATS["Chat"]!);
  const caller = await run.answer;
  const more = [
    'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    'data: {"choices":[],"usage":{"total_tokens":5}}\n\n',
    'data: {"choices":[],"usage":{"total_tokens":6}}\n\n',
    "data: [DONE]\n\n",
  ];
  for (const [index, wire] of more.entries()) {
    await run.exchange.write(wire);
    await caller.see(wire);
    await until(
      async () => (await world.events("t")).length === index + 3 || undefined,
      LIMIT,
      "the event to be taken in",
    );
    await clock.advance(1_900);
  }
  // It is over: nothing else counts.
  await run.exchange.write("data: {}\n\n");
  await caller.see("data: {}\n\n");
  const over = caller.rest();
  await clock.advance(100);
  assertEquals((await over).end, "whole");
});

Deno.test("A slow follower's time is not the provider's", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({
    clock,
    gateway: { timeout: 1_000 },
  });
  const run = await running(world, WIRE_FORMATS["Chat"]!);
  const { promise, resolve } = Promise.withResolvers<void>();
  let isWaited = false;
  const stop = world.topic("t").observe({
    changed: () => {},
    caughtUp: () => {
      isWaited = true;
      return promise;
    },
  });
  await run.exchange.write(WIRE_FORMATS["Chat"]!.delta("b"));
  await until(
    () => isWaited || undefined,
    LIMIT,
    "the follower to be waited for",
  );
  await clock.advance(5_000);
  assertEquals(world.topic("t").state.kind, "open");
  stop();
  resolve();
  await run.exchange.end(WIRE_FORMATS["Chat"]!.ends[0]![1]);
  assertEquals((await world.ended("t")).status, "complete");
  assertEquals((await (await run.answer).rest()).end, "whole");
});

Deno.test("A large part of a stream that is reset reaches the caller all the same", async () => {
  await using world = await startGateway();
  const run = await running(world, WIRE_FORMATS["Chat"]!);
  const large = WIRE_FORMATS["Chat"]!.delta("a".repeat(3_000_000));
  await run.exchange.write(large);
  await until(
    async () => (await world.events("t")).length === 3 || undefined,
    LIMIT,
    "the event to be taken in",
  );
  // None of this was read by the caller so far.
  run.exchange.reset();
  assertEquals((await world.ended("t")).status, "truncated");
  const { text, end } = await (await run.answer).rest();
  assertEquals(end, "cut");
  assertEquals(text.length, run.said.length + large.length);
  assertEquals(await run.ends(), 1);
});
