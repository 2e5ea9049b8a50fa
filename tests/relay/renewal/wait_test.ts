// A subscription that does not wait for a topic that is not there (field.md H6).
import { assertEquals, assertRejects } from "@std/assert";
import { subscribe, SubscriptionError } from "../../../relay/client/mod.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { LIMIT, until, within } from "../../support/within.ts";

Deno.test("A subscription with wait=false to an unknown topic is refused, and makes none", async () => {
  await using world = await startRelay();
  const target = "/topics/t?wait=false";
  const stream = await world.request(target);
  assertEquals(stream.status, 404);
  assertEquals((await stream.json()).code, "unknown_topic");
  for (const path of [target, "/ws"]) {
    await using socket = await RawWebSocket.open(world.url, path);
    if (path === "/ws") {
      await socket.say({ type: "subscribe", topic: "t", wait: false });
    }
    const { code, topic } = await socket.message("error");
    assertEquals([code, topic], ["unknown_topic", "t"]);
  }
  assertEquals(world.relay.topics.size, 0);
  world.relay.topics.create("t");
  await using socket = await RawWebSocket.open(world.url, target);
  assertEquals((await socket.message("subscribed"))["state"], "pending");
});

for (const door of ["/topics/t", "/ws"]) {
  Deno.test(`H6: a subscriber learns that a restarted relay has lost its topic: ${door}`, async () => {
    await using world = await startRelay();
    await using line = await CuttableLine.start(world.port);
    await world.relay.topics.create("t").append([{ data: "a" }]);
    await using subscription = subscribe(`${line.url}${door}`, {
      ...(door === "/ws" && { topic: "t" }),
      wait: false,
      reconnect: { minTimeout: 1, maxTimeout: 5 },
    });
    const { value } = await within(subscription.next(), LIMIT, "an event");
    assertEquals(value?.type, "event");
    line.cut();
    await until(
      () => subscription.state === "waiting" || undefined,
      LIMIT,
      "the loss",
    );
    // As a relay is that was restarted without a store.
    world.relay.topics.delete("t");
    line.mend();
    const rest = async () => {
      for await (const _message of subscription);
    };
    const error = await assertRejects(
      () => within(rest(), LIMIT, "the refusal"),
      SubscriptionError,
    );
    assertEquals([error.code, error.relayCode], ["refused", "unknown_topic"]);
  });
}
