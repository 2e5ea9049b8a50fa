// A run begins a new epoch of a topic that has ended.
import { assertEquals, assertNotEquals } from "@std/assert";
import {
  type GatewayWorld,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import type { CallerStream } from "../../support/gateway/caller_stream.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";

const { path, start, delta, ends } = WIRE_FORMATS["Responses"]!;
const END = ends[0]![1];

const RENEW = { "rivulet-topic": "t", "rivulet-if-ended": "renew" };

/** Makes a run of the topic, to its end. */
async function turn(
  world: GatewayWorld,
  text: string,
  headers: Record<string, string> = {},
): Promise<CallerStream> {
  const { exchange, answer } = await world.begin({
    path,
    headers: { ...RENEW, ...headers },
  });
  await exchange.stream(start + delta(text) + END);
  await exchange.end();
  const caller = await answer;
  await caller.rest();
  await world.ended("t");
  return caller;
}

async function refusal(
  world: GatewayWorld,
  headers: Record<string, string>,
): Promise<[number, unknown]> {
  const caller = await world.ask({ path, headers });
  return [caller.status, (await caller.problem())["code"]];
}

Deno.test("Runs follow each other under one name, each in an epoch of its own", async () => {
  await using world = await startGateway();
  const first = await turn(world, "a");
  assertEquals(
    await refusal(world, { "rivulet-topic": "t" }),
    [409, "topic_ended"],
  );
  const { exchange, answer } = await world.begin({ path, headers: RENEW });
  assertEquals(await refusal(world, RENEW), [409, "topic_busy"]);
  await exchange.stream(start);
  const second = await answer;
  assertEquals(await refusal(world, RENEW), [409, "topic_busy"]);
  assertEquals(second.header("rivulet-topic"), "t");
  assertNotEquals(
    second.header("rivulet-epoch"),
    first.header("rivulet-epoch"),
  );
  await exchange.end(delta("b") + END);
  await second.rest();
  assertEquals((await world.ended("t")).status, "complete");
  // The rest for its first caller is in the epoch before.
  const rest = await world.request("/topics/t?raw", {
    headers: { "last-event-id": `${first.header("rivulet-epoch")}:1` },
  });
  assertEquals((await rest.text()).match(/"delta":"\w"/g), ['"delta":"a"']);
  assertEquals(
    await refusal(world, { ...RENEW, "rivulet-if-ended": "now" }),
    [400, "invalid_header"],
  );
});

Deno.test("A cancelled run is followed by the next, where that is asked for", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin({ path, headers: RENEW });
  await exchange.stream(start);
  const first = await answer;
  world.topic("t").end("cancelled", "enough");
  await first.rest();
  assertEquals(
    await refusal(world, { "rivulet-topic": "t" }),
    [410, "cancelled"],
  );
  const second = await turn(world, "b");
  assertNotEquals(
    second.header("rivulet-epoch"),
    first.header("rivulet-epoch"),
  );
});

Deno.test("A run that is asked for again is not paid again, though its topic was renewed", async () => {
  await using folder = new TemporaryFolder();
  for (const store of ["memory", `sqlite:${folder.path}/store.db`]) {
    const options = store === "memory" ? {} : { store };
    await using world = await startGateway(options);
    const first = await turn(world, "a", { "idempotency-key": "1" });
    await turn(world, "b", { "idempotency-key": "2" });
    const again = await world.ask({
      path,
      headers: { ...RENEW, "idempotency-key": "1" },
    });
    assertEquals(again.header("idempotent-replayed"), "true");
    assertEquals(
      again.header("rivulet-epoch"),
      first.header("rivulet-epoch"),
    );
    assertEquals((await again.rest()).text.includes('"delta":"a"'), true);
    assertEquals(world.provider.count, 2);
    // So is a response, by its id.
    await turn(world, "c");
    assertEquals([...world.relay.topics.epochs("t")].length, 3);
  }
});

Deno.test("A run that the provider refuses ends its epoch, and the next run begins another", async () => {
  await using world = await startGateway();
  const first = await turn(world, "a");
  const { exchange, answer } = await world.begin({ path, headers: RENEW });
  await exchange.json(400, { error: { message: "no" } });
  const refused = await answer;
  assertEquals(refused.status, 400);
  await refused.rest();
  assertEquals((await world.ended("t")).status, "failed");
  assertNotEquals(
    world.topic("t").log.epoch,
    first.header("rivulet-epoch"),
  );
  // Without an event, it is replaced as ever, and what was before it stays.
  const again = await world.begin({ path, headers: { "rivulet-topic": "t" } });
  await again.exchange.stream(start + END);
  await again.exchange.end();
  await (await again.answer).rest();
  assertEquals(
    [...world.relay.topics.epochs("t")].map(({ state }) =>
      state.kind === "ended" && state.end.status
    ),
    ["complete", "failed", "complete"],
  );
});

Deno.test("A run that is asked for again after a 429 goes on in the epoch that it has begun", async () => {
  await using world = await startGateway();
  await turn(world, "a");
  const { exchange, answer } = await world.begin({ path, headers: RENEW });
  await exchange.json(429, {});
  await (await answer).rest();
  const { epoch } = world.topic("t").log;
  const second = await turn(world, "b");
  assertEquals(second.header("rivulet-epoch"), epoch);
});
