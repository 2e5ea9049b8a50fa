// Background responses, which their provider goes on with when nobody listens: the rest is had from there.
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  type Begun,
  type GatewayWorld,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { passTime } from "../../support/pass_time.ts";
import { propertyParameters } from "../../support/property.ts";

/** An event with its number; the last one is the end. */
function event(number: number, isLast = false): string {
  const type = number === 0
    ? "response.created"
    : isLast
    ? "response.completed"
    : "response.output_text.delta";
  const response = {
    id: "resp/1",
    background: true,
    status: isLast ? "completed" : "in_progress",
  };
  const data = number === 0 || isLast ? { response } : { delta: `${number}` };
  return `event: ${type}\ndata: ${
    JSON.stringify({ type, sequence_number: number, ...data })
  }\n\n`;
}

function events(from: number, to: number, isWhole = false): string {
  let text = "";
  for (let i = from; i <= to; i++) text += event(i, isWhole && i === to);
  return text;
}

function begin(world: GatewayWorld): Promise<Begun> {
  return world.begin({
    path: "responses?x=y",
    body: { background: true },
    headers: { "rivulet-topic": "t", authorization: "Bearer caller-key" },
  });
}

Deno.test("A background response that breaks off is gone on with, wherever it does", async () => {
  const clock = new FakeClock();
  // Before the first event it is asked for again as a whole.
  await using world = await startGateway({ clock }, { idempotent: true });
  let runs = 0;
  const last = 6;
  const all = events(0, last, true);
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.nat(all.length - 1),
          fc.constantFrom("reset", "close", "end"),
        ),
        {
          minLength: 1,
          maxLength: 4,
        },
      ),
      async (cuts) => {
        const topic = `t${++runs}`;
        const { exchange, answer } = await world.begin({
          path: "responses?x=y",
          headers: { "rivulet-topic": topic, "idempotency-key": topic },
        });
        let current = exchange;
        /** Of how many events the relay has got the end. */
        let whole = 0;
        let failures = 0;
        for (const [at, how] of cuts.sort(([a], [b]) => a - b)) {
          const count = (text: string): number => text.split("\n\n").length - 1;
          const before = all.split("\n\n").slice(0, whole)
            .map((part) => `${part}\n\n`).join("").length;
          const part = all.slice(before, Math.max(at, before));
          failures = count(part) === 0 ? failures + 1 : 1;
          if (failures === 3) break;
          await current.stream(part);
          whole += count(part);
          // A reset may take what was sent with it.
          const seen = await until(world, topic, whole);
          assertEquals(seen, whole);
          if (how === "end") await current.end();
          else current[how === "reset" ? "reset" : "close"]();
          current = await passTime(clock, world.provider.next());
          if (whole > 0) {
            assertEquals([current.method, current.target], [
              "GET",
              `/base/v1/responses/resp%2F1?x=y&stream=true&starting_after=${
                whole - 1
              }`,
            ]);
            assertEquals(current.header("content-type"), undefined);
            assertEquals((await current.body()).length, 0);
          } else assertEquals(current.method, "POST");
        }
        if (whole === 0) await current.body();
        await current.stream(events(whole, last, true));
        await current.end();
        assertEquals(await (await answer).rest(), { text: all, end: "whole" });
        assertEquals((await world.ended(topic)).status, "complete");
        assertEquals(
          (await world.events(topic)).map(({ data }) =>
            JSON.parse(data).sequence_number
          ),
          Array.from({ length: last + 1 }, (_, number) => number),
        );
      },
    ),
    propertyParameters(25),
  );
});

/** Waits until a topic has so many events; returns how many it has. */
async function until(
  world: GatewayWorld,
  name: string,
  count: number,
): Promise<number> {
  for (let i = 0; i < 500; i++) {
    const topic = world.relay.topics.get(name);
    if (topic && topic.log.next > count) return topic.log.next - 1;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return (world.relay.topics.get(name)?.log.next ?? 1) - 1;
}

Deno.test("The rest of a background response is asked for with the caller's key, and told", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  const { exchange, answer } = await begin(world);
  const states: string[] = [];
  const topic = world.topic("t");
  topic.observe({
    changed: ({ upstream }) => {
      if (upstream && states.at(-1) !== upstream.state) {
        states.push(upstream.state);
      }
    },
  });
  await exchange.stream(`${events(0, 2)}event: half`);
  const caller = await answer;
  await caller.see(event(2));
  exchange.reset();
  const rest = await passTime(clock, world.provider.next());
  assertEquals(rest.header("authorization"), "Bearer caller-key");
  await rest.stream(": again\n\n");
  // Whole events, once each; comments as they come.
  await caller.see(`${events(0, 2)}: again\n\n`);
  assertEquals(states, ["retrying", "connecting", "open"]);
  await rest.write(events(3, 4, true));
  await rest.end(": bye");
  assertEquals(await caller.rest(), {
    text: `${events(0, 2)}: again\n\n${events(3, 4, true)}: bye`,
    end: "whole",
  });
});

for (
  const [how, wrong] of [
    ["from its beginning", events(0, 4, true)],
    ["from an event that there was", events(2, 4, true)],
    ["after one that there was not", events(4, 5, true)],
    ["with an event without a number", "data: {}\n\n"],
  ] as const
) {
  Deno.test(`A background response that goes on ${how} is truncated`, async () => {
    const clock = new FakeClock();
    await using world = await startGateway({ clock });
    const { exchange, answer } = await begin(world);
    await exchange.stream(events(0, 2));
    const caller = await answer;
    await caller.see(event(2));
    exchange.reset();
    for (let i = 0; i < 2; i++) {
      const rest = await passTime(clock, world.provider.next());
      await rest.stream(wrong);
      await rest.end();
    }
    const end = await passTime(clock, world.ended("t"));
    assertEquals(end, {
      status: "truncated",
      reason: "The provider did not go on where its stream broke off",
    });
    // Nothing of that has reached anybody.
    assertEquals(await caller.rest(), { text: events(0, 2), end: "cut" });
    assertEquals((await world.events("t")).length, 3);
    assertEquals(world.provider.count, 3);
  });
}

Deno.test("A background response that cannot be gone on with is truncated", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  const { exchange, answer } = await begin(world);
  await exchange.stream(events(0, 2));
  const caller = await answer;
  await caller.see(event(2));
  exchange.reset();
  for (let i = 0; i < 2; i++) {
    const rest = await passTime(clock, world.provider.next());
    await rest.json(400, { error: { message: "more than 5 minutes old" } });
  }
  const { status, reason } = await passTime(clock, world.ended("t"));
  assertEquals(status, "truncated");
  assertEquals(reason, "The provider has answered 400 Status");
  assertEquals((await caller.rest()).end, "cut");
});

Deno.test("A background response that was asked for by its id is gone on with", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  const asked = world.request("/v1/responses/resp%2F1?stream=true");
  const exchange = await passTime(clock, world.provider.next());
  await exchange.stream(events(0, 1));
  const response = await asked;
  const topic = response.headers.get("rivulet-topic") ?? "";
  assertEquals(await until(world, topic, 2), 2);
  exchange.reset();
  const rest = await passTime(clock, world.provider.next());
  assertEquals(
    rest.target,
    "/base/v1/responses/resp%2F1?stream=true&starting_after=1",
  );
  await rest.stream(events(2, 3, true));
  await rest.end();
  assertEquals(await response.text(), events(0, 3, true));
  assertEquals((await world.ended(topic)).status, "complete");
});

Deno.test("A response that is no background one is not asked for again, whatever it says later", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  const { exchange, answer } = await begin(world);
  const half = "event: ha";
  const said = event(0).replace("true", "false") +
    event(0).replace("created", "in_progress") + half;
  await exchange.stream(said.slice(0, 200));
  await exchange.write(said.slice(200));
  const caller = await answer;
  await caller.see(half);
  exchange.reset();
  assertEquals(await caller.rest(), { text: said, end: "cut" });
  await clock.advance(60_000);
  assertEquals(world.provider.count, 1);
});
