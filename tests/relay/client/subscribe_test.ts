import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  subscribe,
  type SubscribeOptions,
  type Subscription,
  SubscriptionError,
  type SubscriptionMessage,
} from "../../../relay/client/mod.ts";
import type { EndStatus, Topic } from "../../../relay/mod.ts";
import { startRelay } from "../../support/relay/relay.ts";
import {
  EPOCH,
  events,
  ScriptedRelay,
  subscribed,
} from "../../support/client/scripted_relay.ts";

function add(topic: Topic, ...data: string[]): void {
  void topic.append(data.map((data) => ({ event: "message", data, id: "" })));
}

/** Everything up to the end. */
async function readAll(
  subscription: Subscription,
): Promise<SubscriptionMessage[]> {
  return await Array.fromAsync(subscription);
}

async function take(subscription: Subscription): Promise<SubscriptionMessage> {
  const { value } = await subscription.next();
  assert(value, "it has ended");
  return value;
}

function dataOf(messages: readonly SubscriptionMessage[]): string[] {
  return messages.flatMap((message) =>
    message.type === "event" ? [message.data] : []
  );
}

/** Both ways to name a topic. */
const DOORS: readonly [
  string,
  (url: string, topic: string, options?: SubscribeOptions) => Subscription,
][] = [
  [
    "/topics/NAME",
    (url, topic, options) => subscribe(`${url}/topics/${topic}`, options),
  ],
  [
    "/ws",
    (url, topic, options) =>
      subscribe(new URL("/ws", url), { ...options, topic }),
  ],
];

for (const [door, open] of DOORS) {
  Deno.test(`subscribe yields a topic's events and returns at its end: ${door}`, async () => {
    await using server = await startRelay();
    const topic = server.relay.topics.create("t");
    void topic.append([
      { event: "message", data: "a", id: "" },
      { event: "tick", data: "b\nc", id: "7" },
    ]);
    await using subscription = open(server.url, "t");
    assertEquals(subscription.state, "idle");
    assertEquals(subscription.position, undefined);
    const { epoch } = topic.log;
    assertEquals(await take(subscription), {
      type: "event",
      topic: "t",
      epoch,
      offset: 1,
      position: `${epoch}:1`,
      event: "message",
      data: "a",
      id: "",
    });
    assertEquals(subscription.state, "open");
    assertEquals(subscription.position, `${epoch}:1`);
    assertEquals(await take(subscription), {
      type: "event",
      topic: "t",
      epoch,
      offset: 2,
      position: `${epoch}:2`,
      event: "tick",
      data: "b\nc",
      id: "7",
    });
    assertEquals(await take(subscription), {
      type: "live",
      topic: "t",
      next: 3,
    });
    add(topic, "d");
    topic.end("complete", "all said");
    assertEquals(dataOf([await take(subscription)]), ["d"]);
    assertEquals(await subscription.next(), { done: true, value: undefined });
    assertEquals(await subscription.next(), { done: true, value: undefined });
    assertEquals(subscription.end, { status: "complete", reason: "all said" });
    assertEquals(subscription.state, "closed");
    assertEquals(subscription.position, `${epoch}:3`);
  });

  Deno.test(`subscribe resumes after a position: ${door}`, async () => {
    await using server = await startRelay();
    const topic = server.relay.topics.create("t");
    add(topic, "a", "b", "c");
    topic.end("complete");
    const { epoch } = topic.log;
    const cases: [string | undefined, string[]][] = [
      [undefined, ["a", "b", "c"]],
      ["start", ["a", "b", "c"]],
      ["now", []],
      [`${epoch}:1`, ["b", "c"]],
      [`${epoch}:3`, []],
    ];
    for (const [after, expected] of cases) {
      await using subscription = open(server.url, "t", { after });
      assertEquals(dataOf(await readAll(subscription)), expected, after);
    }
  });

  Deno.test(`subscribe tells of gaps: ${door}`, async () => {
    await using server = await startRelay({ retention: { maxEvents: 2 } });
    const topic = server.relay.topics.create("t");
    add(topic, "a", "b", "c", "d");
    topic.end("complete");
    const { epoch } = topic.log;
    await using evicted = open(server.url, "t", { after: `${epoch}:1` });
    const [gap, ...rest] = await readAll(evicted);
    assertEquals(gap, {
      type: "gap",
      topic: "t",
      from: 2,
      to: 2,
      reason: "evicted",
    });
    assertEquals(dataOf(rest), ["c", "d"]);

    await using foreign = open(server.url, "t", { after: "other-epoch:9" });
    const messages = await readAll(foreign);
    assertEquals(messages[0], {
      type: "gap",
      topic: "t",
      from: 1,
      to: 2,
      reason: "epoch",
    });
    assertEquals(dataOf(messages), ["c", "d"]);
    assertEquals(foreign.position, `${epoch}:4`);
  });

  const endings: [EndStatus, boolean][] = [
    ["complete", false],
    ["cancelled", false],
    ["expired", false],
    ["failed", true],
    ["truncated", true],
  ];
  for (const [status, isError] of endings) {
    Deno.test(`subscribe ${isError ? "throws" : "returns"} for a topic that is ${status}: ${door}`, async () => {
      await using server = await startRelay();
      const topic = server.relay.topics.create("t");
      add(topic, "a");
      topic.end(status, "out of tokens");
      await using subscription = open(server.url, "t");
      assertEquals(dataOf([await take(subscription)]), ["a"]);
      if (isError) {
        const error = await assertRejects(
          () => subscription.next(),
          SubscriptionError,
          `Topic 't' ${status}: out of tokens`,
        );
        const { code, reason, position } = error;
        assertEquals({
          code,
          status: error.status,
          reason,
          position,
          topic: error.topic,
        }, {
          code: status as "failed", // or the other that throws
          status: status as "failed",
          reason: "out of tokens",
          position: `${topic.log.epoch}:1`,
          topic: "t",
        });
      }
      // Once is enough.
      assertEquals(await subscription.next(), { done: true, value: undefined });
      assertEquals(subscription.end, { status, reason: "out of tokens" });
    });
  }

  Deno.test(`subscribe takes what a relay folds: ${door}`, async () => {
    await using server = await startRelay();
    const topic = server.relay.topics.create("t");
    const event = "response.output_text.delta";
    const delta = (delta: string) =>
      JSON.stringify({
        type: event,
        item_id: "i",
        output_index: 0,
        content_index: 0,
        delta,
      });
    void topic.append(
      ["a", "b", "c"].map((text) => ({ event, data: delta(text), id: "" })),
    );
    topic.end("complete");
    const { epoch } = topic.log;
    await using merging = open(server.url, "t", { mode: "merge" });
    const [merged] = await readAll(merging);
    assertEquals(merged, {
      type: "merged",
      topic: "t",
      epoch,
      offset: 1,
      to: 3,
      position: `${epoch}:3`,
      event,
      data: delta("abc"),
    });
    await using late = open(server.url, "t", { snapshot: true });
    assertEquals(await readAll(late), [{
      type: "snapshot",
      topic: "t",
      offset: 3,
      value: { first: 1, events: [{ event, data: delta("abc") }] },
      position: `${epoch}:3`,
    }]);
    await using latest = open(server.url, "t", { mode: "latest" });
    const [gap, last] = await readAll(latest);
    assertEquals(gap, {
      type: "gap",
      topic: "t",
      from: 1,
      to: 2,
      reason: "skipped",
    });
    assertEquals(last?.type === "event" && last.data, delta("c"));
  });

  Deno.test(`subscribe sends nothing before the first next: ${door}`, async () => {
    await using server = await ScriptedRelay.start();
    const subscription = open(server.url, "t");
    assertEquals(subscription.state, "idle");
    await subscription.close();
    assertEquals(await subscription.next(), { done: true, value: undefined });
    assertEquals(server.attempts, 0);
  });

  Deno.test(`subscribe asks for what its options say: ${door}`, async () => {
    await using server = await ScriptedRelay.start();
    const subscription = open(server.url, "t", {
      after: "now",
      mode: "merge",
      snapshot: true,
      window: 1_000,
      token: "ä.b?>",
    });
    const next = subscription.next();
    const connection = await server.accept();
    // of UTF-8, in the alphabet for URLs, without padding
    assertEquals(connection.protocols, ["rivulet.v1", "bearer.w6QuYj8-"]);
    if (door === "/ws") {
      assertEquals(await connection.message("subscribe"), {
        type: "subscribe",
        topic: "t",
        after: "now",
        mode: "merge",
        window: 1_000,
        snapshot: true,
      });
    } else {
      assertEquals(connection.path, "/topics/t");
      assertEquals(Object.fromEntries(connection.query), {
        after: "now",
        mode: "merge",
        window: "1000",
        snapshot: "true",
      });
    }
    connection.say(subscribed("t"), events("t", 1));
    assertEquals((await next).value?.type, "event");
    const last = subscription.next();
    await subscription.close();
    assertEquals(await last, { done: true, value: undefined });
    assertEquals(await connection.closed, 1000);
  });

  Deno.test(`subscribe yields what else a relay says, and passes over what it does not know: ${door}`, async () => {
    await using server = await ScriptedRelay.start();
    await using subscription = open(server.url, "t", { snapshot: true });
    const first = subscription.next();
    const connection = await server.accept();
    const value = {
      first: 1,
      events: [{ data: "1" }, { event: "e", data: "2", id: "i" }],
    };
    connection.say(
      { type: "later", topic: "t", offset: 99 },
      { ...subscribed("t"), color: "blue" },
      { type: "snapshot", topic: "t", offset: 2, value },
      {
        type: "upstream",
        topic: "t",
        state: "retrying",
        attempt: 2,
        retryIn: 9,
      },
      { type: "merged", topic: "t", offset: 3, to: 5, event: "d", data: "3-5" },
      { type: "merged", topic: "t", offset: 6, to: 6, data: "6" },
      { type: "unheard-of", topic: "t" },
      { type: "gap", topic: "t", from: 7, to: 9, reason: "skipped" },
      { type: "live", topic: "t", next: 10 },
      events("t", 10),
      {
        type: "events",
        topic: "of another",
        offset: 1,
        events: [{ data: "no" }],
      },
      { type: "end", topic: "t", offset: 11, status: "complete" },
    );
    const messages = [(await first).value, ...await readAll(subscription)];
    const position = (offset: number) => `${EPOCH}:${offset}`;
    assertEquals(messages, [
      { type: "snapshot", topic: "t", offset: 2, value, position: position(2) },
      {
        type: "upstream",
        topic: "t",
        state: "retrying",
        attempt: 2,
        retryIn: 9,
      },
      {
        type: "merged",
        topic: "t",
        epoch: EPOCH,
        offset: 3,
        to: 5,
        position: position(5),
        event: "d",
        data: "3-5",
      },
      {
        type: "merged",
        topic: "t",
        epoch: EPOCH,
        offset: 6,
        to: 6,
        position: position(6),
        event: "message",
        data: "6",
      },
      { type: "gap", topic: "t", from: 7, to: 9, reason: "skipped" },
      { type: "live", topic: "t", next: 10 },
      {
        type: "event",
        topic: "t",
        epoch: EPOCH,
        offset: 10,
        position: position(10),
        event: "message",
        data: "10",
        id: "",
      },
    ]);
    assertEquals(subscription.end, { status: "complete" });
  });

  Deno.test(`subscribe closes its connection when the loop is left: ${door}`, async () => {
    await using server = await startRelay();
    const topic = server.relay.topics.create("t");
    add(topic, "a", "b");
    const subscription = open(server.url, "t");
    for await (const message of subscription) {
      assertEquals(message.type, "event");
      break;
    }
    assertEquals(subscription.state, "closed");
    assertEquals(subscription.position, `${topic.log.epoch}:1`);
    assertEquals(await subscription.next(), { done: true, value: undefined });
  });

  Deno.test(`subscribe ends everybody who waits with the reason of its signal: ${door}`, async () => {
    await using server = await startRelay();
    const topic = server.relay.topics.create("t");
    topic.open();
    const controller = new AbortController();
    await using subscription = open(server.url, "t", {
      signal: controller.signal,
    });
    assertEquals((await take(subscription)).type, "live");
    const waiting = [subscription.next(), subscription.next()];
    add(topic, "a"); // is received, or not: it makes no difference
    controller.abort(new Error("enough"));
    const [first, second] = await Promise.allSettled(waiting);
    assertEquals(first?.status, "rejected");
    if (first?.status === "rejected") {
      assertEquals(first.reason.message, "enough");
    }
    assertEquals(second, {
      status: "fulfilled",
      value: { done: true, value: undefined },
    });
    assertEquals(subscription.state, "closed");
  });
}

Deno.test("subscribe drops what was not taken when its signal is aborted, or it is closed", async () => {
  await using server = await ScriptedRelay.start();
  for (const how of ["abort", "close"]) {
    const controller = new AbortController();
    const { signal } = controller;
    await using subscription = subscribe(`${server.url}/topics/t`, { signal });
    const first = subscription.next();
    const connection = await server.accept();
    connection.say(subscribed("t"), events("t", 1, 3), {
      type: "end",
      topic: "t",
      offset: 4,
      status: "failed",
    });
    assertEquals((await first).value?.type, "event");
    assertEquals(await connection.closed, 1000); // everything is there
    assertEquals(subscription.end, undefined);
    if (how === "abort") {
      controller.abort(new Error("enough"));
      await assertRejects(() => subscription.next(), Error, "enough");
    } else {
      await subscription.close();
    }
    assertEquals(await subscription.next(), { done: true, value: undefined });
    assertEquals(subscription.end, undefined);
    assertEquals(subscription.position, `${EPOCH}:1`);
  }
});

Deno.test("subscribe does not begin with a signal that is aborted", async () => {
  await using server = await ScriptedRelay.start();
  await using subscription = subscribe(`${server.url}/topics/t`, {
    signal: AbortSignal.abort(new Error("too late")),
  });
  await assertRejects(() => subscription.next(), Error, "too late");
  assertEquals(await subscription.next(), { done: true, value: undefined });
  assertEquals(server.attempts, 0);
});

Deno.test("subscribe leaves no listener on its signal", async () => {
  const listeners = new Set<unknown>();
  const { signal } = new AbortController();
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (type: string, listener: EventListener) => {
    listeners.add(listener);
    addEventListener.call(signal, type, listener);
  };
  signal.removeEventListener = (type: string, listener: EventListener) => {
    listeners.delete(listener);
    removeEventListener.call(signal, type, listener);
  };
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  add(topic, "a");
  topic.end("complete");
  await using read = subscribe(`${server.url}/topics/t`, { signal });
  await take(read);
  assertEquals(listeners.size, 1);
  await readAll(read);
  assertEquals(listeners.size, 0);
  const left = subscribe(`${server.url}/topics/t`, { signal });
  for await (const _ of left) break;
  assertEquals(listeners.size, 0);
});

Deno.test("subscribe throws what a relay refuses", async () => {
  await using server = await startRelay({ delivery: { awaitTopics: false } });
  await using subscription = subscribe(`${server.url}/ws`, { topic: "t" });
  const error = await assertRejects(
    () => subscription.next(),
    SubscriptionError,
    "Topic 't' refused: unknown_topic There is no such topic",
  );
  assertEquals([error.code, error.relayCode], ["refused", "unknown_topic"]);
  assertEquals(await subscription.next(), { done: true, value: undefined });
  assertEquals(subscription.end, undefined);
});

Deno.test("subscribe yields what came before it was refused", async () => {
  await using server = await ScriptedRelay.start();
  await using subscription = subscribe(`${server.url}/topics/t`);
  const first = subscription.next();
  const connection = await server.accept();
  connection.say(subscribed("t"), events("t", 1, 2));
  connection.close(4503, "not yours any more");
  assertEquals(dataOf([(await first).value!]), ["1"]); // it has not ended
  await connection.closed;
  assertEquals(dataOf([await take(subscription)]), ["2"]);
  const error = await assertRejects(
    () => subscription.next(),
    SubscriptionError,
  );
  const { code, closeCode, reason, position } = error;
  assertEquals({ code, closeCode, reason, position }, {
    code: "refused",
    closeCode: 4503,
    reason: "not yours any more",
    position: `${EPOCH}:2`,
  });
});

Deno.test("subscribe refuses what no relay would take", () => {
  const door = "ws://relay/topics/t";
  const wrong: [
    string,
    SubscribeOptions,
    typeof TypeError | typeof RangeError,
  ][] = [
    ["topics/t", {}, TypeError], // relative to nothing
    ["ws://relay/ws", {}, TypeError],
    [door, { topic: "t" }, TypeError],
    ["ws://relay/ws", { topic: "" }, TypeError],
    ["ws://relay/ws", { topic: ".t" }, TypeError],
    ["ws://relay/ws", { topic: "a b" }, TypeError],
    ["ws://relay/ws", { topic: "t".repeat(129) }, TypeError],
    ["ws://relay/topics/a%20b", {}, TypeError],
    ["ws://relay/topics/%ff", {}, URIError],
    [door, { after: "" }, TypeError],
    [door, { after: "7" }, TypeError],
    [door, { after: "epoch-one:0" }, TypeError],
    [door, { after: "epoch-one:x" }, TypeError],
    [door, { window: 0 }, RangeError],
    [door, { window: 1.5 }, RangeError],
    [door, { window: NaN }, RangeError],
  ];
  for (const [url, options, type] of wrong) {
    assertThrows(
      () => subscribe(url, options),
      type,
      undefined,
      `${url} ${JSON.stringify(options)}`,
    );
  }
});

Deno.test("subscribe needs a WebSocket", () => {
  const { WebSocket } = globalThis;
  // As in Node 20.
  Reflect.deleteProperty(globalThis, "WebSocket");
  try {
    assertThrows(
      () => subscribe("ws://relay/topics/t"),
      TypeError,
      "WebSocket",
    );
    subscribe("ws://relay/topics/t", { WebSocket });
  } finally {
    globalThis.WebSocket = WebSocket;
  }
});

Deno.test("subscribe throws what its WebSocket throws", async () => {
  class Refusing {
    constructor() {
      throw new DOMException("insecure", "SecurityError");
    }
  }
  await using subscription = subscribe("ws://relay/topics/t", {
    // It never becomes one.
    WebSocket: Refusing as unknown as typeof WebSocket,
  });
  const error = await assertRejects(
    () => subscription.next(),
    SubscriptionError,
  );
  assertEquals(error.code, "refused");
  assertInstanceOf(error.cause, DOMException);
});
