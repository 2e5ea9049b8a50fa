// Turns of chats as an operator has them: limits, a drain, metrics, logs.
import { assert, assertEquals } from "@std/assert";
import {
  BEGIN,
  opening,
  REST,
  startChats,
  UI_HEADER,
} from "../../../support/gateway/chat_world.ts";

Deno.test("A turn takes one of the upstreams that its client may have", async () => {
  await using world = await startChats({
    limits: { maxUpstreamsPerClient: 1 },
  });
  const { exchange, answer } = await world.beginTurn({ id: "1" });
  const refused = await world.say({ id: "2" });
  assertEquals(refused.status, 429);
  assertEquals(
    (await refused.problem())["code"],
    "too_many_upstreams_of_client",
  );
  assertEquals(await world.describe("raw:2"), undefined);
  await exchange.stream(BEGIN + REST, UI_HEADER);
  await (await answer).rest();
});

Deno.test("A relay that is drained lets a turn end, and takes no other", async () => {
  await using world = await startChats();
  const { exchange, answer } = await world.beginTurn();
  await exchange.stream(BEGIN, UI_HEADER);
  await using caller = await answer;
  await caller.see(BEGIN);
  const drained = world.relay.drain(30_000);
  const refused = await world.say({ id: "8" });
  assertEquals(refused.status, 503);
  assertEquals((await refused.problem())["code"], "draining");
  await exchange.end(REST);
  assertEquals(await caller.rest(), {
    text: opening() + BEGIN + REST,
    end: "whole",
  });
  await drained;
});

Deno.test("A turn counts as a run, by its outcome", async () => {
  await using world = await startChats();
  for (const [id, rest] of [["1", REST], ["2", ""]] as const) {
    const { exchange, answer } = await world.beginTurn({ id });
    await exchange.stream(BEGIN, UI_HEADER);
    await exchange.end(rest);
    await (await answer).rest();
  }
  const text = await (await world.request("/metrics")).text();
  const runs = text.split("\n").filter((line) =>
    line.startsWith("rivulet_runs_ended_total{") && !line.endsWith(" 0")
  ).map((line) => line.replace(/^.*outcome="(\w+)".* (\d+)$/, "$1 $2"));
  assertEquals(runs.sort(), ["complete 1", "truncated 1"]);
  assert(!text.includes("raw:1"));
});

Deno.test("A turn is recorded as a run is, without what its caller is let in with", async () => {
  const folder = await Deno.makeTempDir({ prefix: "rivulet-chat-" });
  try {
    {
      await using world = await startChats({ gateway: { record: folder } });
      const { exchange, answer } = await world.beginTurn({
        headers: { authorization: "Bearer of-the-user", cookie: "user=ada" },
      });
      await exchange.stream(BEGIN, UI_HEADER);
      await exchange.end(REST);
      await (await answer).rest();
    }
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    const [facts = "", stream = ""] = names.toSorted();
    assertEquals(names.length, 2);
    const recorded = await Deno.readTextFile(`${folder}/${stream}`);
    // Its comments tell the times, and the end.
    assertEquals(recorded.replaceAll(/^: .*\n\n?/gm, ""), BEGIN + REST);
    const text = await Deno.readTextFile(`${folder}/${facts}`);
    const { topic, path, body, end, events } = JSON.parse(text);
    assertEquals([topic, end.status], ["raw:7", "complete"]);
    assertEquals([path, body.id], ["/base/v1/chat", "7"]);
    assertEquals(events, 7);
    assert(!/of-the-user|user=ada/.test(text), text);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
