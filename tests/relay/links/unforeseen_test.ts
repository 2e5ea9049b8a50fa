// A stream that nobody foresaw, through an edge.
import { assertEquals } from "@std/assert";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { startRelay } from "../../support/relay/relay.ts";

Deno.test("The topic of a stream that an edge did not foresee ends as the stream does", async () => {
  const { start, ends } = WIRE_FORMATS["Responses"]!; // it is one
  await using root = await startRelay({ links: true }, "process");
  await using world = await startGateway({ store: root.url });
  const asked = world.request("/v1/responses/resp_1?stream=true");
  const exchange = await world.provider.next();
  await exchange.stream(start);
  const caller = new CallerStream(await asked);
  await exchange.end(ends[0]![1]);
  await caller.rest();
  const name = caller.header("rivulet-topic") ?? "";
  assertEquals((await world.ended(name)).status, "complete");
  assertEquals((await world.events(name)).length, 2);
});
