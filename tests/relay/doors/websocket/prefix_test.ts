// Subscriptions to all topics whose names begin alike: whoever watches an agent follows all
// of its runs with one message (H2).
import { assertEquals } from "@std/assert";
import { startRelay } from "../../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";
import { PrefixStream } from "../../../support/subscribers/prefix_stream.ts";
import { RawWebSocket } from "../../../support/subscribers/raw_websocket.ts";

const event = (data: string) => [{ event: "message", data, id: "" }];

Deno.test("A prefix follows the topics that there are, and those that come (H2)", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  topics.create("agent:1:a").append(event("a"));
  topics.create("agent:10:a").append(event("other"));
  topics.create("agent:1:over").end("complete");
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.message("welcome");
  await socket.say({ type: "subscribe", topic: "agent:1:*" });
  assertEquals(await socket.next(), { type: "following", topic: "agent:1:*" });
  assertEquals((await socket.message("events"))["topic"], "agent:1:a");
  topics.create("agent:2:b").append(event("other"));
  const later = topics.create("agent:1:b");
  later.append(event("b"));
  assertEquals((await socket.message("events"))["topic"], "agent:1:b");
  later.end("complete");
  assertEquals((await socket.message("end"))["topic"], "agent:1:b");
  // The same name once more.
  await socket.say({ type: "subscribe", topic: "agent:1:*" });
  assertEquals((await socket.message("error"))["code"], "already_subscribed");
  await socket.say({ type: "unsubscribe", topic: "agent:1:*" });
  await socket.say({ type: "heartbeat" });
  await socket.message("heartbeat");
  topics.create("agent:1:c").append(event("c"));
  topics.get("agent:1:a")?.end("complete");
  assertEquals((await socket.message("end"))["topic"], "agent:1:a");
  await socket.say({ type: "unsubscribe", topic: "agent:1:*" });
  assertEquals((await socket.next())?.["code"], "not_subscribed");
});

Deno.test("A prefix goes on with a topic that is renewed while it is read", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  await topics.create("p:a").append(event("1"));
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.say({ type: "subscribe", topic: "p:*" });
  await using stream = await PrefixStream.open(relay.url, "p:*");
  for (const reader of [socket, stream]) await reader.message("events");
  for (const data of ["2", "3"]) {
    // In one turn: neither reader has been told of the end.
    topics.get("p:a")!.end("complete");
    const next = topics.renew("p:a").append(event(data));
    for (const reader of [socket, stream]) {
      assertEquals((await reader.message("end"))["status"], "complete");
      assertEquals((await reader.message("subscribed"))["after"], 0);
      assertEquals((await reader.message("events"))["events"], [{ data }]);
    }
    await next;
  }
});

Deno.test("A prefix shows no topic that its token may not read", async () => {
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const { topics } = relay.relay;
  topics.create("a-secret").append(event("secret"));
  const token = await mintToken({ read: ["a-mine-*"] });
  await using socket = await RawWebSocket.open(relay.url, "/ws", {
    authorization: `Bearer ${token}`,
  });
  await socket.say({ type: "subscribe", topic: "a-*" });
  await socket.message("following");
  topics.create("a-secret-2").append(event("secret"));
  topics.create("a-mine-1").append(event("mine"));
  assertEquals((await socket.next())?.["topic"], "a-mine-1");
});

Deno.test("A connection has a bound of prefixes, and refuses what is none", async () => {
  await using relay = await startRelay();
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  for (let i = 0; i < 9; i++) {
    await socket.say({ type: "subscribe", topic: `p${i}-*` });
  }
  const { code } = await socket.message("error");
  assertEquals(code, "too_many_subscriptions");
  for (const topic of ["a*b", "**", "*a", ".*"]) {
    await socket.say({ type: "subscribe", topic });
    assertEquals([topic, (await socket.message("error"))["code"]], [
      topic,
      "invalid_topic",
    ]);
  }
});

Deno.test("A connection is told of one of the topics that it has no room for", async () => {
  await using relay = await startRelay({ limits: { maxSubscriptions: 3 } });
  const { topics } = relay.relay;
  for (let i = 0; i < 200; i++) topics.create(`p-${i}`);
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  const told: unknown[] = [];
  // Each is answered with as little, however many topics there are.
  for (let round = 0; round < 20; round++) {
    await socket.say({ type: "subscribe", topic: "p-*" });
    await socket.say({ type: "unsubscribe", topic: "p-*" });
  }
  await socket.say({ type: "subscribe", topic: "nothing*" });
  for (;;) {
    const message = await socket.next();
    if (message?.["topic"] === "nothing*") break;
    told.push(message?.["code"] ?? message?.["type"]);
  }
  const count = (what: string): number =>
    told.filter((one) => one === what).length;
  assertEquals([count("following"), count("too_many_subscriptions")], [20, 20]);
});
