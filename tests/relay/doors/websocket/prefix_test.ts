// Subscriptions to all topics whose names begin alike: whoever watches an agent follows all
// of its runs with one message (H2).
import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";
import { startStoredRelay } from "../../../support/relay/stores.ts";
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
  const { position, ...following } = await socket.message("following");
  assertEquals(following, { type: "following", topic: "agent:1:*" });
  assertMatch(`${position}`, /^[0-9]+$/);
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

/** Opens a connection that comes back to a prefix. */
async function comeBack(
  url: string,
  since: unknown,
  headers: Record<string, string> = {},
): Promise<RawWebSocket> {
  const socket = await RawWebSocket.open(url, "/ws", headers);
  await socket.message("welcome");
  await socket.say({ type: "subscribe", topic: "p:*", since });
  return socket;
}

/** Reads what is told of topics, until so much has come. */
async function read(socket: RawWebSocket, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const message = await socket.next();
    assert(message, `the connection has ended after ${seen}`);
    const { type, topic } = message;
    if (type === "events") {
      const events = message["events"] as { data: string }[];
      seen.push(...events.map(({ data }) => `${topic} ${data}`));
    } else if (type === "end") seen.push(`${topic} ${message["status"]}`);
    else if (type === "gap") seen.push(`${topic} gap ${message["reason"]}`);
    else if (type === "error") seen.push(`${topic} ${message["code"]}`);
  }
  return seen;
}

for (const kind of ["memory", "sqlite"] as const) {
  Deno.test(`A connection that comes back to a prefix has what came and ended meanwhile, once (${kind})`, async () => {
    const clock = new FakeClock();
    await using world = await startStoredRelay(kind, { clock });
    const { relay } = world;
    const { topics } = relay.relay;
    const run = async (name: string, data: string) => {
      const topic = topics.renew(name);
      await topic.append(event(data));
      topic.end("complete");
      await topic.ended;
    };
    await run("p:before", "no");
    await clock.advance(10_000);
    await using first = await RawWebSocket.open(relay.url, "/ws");
    await first.say({ type: "subscribe", topic: "p:*" });
    const { position } = await first.message("following");
    await clock.advance(1);
    await topics.create("p:living").append(event("1"));
    assertEquals(await read(first, 1), ["p:living 1"]);
    await run("p:seen", "2");
    assertEquals(await read(first, 2), ["p:seen 2", "p:seen complete"]);
    // Of each of those there is more, or nothing, after this place.
    const { log: living } = topics.get("p:living")!;
    const { log: seen } = topics.get("p:seen")!;
    const places = `living@${living.epoch}:1,seen@${seen.epoch}:2`;
    for (let i = 0; i < 2; i++) {
      await run("p:short", `${i}`);
      // Only the store has it then.
      await clock.advance(20_000);
    }
    await run("other", "no");
    await topics.get("p:living")!.append(event("3"));
    await using second = await comeBack(relay.url, `${position},${places}`);
    assertEquals(
      (await second.message("following"))["position"],
      `${position},${places}`,
    );
    assertEquals((await read(second, 5)).toSorted(), [
      "p:living 3",
      "p:short 0",
      "p:short 1",
      "p:short complete",
      "p:short complete",
    ]);
    // The name that it had to its end begins anew, and so do those that are renewed now.
    await run("p:seen", "4");
    assertEquals(await read(second, 2), ["p:seen 4", "p:seen complete"]);
    await second.say({ type: "heartbeat" });
    await second.message("heartbeat");
  });
}

Deno.test("A connection is told its position in a prefix once topics have ended", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  const { topics } = relay.relay;
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.say({ type: "subscribe", topic: "p:*" });
  const following = await socket.message("following");
  await clock.advance(1);
  const run = async (name: string): Promise<string> => {
    const topic = topics.create(name);
    await topic.append(event("1"));
    topic.end("complete");
    await socket.message("end");
    return `${name.slice(2)}@${topic.log.epoch}:2`;
  };
  const places: string[] = [];
  for (let i = 0; i < 63; i++) places.push(await run(`p:${i}`));
  await socket.say({ type: "heartbeat" });
  assertEquals((await socket.next())?.["type"], "heartbeat", "63 are few");
  places.push(await run("p:63"));
  // All of them have just ended.
  assertEquals(await socket.message("position"), {
    type: "position",
    topic: "p:*",
    position: [following["position"], ...places].join(),
  });
  await clock.advance(10_000);
  const last = await run("p:last");
  await clock.advance(5_000);
  const { position } = await socket.message("position");
  const time = Number(following["position"]);
  assertEquals(position, `${time + 10_000},${last}`, "the others are no news");
  // Nothing has ended since.
  await clock.advance(15_000);
  await socket.say({ type: "unsubscribe", topic: "p:*" });
  await socket.say({ type: "subscribe", topic: "q*" });
  const next = await socket.message("following");
  assertEquals(next["topic"], "q*");
  await using back = await comeBack(relay.url, position);
  await back.message("following");
  await back.say({ type: "heartbeat" });
  assertEquals((await back.next())?.["type"], "heartbeat");
});

Deno.test("A position of a prefix has the topics whose end was not written yet", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  const { topics } = relay.relay;
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  // A window that is never opened again.
  await socket.say({ type: "subscribe", topic: "p:*", window: 1 });
  await socket.message("following");
  const slow = topics.create("p:slow");
  await slow.append(["1", "2"].flatMap(event));
  slow.end("complete");
  assertEquals(await read(socket, 1), ["p:slow 1"]);
  const other = topics.create("p:other");
  other.end("complete");
  assertEquals(await read(socket, 1), ["p:other complete"]);
  await clock.advance(15_000);
  const { position } = await socket.message("position");
  assertMatch(`${position}`, new RegExp(`^[0-9]+,slow@${slow.log.epoch}:1$`));
  await using back = await comeBack(relay.url, position);
  assertEquals(await read(back, 2), ["p:slow 2", "p:slow complete"]);
});

Deno.test("A connection that comes back is told which topics are gone, and cannot guess others", async () => {
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const { topics } = relay.relay;
  for (const name of ["p:mine", "p:theirs"]) {
    await topics.create(name).append(event(name));
  }
  const { log: { epoch } } = topics.get("p:theirs")!;
  const headers = {
    authorization: `Bearer ${await mintToken({ read: ["p:mine*"] })}`,
  };
  await using socket = await comeBack(
    relay.url,
    `0,theirs@${epoch}:1,none@${epoch}:1,mine-2@${epoch}:7`,
    headers,
  );
  assertEquals(await read(socket, 4), [
    "p:theirs forbidden",
    "p:none forbidden",
    "p:mine-2 unknown_topic",
    "p:mine p:mine",
  ]);
  const long = `0,${"x".repeat(100)}@${epoch}:1`.repeat(200);
  for (const since of ["", "now", "0,a", `${epoch}:1`, long, 7]) {
    await using other = await comeBack(relay.url, since, headers);
    const { code, topic } = await other.message("error");
    assertEquals([code, topic], [
      "invalid_message",
      typeof since === "string" && since.length < 100 ? "p:*" : topic,
    ], `${since}`);
    await other.say({ type: "subscribe", topic: "p:*" });
    assertEquals(await read(other, 1), ["p:mine p:mine"], "it can begin anew");
  }
});
