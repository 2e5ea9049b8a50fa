// A run that another relay has begun, and of which nothing comes for long.
import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { GatewayTree } from "../../support/links/gateway_tree.ts";
import { LIMIT, until } from "../../support/within.ts";

const { path, start, ends: [end] } = WIRE_FORMATS["Responses"]!; // there is one
const LAST = end![1]; // there are some

/** The time for which a relay has an unused topic of another one at hand, and more. */
const LONG = 15_000;

Deno.test("A caller that joins a run of another relay is answered, however late it begins", async () => {
  const clock = new FakeClock();
  await using tree = await GatewayTree.start(1, { clock });
  const [root, edge] = tree.relays;
  const key = { "Idempotency-Key": "k" };
  const asked = tree.ask(root!, path, "t", key); // of two
  const exchange = await tree.next();
  const joined = tree.ask(edge!, path, "t", key);
  const { topics } = edge!.relay;
  await until(() => topics.get("t"), LIMIT, "the topic at the edge");
  for (let now = 0; now < LONG; now += 1_000) await clock.advance(1_000);
  await exchange.stream(start);
  await exchange.end(LAST);
  const callers = await Promise.all([asked, joined]);
  for (const caller of callers) {
    assertEquals((await caller.rest()).end, "whole");
  }
  assertEquals(topics.get("t")?.followers, 0);
  assertEquals(tree.provider.count, 1);
});
