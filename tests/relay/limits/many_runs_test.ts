// A peer that begins many runs at once does not keep others waiting.
import { assertEquals } from "@std/assert";
import { slices } from "../../../relay/slices.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { LIMIT, until, within } from "../../support/within.ts";

Deno.test("A7: the runs of a client wait for those before them, and nobody else does", async () => {
  await using world = await startGateway();
  // The client has more to begin than a turn of the event loop has time for.
  let isFree = false;
  const before = slices.run("runs of 127.0.0.1", {
    next: () => isFree ? { done: true, value: undefined } : { done: false },
  });
  let asked = 0;
  const exchange = world.provider.next();
  void exchange.then(() => asked++);
  const answer = world.ask({ headers: { "Rivulet-Topic": "late" } });
  const { topics } = world.relay;
  await until(() => topics.get("late"), LIMIT, "the topic of the run");
  for (let at = 0; at < 3; at++) {
    const health = await world.request("/healthz");
    await health.body?.cancel();
    assertEquals([health.status, asked], [200, 0]);
  }
  isFree = true;
  await before;
  await (await within(exchange, LIMIT, "the request")).stream();
  await using caller = await within(answer, LIMIT, "the answer");
  assertEquals(caller.status, 200);
});
