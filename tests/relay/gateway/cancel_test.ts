// A run that somebody has enough of: its provider, its caller and its followers are told.
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { TopicEnd } from "../../../relay/topics/end.ts";
import type { CallerStream } from "../../support/gateway/caller_stream.ts";
import {
  type GatewayWorld,
  LIMIT,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { until, within } from "../../support/within.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";

const { start, ends } = WIRE_FORMATS["Chat"]!;

const DOORS: Readonly<Record<string, (world: GatewayWorld) => Promise<void>>> =
  {
    "POST": async ({ request }) => {
      const response = await request("/topics/t/cancel", {
        method: "POST",
        body: '{"reason":"enough"}',
      });
      assertEquals(response.status, 200);
      assertEquals((await response.json()).end.status, "cancelled");
    },
    "a frame": async ({ url }) => {
      const socket = await RawWebSocket.open(url, "/ws");
      await socket.say({ type: "cancel", topic: "t", reason: "enough" });
      await socket[Symbol.asyncDispose]();
    },
    "the program": ({ topic }) => {
      topic("t").end("cancelled", "enough");
      return Promise.resolve();
    },
  };

/** Without it, the cut would look like a bad network. */
const LAST_WORD =
  'data: {"error":{"message":"The run was cancelled: enough","type":"invalid_request_error","code":"cancelled","param":null}}\n\n';

const END: TopicEnd = { status: "cancelled", reason: "enough" };

async function assertGone(caller: CallerStream): Promise<void> {
  assertEquals(caller.status, 410);
  assertEquals(caller.header("content-type"), "application/problem+json");
  assertEquals((await caller.problem())["code"], "cancelled");
}

for (const [door, cancel] of Object.entries(DOORS)) {
  Deno.test(`${door} cancels a run that its provider has not answered yet`, async () => {
    await using world = await startGateway();
    await using follower = await RawWebSocket.open(world.url, "/topics/t");
    const { exchange, answer } = await world.begin({
      headers: { "rivulet-topic": "t" },
    });
    await cancel(world);
    await within(exchange.closed, LIMIT, "the provider's connection to close");
    await assertGone(await answer);
    assertEquals(await world.ended("t"), END);
    assertEquals((await follower.message("end"))["status"], "cancelled");
    assertEquals(world.provider.count, 1);
  });

  for (
    const [when, said, last] of [
      ["after its head", "", LAST_WORD],
      ["after comments", ": a\n\n", LAST_WORD],
      ["within its first event", start.slice(0, 10), LAST_WORD],
      ["mid-stream", start, LAST_WORD],
      // It would be taken for the rest of the event.
      ["within an event", `${start}data: `, ""],
    ] as const
  ) {
    Deno.test(`${door} cancels a run ${when}`, async () => {
      await using world = await startGateway();
      await using follower = await RawWebSocket.open(world.url, "/topics/t");
      const { exchange, answer } = await world.begin({
        headers: { "rivulet-topic": "t" },
      });
      await exchange.stream(said);
      const caller = await answer;
      assertEquals(caller.status, 200);
      const seen = said.startsWith("data") && said.length === 10 ? "" : said;
      await caller.see(seen);
      await cancel(world);
      await within(
        exchange.closed,
        LIMIT,
        "the provider's connection to close",
      );
      // Without a last word it must not pass for a whole answer.
      assertEquals(await caller.rest(), {
        text: seen + last,
        end: last === "" ? "cut" : "whole",
      });
      assertEquals(await world.ended("t"), END);
      assertEquals((await follower.message("end"))["status"], "cancelled");
      assertEquals(world.provider.count, 1);
    });
  }
}

Deno.test("Each verdict that somebody else gives stops a run", async () => {
  await using world = await startGateway();
  for (
    const status of ["complete", "failed", "truncated", "expired"] as const
  ) {
    const { exchange, answer } = await world.begin({
      headers: { "rivulet-topic": status },
    });
    await exchange.stream(start);
    await (await answer).see(start);
    world.topic(status).end(status, "so");
    await within(exchange.closed, LIMIT, "the provider's connection to close");
    // Nobody has cancelled it.
    assertEquals(await (await answer).rest(), { text: start, end: "cut" });
    assertEquals(await world.ended(status), { status, reason: "so" });
    const unbegun = `${status}-unbegun`;
    const early = await world.begin({ headers: { "rivulet-topic": unbegun } });
    world.topic(unbegun).end(status, "so");
    // It may be asked for again.
    const refused = await early.answer;
    assertEquals(refused.status, 502);
    const { text } = await refused.rest();
    assertStringIncludes(text, `The topic of the run was ended as ${status}`);
  }
});

Deno.test("A run that is cancelled after its last word is whole to its caller", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t" },
  });
  // `[DONE]` is yet to come.
  const said = start + ends[1]![1];
  await exchange.stream(said);
  await (await answer).see(said);
  await until(
    async () => (await world.events("t")).length === 2 || undefined,
    LIMIT,
    "the last word to be taken in",
  );
  await world.cancel("t", "enough");
  await within(exchange.closed, LIMIT, "the provider's connection to close");
  assertEquals(await (await answer).rest(), { text: said, end: "whole" });
});

Deno.test("A topic that is deleted stops its run", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t" },
  });
  await exchange.stream(start);
  await (await answer).see(start);
  const deleted = await world.request("/topics/t", { method: "DELETE" });
  assertEquals(deleted.status, 204);
  await within(exchange.closed, LIMIT, "the provider's connection to close");
  const { text } = await (await answer).rest();
  assertStringIncludes(text, "The run was cancelled");
});

Deno.test("A run that has ended is not cancelled any more", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t" },
  });
  await exchange.stream(start + ends[0]![1]);
  assertEquals(await world.ended("t"), { status: "complete" });
  const response = await world.request("/topics/t/cancel", { method: "POST" });
  assertEquals(response.status, 409);
  await response.body?.cancel();
  await exchange.end();
  assertEquals((await (await answer).rest()).end, "whole");
});
