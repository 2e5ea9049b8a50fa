import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { assert, assertEquals, assertMatch } from "@std/assert";
// @ts-types="../../../relay/ws.d.ts"
import { WebSocket as WsWebSocket } from "ws";
import { z } from "zod";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { streamEvents } from "../../../src/fetch/stream_events.ts";
import { startRelay } from "../../support/relay/relay.ts";

const event = (data: string) => ({ event: "message", data, id: "" });

/** A WebSocket whose messages can be awaited. */
async function connect(url: string, protocols: string[] = []) {
  const socket = new WebSocket(url.replace(/^http/, "ws"), protocols);
  const messages: z.infer<typeof message>[] = [];
  let wake = () => {};
  const closed = new Promise<CloseEvent>((resolve) =>
    socket.addEventListener("close", (event) => {
      resolve(event);
      wake();
    })
  );
  socket.addEventListener("message", ({ data }) => {
    messages.push(message.parse(JSON.parse(data)));
    wake();
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  return {
    socket,
    messages,
    closed,
    send: (value: unknown) => socket.send(JSON.stringify(value)),
    /** Waits for the next message of a type, which was not asked for before. */
    async next(type: string): Promise<z.infer<typeof message>> {
      for (;;) {
        const at = messages.findIndex((message) => message.type === type);
        if (at >= 0) return messages.splice(at, 1)[0]!; // it was found
        assert(socket.readyState !== WebSocket.CLOSED, `no ${type} came`);
        await new Promise<void>((resolve) => wake = resolve);
      }
    },
    async close(): Promise<void> {
      socket.close();
      await closed;
    },
  };
}

const message = z.looseObject({ type: z.string() });

Deno.test("The WebSocket door of a topic follows it, and closes with 1000 after its end", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  topic.append([event("a")]);
  const client = await connect(`${relay.url}/topics/t`, ["rivulet.v1"]);
  assertEquals(client.socket.protocol, "rivulet.v1");
  const welcome = await client.next("welcome");
  assertEquals([welcome["heartbeat"], welcome["limits"]], [
    15_000,
    { subscriptions: 100, message: 65_536 },
  ]);
  assertEquals((await client.next("subscribed"))["after"], 0);
  assertEquals((await client.next("events"))["events"], [{ data: "a" }]);
  assertEquals((await client.next("live"))["next"], 2);
  topic.end("complete");
  assertEquals((await client.next("end"))["status"], "complete");
  assertEquals((await client.closed).code, 1000);
});

Deno.test("The WebSocket door /ws follows many topics, and leaves them", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  const client = await connect(`${relay.url}/ws`);
  for (const name of ["a", "b"]) {
    topics.create(name).append([event("1"), event("2")]);
    const { epoch } = topics.create(name).log;
    client.send({ type: "subscribe", topic: name, after: `${epoch}:1` });
    assertEquals((await client.next("events"))["offset"], 2);
  }
  client.send({ type: "ack", topic: "a", offset: 2 });
  client.send({ type: "unsubscribe", topic: "a" });
  client.send({ type: "unsubscribe", topic: "a" });
  assertEquals((await client.next("error"))["code"], "not_subscribed");
  client.send({ type: "subscribe", topic: "b" });
  assertEquals((await client.next("error"))["code"], "already_subscribed");
  topics.create("a").append([event("3")]);
  topics.create("b").append([event("3")]);
  assertEquals((await client.next("events"))["topic"], "b");
  topics.create("b").end("complete");
  assertEquals((await client.next("end"))["topic"], "b");
  client.send({ type: "heartbeat", time: 1 });
  assertEquals(typeof (await client.next("heartbeat"))["time"], "number");
  assertEquals(client.messages.filter(({ type }) => type === "events"), []);
  await client.close();
});

Deno.test("The WebSocket door of a topic stays open for the others that it follows", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  const client = await connect(`${relay.url}/topics/a`);
  client.send({ type: "subscribe", topic: "b" });
  while ((await client.next("subscribed"))["topic"] !== "b");
  topics.create("a").end("complete");
  assertEquals((await client.next("end"))["topic"], "a");
  topics.create("b").append([event("1")]);
  assertEquals((await client.next("events"))["topic"], "b");
  topics.create("b").end("complete");
  assertEquals((await client.closed).code, 1000);
});

Deno.test("A refused upgrade is told why, and an upgrade to anything else is ignored", async () => {
  await using relay = await startRelay();
  const request = async (headers: Record<string, string>, path: string) => {
    const socket = connectTcp(relay.port, "127.0.0.1");
    const lines = Object.entries({ Host: "localhost", ...headers })
      .map(([name, value]) => `${name}: ${value}\r\n`).join("");
    socket.write(`GET ${path} HTTP/1.1\r\n${lines}\r\n`);
    let text = "";
    for await (const chunk of socket.setEncoding("utf8")) text += chunk;
    return text;
  };
  const upgrade = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  for (
    // deno-fmt-ignore
    const [headers, path, status, code] of [
      [{ ...upgrade, "Sec-WebSocket-Key": "x" }, "/ws", 400, "invalid_upgrade"],
      [
        { ...upgrade, "Sec-WebSocket-Version": "1" },
        "/ws",
        426,
        "upgrade_required",
      ],
      [upgrade, "/topics/.a", 400, "invalid_topic"],
      [upgrade, "/topics/%FF", 400, "invalid_topic"],
      [upgrade, "/topics/a?after=x", 400, "invalid_position"],
      [upgrade, "/topics/a?mode=some", 400, "invalid_mode"],
      [upgrade, "/nothing", 404, "not_found"],
    ] as const
  ) {
    const answer = await request(headers, path);
    assertMatch(answer, new RegExp(`^HTTP/1.1 ${status} `));
    assertMatch(answer, /\r\nContent-Type: application\/problem\+json\r\n/);
    assertEquals(JSON.parse(answer.split("\r\n\r\n")[1] ?? "").code, code);
  }
  const other = { Connection: "Upgrade, close", Upgrade: "h2c" };
  assertMatch(await request(other, "/healthz"), /^HTTP\/1.1 200 /);
});

Deno.test("The WebSocket doors refuse a mode, a window or a snapshot that there is not", async () => {
  await using relay = await startRelay();
  const client = await connect(`${relay.url}/ws`);
  for (
    const extra of [
      { mode: "some" },
      { mode: 1 },
      { window: 0 },
      { window: -1 },
      { window: 1.5 },
      { window: "1000" },
      { snapshot: "true" },
    ]
  ) {
    client.send({ type: "subscribe", topic: "t", ...extra });
    const { code, topic, retryable } = await client.next("error");
    assertEquals([code, topic, retryable], ["invalid_message", "t", false]);
  }
  await client.close();
});

Deno.test("A subscription without a position begins where the operator has said", async () => {
  await using upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode("data: a\n\n"));
          },
        }),
        { headers: { "Content-Type": "text/event-stream" } },
      ),
  );
  const url = `http://127.0.0.1:${upstream.addr.port}/`;
  await using relay = await startRelay({
    sources: [{ name: "t", url, from: "now" }],
  });
  const fromStart = await connect(`${relay.url}/topics/t?after=start`);
  assertEquals((await fromStart.next("events"))["events"], [{ data: "a" }]);
  await fromStart.close();
  const client = await connect(`${relay.url}/topics/t`);
  assertEquals((await client.next("live"))["next"], 2);
  assertEquals(client.messages.map(({ type }) => type), [
    "welcome",
    "subscribed",
  ]);
  await client.close();
});

Deno.test("A quiet subscriber gets a heartbeat through each door", async () => {
  const clock = new FakeClock(1_000);
  await using relay = await startRelay({
    clock,
    delivery: { heartbeat: 1_000 },
  });
  const client = await connect(`${relay.url}/topics/t`);
  await client.next("subscribed");
  const response = await fetch(`${relay.url}/topics/t`);
  const reader = response.body!.getReader(); // it has a body: it streams
  const { value: first } = await reader.read();
  assertMatch(new TextDecoder().decode(first), /^: topic 't' is pending/);
  await clock.advance(1_250); // it is looked four times per heartbeat who is due
  assertEquals((await client.next("heartbeat"))["time"], 2_250);
  const { value } = await reader.read();
  assertEquals(new TextDecoder().decode(value), ":\n\n");
  await reader.cancel();
  await client.close();
  const closing = relay.relay.close();
  await clock.advance(5_000);
  await closing;
});

Deno.test("The WebSocket door works for ws, as it comes from npm", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  topic.append([event("é水🌊")]);
  topic.end("failed", "why");
  const socket = new WsWebSocket(
    `${relay.url.replace("http", "ws")}/topics/t`,
  );
  const messages: unknown[] = [];
  socket.on("message", (data) => messages.push(JSON.parse(String(data))));
  const [code] = await once(socket, "close");
  assertEquals(code, 1000);
  assertEquals(messages.slice(2), [
    { type: "events", topic: "t", offset: 1, events: [{ data: "é水🌊" }] },
    { type: "end", topic: "t", offset: 2, status: "failed", reason: "why" },
  ]);
});

Deno.test("The SSE door says what the protocol says, line by line", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  const { epoch } = topic.log;
  topic.append([
    event("a"),
    { event: "x", data: "two\nlines\n", id: "u7" },
  ]);
  topic.end("failed", "why");
  const response = await fetch(`${relay.url}/topics/t`, {
    headers: { Accept: "text/event-stream" },
  });
  for (
    const [name, value] of [
      ["content-type", "text/event-stream; charset=utf-8"],
      ["cache-control", "no-cache, no-transform"],
      ["x-accel-buffering", "no"],
      ["rivulet-epoch", epoch],
    ] as const
  ) {
    assertEquals(response.headers.get(name), value);
  }
  assertEquals(
    await response.text(),
    `id: ${epoch}:1\ndata: a\n\n` +
      `event: x\nid: ${epoch}:2\nupstream-id: u7\ndata: two\ndata: lines\ndata: \n\n` +
      `event: rivulet.end\nid: ${epoch}:3\ndata: {"type":"end","topic":"t","offset":3,"status":"failed","reason":"why"}\n\n`,
  );
});

Deno.test("The SSE door resumes by header and by query, and answers 204 after the end", async (t) => {
  await using relay = await startRelay({ retention: { maxEvents: 3 } });
  const topic = relay.relay.topics.create("t");
  const { epoch } = topic.log;
  topic.append(["1", "2", "3", "4", "5"].map(event)); // 3..5 are retained
  topic.end("complete");
  const get = async (query: string, lastEventId?: string) => {
    const response = await fetch(`${relay.url}/topics/t${query}`, {
      headers: lastEventId === undefined
        ? {}
        : { "Last-Event-ID": lastEventId },
    });
    const text = await response.text();
    return [
      response.status,
      [...text.matchAll(/^(?:data|event): (\w[\w.]*)/gm)]
        .map(([, word]) => word).join(" "),
    ];
  };
  const table: [string, string | undefined, number, string][] = [
    ["", undefined, 200, "3 4 5 rivulet.end"],
    ["?after=start", undefined, 200, "3 4 5 rivulet.end"],
    [`?after=${epoch}:4`, undefined, 200, "5 rivulet.end"],
    [`?after=${epoch}:3`, `${epoch}:4`, 200, "5 rivulet.end"],
    ["", `${epoch}:5`, 200, "rivulet.end"],
    ["", `${epoch}:6`, 204, ""],
    ["?after=now", undefined, 200, "rivulet.end"],
    ["", `${epoch}:1`, 200, "rivulet.gap 3 4 5 rivulet.end"],
    ["", "another_log:4", 200, "rivulet.gap 3 4 5 rivulet.end"],
    ["", "not of a relay", 200, "rivulet.gap 3 4 5 rivulet.end"],
    ["?raw", undefined, 200, "3 4 5"],
    // There is no place in it where the gap could be told (C6).
    ["?raw", `${epoch}:1`, 410, ""],
    ["?raw", `${epoch}:4`, 200, "5"],
    ["?raw", `${epoch}:5`, 204, ""],
    ["?raw", `${epoch}:6`, 204, ""],
  ];
  for (const [query, lastEventId, status, words] of table) {
    await t.step(`${query} ${lastEventId ?? ""}`, async () => {
      assertEquals(await get(query, lastEventId), [status, words]);
    });
  }
});

Deno.test("The SSE door works for EventSource, and stops it after the end", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  const source = new EventSource(`${relay.url}/topics/t`);
  const seen: string[] = [];
  const stopped = Promise.withResolvers<void>();
  source.onmessage = ({ data, lastEventId }) => {
    seen.push(data);
    assertMatch(lastEventId, /:[1-9]$/);
    if (data === "b") topic.end("complete");
  };
  source.addEventListener("rivulet.live", () => topic.append([event("b")]));
  source.addEventListener("rivulet.end", () => {
    seen.push("end");
    // EventSource comes back after its reconnection time, and is told to stop.
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) stopped.resolve();
    };
  });
  source.onopen = () => topic.append([event("a")]);
  await stopped.promise;
  assertEquals(seen, ["a", "b", "end"]);
});

Deno.test("The SSE door of one relay is an upstream of streamEvents", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  topic.append([{ event: "x", data: "a", id: "u1" }]);
  topic.end("complete");
  const seen = await Array.fromAsync(
    streamEvents(`${relay.url}/topics/t?raw`),
  );
  assertEquals(seen, [{ event: "x", data: "a", id: `${topic.log.epoch}:1` }]);
});
