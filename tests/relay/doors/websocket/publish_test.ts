// Events that come in a WebSocket's frame.
import { assertEquals } from "@std/assert";
import type { Topic } from "../../../../relay/topics/topic.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { RawWebSocket } from "../../../support/subscribers/raw_websocket.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../../support/within.ts";

function publish(topic: string, data: readonly string[], id?: string) {
  const events = data.map((data) => ({ data }));
  return { type: "publish", topic, events, id };
}

async function dataOf(topic: Topic | undefined): Promise<string[]> {
  const { entries } = await topic!.log.read(1, { events: 999, bytes: 1e9 }); // it was published to
  return entries.map(({ event }) => event.data);
}

/** Holds up those who fill a topic until it is released. */
function hold(topic: Topic): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  topic.observe({ changed() {}, caughtUp: () => promise });
  return resolve;
}

Deno.test("A frame publishes events, makes the topic, and is told where they stand", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await using follower = await RawWebSocket.open(relay.url, "/topics/t");
  const events = [
    { data: "two\r\nlines" },
    { event: "x", data: "", id: "7" },
    { event: "", data: "b" },
  ];
  await socket.say({ type: "publish", topic: "t", events });
  const { epoch } = topics.create("t").log;
  assertEquals(await socket.message("published"), {
    type: "published",
    topic: "t",
    epoch,
    first: 1,
    next: 4,
  });
  assertEquals((await follower.message("events"))["events"], [
    { data: "two\nlines" }, // as an event stream has it
    { event: "x", data: "", id: "7" },
    { data: "b" },
  ]);
  await socket.say(publish("t", ["c"], "k"));
  assertEquals(await socket.message("published"), {
    type: "published",
    topic: "t",
    epoch,
    first: 4,
    next: 5,
    id: "k",
  });
  await socket.say(publish("new", ["a"]));
  assertEquals((await socket.message("published"))["topic"], "new");
  assertEquals(await dataOf(topics.get("new")), ["a"]);
});

Deno.test("A frame with an id that was seen before in its topic is acknowledged, and not repeated", async () => {
  await using relay = await startRelay();
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  const say = async (message: Record<string, unknown>) => {
    await socket.say(message);
    const { topic, first, next, id } = await socket.message("published");
    return [topic, first, next, id];
  };
  assertEquals(await say(publish("t", ["a", "b"], "k")), ["t", 1, 3, "k"]);
  assertEquals(await say(publish("t", ["a", "b"], "k")), ["t", 1, 3, "k"]);
  assertEquals(await say(publish("t", ["c"], "l")), ["t", 3, 4, "l"]);
  assertEquals(await say(publish("u", ["a"], "k")), ["u", 1, 2, "k"]);
  // It is the Idempotency-Key of the other door.
  const response = await relay.request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": "k" },
    body: JSON.stringify(publish("t", ["a", "b"]).events),
  });
  const { first, next } = await response.json();
  assertEquals([first, next], [1, 3]);
  assertEquals(await dataOf(relay.relay.topics.get("t")), ["a", "b", "c"]);
});

Deno.test("A frame that publishes is refused whole, and with its id", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  const wrong: Record<string, unknown>[] = [
    {},
    { events: [] },
    { events: { data: "a" } },
    { events: [{ data: "a" }, {}] },
    { events: [{ data: 7 }] },
    { events: [{ data: "a", color: "blue" }] },
    { events: [{ data: "a", event: "x\ny" }] },
    { events: [{ data: "a", id: "\0" }] },
    { events: [{ data: "a" }], id: "" },
    { events: [{ data: "a" }], id: 7 },
    { events: [{ data: "a" }], id: "x".repeat(257) },
  ];
  for (const fields of wrong) {
    await socket.say({ type: "publish", topic: "t", ...fields });
    const { code, topic, retryable } = await socket.message("error");
    assertEquals(
      [code, topic, retryable],
      ["invalid_message", "t", false],
      JSON.stringify(fields),
    );
  }
  // Nothing has filled it, so there is none.
  assertEquals(topics.get("t"), undefined);
  topics.create("done").end("complete");
  await socket.say(publish("done", ["a"], "k"));
  const { code, id, retryable } = await socket.message("error");
  assertEquals([code, id, retryable], ["topic_ended", "k", false]);
});

Deno.test("A frame with an id that is being published under may be repeated later", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  const release = hold(topic);
  await using one = await RawWebSocket.open(relay.url, "/ws");
  await using two = await RawWebSocket.open(relay.url, "/ws");
  await one.say(publish("t", ["a"], "k"));
  await until(() => topic.log.next === 2 || undefined, LIMIT, "the event");
  await two.say(publish("t", ["a"], "k"));
  const { code, id, retryable } = await two.message("error");
  assertEquals([code, id, retryable], ["key_in_use", "k", true]);
  release();
  await one.message("published");
  await two.say(publish("t", ["a"], "k"));
  assertEquals((await two.message("published"))["first"], 1);
  assertEquals(topic.log.next, 2);
});

Deno.test("Frames are published in their order", async () => {
  await using relay = await startRelay();
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  const data = Array.from({ length: 300 }, (_, index) => `${index}`);
  await Promise.all(data.map((text) => socket.say(publish("t", [text], text))));
  for (const id of data) {
    assertEquals((await socket.message("published"))["id"], id);
  }
  assertEquals(await dataOf(relay.relay.topics.get("t")), data);
});

Deno.test("Who publishes is not listened to while readers have to catch up", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  const release = hold(topic);
  const other = relay.relay.topics.create("other");
  await using socket = await RawWebSocket.open(relay.url, "/topics/other");
  await socket.say(publish("t", ["a"]));
  await until(() => topic.log.next === 2 || undefined, LIMIT, "the event");
  // It is still told things; that it has them lets TCP send what is said next.
  other.append([{ event: "message", data: "", id: "" }]);
  await socket.message("events");
  await socket.say(publish("t", ["b"]));
  // By then the relay would have had it, too.
  for (let i = 0; i < 3; i++) {
    await (await relay.request("/healthz")).body?.cancel();
  }
  assertEquals(topic.log.next, 2);
  release();
  for (const first of [1, 2]) {
    assertEquals((await socket.message("published"))["first"], first);
  }
});

Deno.test("Who waits for readers to catch up can still be closed", async () => {
  // Nobody is cut off: that would need its time.
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  const topic = relay.relay.topics.create("t");
  const release = hold(topic);
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.say(publish("t", ["a"]));
  await until(() => topic.log.next === 2 || undefined, LIMIT, "the event");
  const closing = relay.relay.close();
  await socket.message("goodbye");
  const code = socket.closeCode();
  release();
  assertEquals(await code, 1012);
  await within(closing, LIMIT, "the relay to be closed");
});
