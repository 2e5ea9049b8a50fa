// Subscriptions that stay for the next epoch of their topic, on every door.
import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { readEvents } from "../../../src/sse/read_events.ts";
import { MAX_FORMER } from "../../../relay/topics/former_topics.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { LIMIT, until, within } from "../../support/within.ts";

type Json = Record<string, unknown>;

/** Publishes a turn, which ends with it unless it is to stay open. */
async function turn(
  { relay }: TestRelay,
  data: readonly string[],
  isOpen = false,
): Promise<string> {
  const topic = relay.topics.renew("t");
  if (data.length > 0) await topic.append(data.map((data) => ({ data })));
  if (!isOpen) topic.end("complete");
  return topic.log.epoch;
}

/** Reads messages up to one of a type: what says where the reader is. */
async function take(socket: RawWebSocket, last: string): Promise<string[]> {
  const lines: string[] = [];
  for (;;) {
    const message = await socket.next();
    assert(message, `the connection is closed before ${last}`);
    switch (message["type"]) {
      case "subscribed":
        lines.push(
          `${message["epoch"]} ${message["state"]} ${message["recovered"]}`,
        );
        break;
      case "events":
        for (const { data } of message["events"] as { data: string }[]) {
          lines.push(data);
        }
        break;
      case "end":
        lines.push(`end ${message["status"]} ${message["offset"]}`);
        break;
      case "gap":
        lines.push(
          `gap ${message["reason"]} ${message["from"]}-${message["to"]}`,
        );
        break;
      case "error":
        lines.push(`error ${message["code"]}`);
        break;
    }
    if (message["type"] === last) return lines;
  }
}

for (const target of ["/topics/t?stay", "/ws"]) {
  Deno.test(`A WebSocket at ${target} stays for each next epoch`, async () => {
    await using world = await startRelay();
    const first = await turn(world, ["a"], true);
    await using socket = await RawWebSocket.open(world.url, target);
    if (target === "/ws") {
      await socket.say({ type: "subscribe", topic: "t", stay: true });
    }
    assertEquals(await take(socket, "live"), [`${first} open true`, "a"]);
    world.relay.topics.get("t")?.end("failed");
    assertEquals(await take(socket, "end"), ["end failed 2"]);
    const second = await turn(world, ["b", "c"]);
    assertEquals(await take(socket, "end"), [
      `${second} ended true`,
      "b",
      "c",
      "end complete 3",
    ]);
    const third = await turn(world, [], true);
    assertEquals(await take(socket, "subscribed"), [`${third} pending true`]);
    assertEquals(world.relay.topics.get("t")?.followers, 1);
  });
}

Deno.test("A subscription that does not stay ends with its epoch", async () => {
  await using world = await startRelay();
  await turn(world, ["a"], true);
  await using socket = await RawWebSocket.open(world.url, "/topics/t");
  await take(socket, "live");
  world.relay.topics.get("t")?.end("complete");
  await turn(world, ["b"]);
  assertEquals(await take(socket, "end"), ["end complete 2"]);
  assertEquals(await socket.closeCode(), 1000);
});

Deno.test("A reader that is behind gets the rest of each epoch, and its end", async () => {
  await using world = await startRelay();
  const first = await turn(world, ["a", "b"]);
  const second = await turn(world, ["c"]);
  const third = await turn(world, [], true);
  for (const target of ["/topics/t?stay&", "/topics/t?"]) {
    await using socket = await RawWebSocket.open(
      world.url,
      `${target}after=${first}:1`,
    );
    const rest = [`${first} ended true`, "b", "end complete 3"];
    assertEquals(await take(socket, "end"), rest);
    if (target === "/topics/t?") {
      assertEquals(await socket.closeCode(), 1000);
      continue;
    }
    assertEquals(await take(socket, "end"), [
      `${second} ended true`,
      "c",
      "end complete 2",
    ]);
    assertEquals(await take(socket, "subscribed"), [`${third} pending true`]);
  }
});

Deno.test("A position at or behind the end of an epoch is answered with the end alone", async () => {
  await using world = await startRelay();
  const epoch = await turn(world, ["a", "b"]);
  for (const offset of [2, 3, 4, 99]) {
    const target = `/topics/t?after=${epoch}:${offset}`;
    await using socket = await RawWebSocket.open(world.url, target);
    assertEquals(await take(socket, "end"), [
      `${epoch} ended true`,
      "end complete 3",
    ]);
    const stream = await world.request(target);
    assertEquals(stream.status, offset === 2 ? 200 : 204);
    const text = await stream.text();
    assertEquals(/^data: [ab]$/m.test(text), false);
  }
});

Deno.test("A reader that stands still for many epochs is told what it has lost", async () => {
  await using world = await startRelay();
  const first = await turn(world, ["a", "b"], true);
  await using socket = await RawWebSocket.open(world.url, "/ws");
  await socket.say({ type: "subscribe", topic: "t", stay: true, window: 1 });
  assertEquals(await take(socket, "events"), [`${first} open true`, "a"]);
  world.relay.topics.get("t")?.end("complete");
  const epochs: string[] = [];
  for (let count = 0; count <= MAX_FORMER; count++) {
    epochs.push(await turn(world, [`${count}`, "more"]));
  }
  await socket.say({ type: "ack", topic: "t", offset: 1 });
  assertEquals(await take(socket, "end"), [
    "gap evicted 2-2",
    "end complete 3",
  ]);
  // The epochs that are left, from the oldest on.
  const [oldest, , , third] = epochs;
  assertEquals(await take(socket, "events"), [`${oldest} ended true`, "0"]);
  for (const data of ["x", "y", "z"]) await turn(world, [data]);
  await socket.say({ type: "ack", topic: "t", offset: 1, epoch: oldest });
  assertEquals(await take(socket, "end"), [
    "gap evicted 2-2",
    "end complete 3",
  ]);
  assertEquals(await take(socket, "events"), [
    `${third} ended false`,
    "gap epoch 1-0",
    "3",
  ]);
});

Deno.test("A reader that waits is told of a topic that was deleted, or forgotten, and made anew", async () => {
  const clock = new FakeClock(Date.now());
  await using world = await startRelay({
    clock,
    retention: { endedTtl: 5_000 },
  });
  await turn(world, ["a"]);
  await using socket = await RawWebSocket.open(world.url, "/topics/t?stay");
  await take(socket, "end");
  world.relay.topics.delete("t");
  const second = await turn(world, ["b"]);
  assertEquals(await take(socket, "end"), [
    `${second} ended true`,
    "b",
    "end complete 2",
  ]);
  await clock.advance(7_000);
  assertEquals(world.relay.topics.get("t"), undefined);
  const third = await turn(world, ["c"]);
  assertEquals(await take(socket, "end"), [
    `${third} ended true`,
    "c",
    "end complete 2",
  ]);
});

Deno.test("A subscription that waits counts, can be left, and is there once", async () => {
  await using world = await startRelay({ limits: { maxSubscriptions: 1 } });
  await turn(world, ["a"]);
  await using socket = await RawWebSocket.open(world.url, "/ws");
  await socket.say({ type: "subscribe", topic: "t", stay: true });
  await take(socket, "end");
  await socket.say({ type: "heartbeat" });
  await socket.message("heartbeat");
  await socket.say({ type: "subscribe", topic: "t" });
  assertEquals(await take(socket, "error"), ["error already_subscribed"]);
  await socket.say({ type: "subscribe", topic: "u" });
  assertEquals(await take(socket, "error"), ["error too_many_subscriptions"]);
  await socket.say({ type: "unsubscribe", topic: "t" });
  await socket.say({ type: "unsubscribe", topic: "t" });
  assertEquals(await take(socket, "error"), ["error not_subscribed"]);
  await turn(world, ["b"]);
  await socket.say({ type: "subscribe", topic: "u" });
  assertEquals((await socket.message("subscribed"))["topic"], "u");
});

Deno.test("An ack and a cancel that name an epoch mean no other", async () => {
  await using world = await startRelay();
  const first = await turn(world, ["a"]);
  await using socket = await RawWebSocket.open(world.url, "/ws");
  await socket.say({ type: "subscribe", topic: "t", stay: true });
  await take(socket, "end");
  const second = await turn(world, ["b"], true);
  await take(socket, "live");
  await socket.say({ type: "ack", topic: "t", offset: 7, epoch: first });
  await socket.say({ type: "cancel", topic: "t", epoch: first });
  assertEquals(await take(socket, "error"), ["error topic_ended"]);
  await socket.say({ type: "cancel", topic: "t", epoch: "no-such-epoch" });
  assertEquals(await take(socket, "error"), ["error topic_ended"]);
  assertEquals(world.relay.topics.get("t")?.state.kind, "open");
  await socket.say({ type: "cancel", topic: "t", epoch: second });
  assertEquals(await take(socket, "end"), ["end cancelled 2"]);
});

Deno.test("A subscription that waits ends with the right to read its topic", async () => {
  await using world = await startRelay({ rights: { jwtKey: JWT_KEY } });
  await turn(world, ["a"]);
  const token = await mintToken({ read: ["t"] });
  const authorization = { authorization: `Bearer ${token}` };
  for (const target of ["/ws", "/topics/t?stay"]) {
    await using socket = await RawWebSocket.open(
      world.url,
      target,
      authorization,
    );
    if (target === "/ws") {
      await socket.say({ type: "subscribe", topic: "t", stay: true });
    }
    await take(socket, "end");
    const other = await mintToken({ read: ["u"] });
    await socket.say({ type: "auth", token: other });
    if (target === "/ws") {
      assertEquals(await take(socket, "error"), ["error forbidden"]);
    } else assertEquals(await socket.closeCode(), 4503);
  }
});

/** Reads the events of a stream up to one. */
async function* lines(response: Response): AsyncGenerator<string> {
  for await (const { event, data, id } of readEvents(response.body!)) {
    const message: Json = event.startsWith("rivulet.") ? JSON.parse(data) : {};
    yield event === "rivulet.subscribed"
      ? `${message["epoch"]} ${message["recovered"]}`
      : event === "rivulet.end"
      ? `end ${id}`
      : event === "message"
      ? `${data} ${id}`
      : event;
  }
}

async function next(stream: AsyncGenerator<string>): Promise<string> {
  return (await within(stream.next(), LIMIT, "an event")).value ?? "";
}

Deno.test("An event stream stays for the next epoch, and resumes after an end", async () => {
  await using world = await startRelay();
  const first = await turn(world, ["a"]);
  const open = async (headers: Record<string, string> = {}) =>
    lines(await world.request("/topics/t?stay", { headers }));
  let stream = await open();
  assertEquals(await next(stream), `${first} true`);
  assertEquals(await next(stream), `a ${first}:1`);
  assertEquals(await next(stream), `end ${first}:2`);
  const second = await turn(world, ["b"]);
  assertEquals(await next(stream), `${second} true`);
  assertEquals(await next(stream), `b ${second}:1`);
  await stream.return(undefined);
  const third = await turn(world, [], true);
  stream = await open({ "last-event-id": `${second}:1` });
  assertEquals(await next(stream), `${second} true`);
  assertEquals(await next(stream), `end ${second}:2`);
  assertEquals(await next(stream), `${third} true`);
  await stream.return(undefined);
  stream = await open({ "last-event-id": `${second}:2` });
  assertEquals(await next(stream), `${second} true`);
  assertEquals(await next(stream), `end ${second}:2`);
  assertEquals(await next(stream), `${third} true`);
  await stream.return(undefined);
});

Deno.test("A raw stream does not stay: it could not say where an epoch ends", async () => {
  await using world = await startRelay();
  const response = await world.request("/topics/t?raw&stay");
  assertEquals(response.status, 400);
  assertEquals((await response.json()).code, "unsupported");
  const wrong = await world.request("/topics/t?stay=for-ever");
  assertEquals((await wrong.json()).code, "invalid_query");
});

Deno.test("A relay that is drained sends away those who wait", async () => {
  await using world = await startRelay();
  await turn(world, ["a"]);
  await using socket = await RawWebSocket.open(world.url, "/topics/t?stay");
  await take(socket, "end");
  const stream = await world.request("/topics/t?stay");
  await within(
    Promise.all([world.relay.drain(0), socket.closeCode(), stream.text()]),
    LIMIT,
    "the drain",
  );
});

Deno.test("A reader that was away for the beginning of the next epoch is told of that", async () => {
  await using world = await startRelay({ retention: { maxEvents: 2 } });
  await turn(world, ["a"], true);
  await using socket = await RawWebSocket.open(world.url, "/ws");
  await socket.say({ type: "subscribe", topic: "t", stay: true, window: 1 });
  await take(socket, "events");
  world.relay.topics.get("t")?.end("complete");
  const second = await turn(world, ["1", "2", "3", "4"]);
  await socket.say({ type: "ack", topic: "t", offset: 1 });
  assertEquals(await take(socket, "end"), ["end complete 2"]);
  assertEquals(await take(socket, "events"), [
    `${second} ended false`,
    "gap evicted 1-2",
    "3",
  ]);
});

Deno.test("Nobody waits for the next epoch whose connection is closed", async () => {
  await using world = await startRelay();
  await turn(world, ["a"]);
  for (const target of ["/topics/t?stay", "/topics/t?stay"]) {
    const socket = await RawWebSocket.open(world.url, target);
    await take(socket, "end");
    await socket[Symbol.asyncDispose]();
    const stream = lines(await world.request(target));
    await next(stream);
    await stream.return(undefined);
  }
  await until(
    async () => {
      const metrics = await (await world.request("/metrics")).text();
      const open = [...metrics.matchAll(/^rivulet_connections\{.*\} (\d+)$/gm)];
      return open.length > 0 && open.every(([, count]) => count === "0") ||
        undefined;
    },
    LIMIT,
    "the relay to hear of the closed connections",
  );
  await using other = await RawWebSocket.open(world.url, "/topics/t?stay");
  await take(other, "end");
  await turn(world, [], true);
  // Whoever waits is told in one go.
  await take(other, "subscribed");
  assertEquals(world.relay.topics.get("t")?.followers, 1);
});
