// A topic that somebody has enough of: whatever fills it is stopped.
import { assert, assertEquals } from "@std/assert";
import type { Topic } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  RawConnection,
  RawServer,
  STREAM_HEAD,
} from "../../support/http/raw_server.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const event = (data: string) => ({ event: "message", data, id: "" });

/** Cancels the topic `t`, and returns when the relay has taken note. */
type Cancel = (relay: TestRelay, reason?: string) => Promise<void>;

async function cancelByFrame({ url }: TestRelay, reason?: string) {
  // It needs no subscription.
  await using socket = await RawWebSocket.open(url, "/ws");
  await socket.say({ type: "cancel", topic: "t", reason });
  await isTaken(socket);
}

/** Waits until what was said is taken note of: there was nothing to answer. */
async function isTaken(socket: RawWebSocket): Promise<void> {
  await socket.say({ type: "heartbeat" });
  assertEquals((await answer(socket))["type"], "heartbeat");
}

/** The next answer to something that was said. */
async function answer(socket: RawWebSocket): Promise<Record<string, unknown>> {
  for (;;) {
    const message = await socket.next();
    assert(message, "the connection was closed");
    const { type } = message;
    if (type === "error" || type === "heartbeat" || type === "published") {
      return message;
    }
  }
}

async function cancelByPost({ request }: TestRelay, reason?: string) {
  const response = await request("/topics/t/cancel", {
    method: "POST",
    body: reason === undefined ? null : JSON.stringify({ reason }),
  });
  assertEquals(response.status, 200);
  const { name, state, end } = await response.json();
  const status = "cancelled";
  assertEquals([name, state, end], [
    "t",
    "ended",
    reason === undefined ? { status } : { status, reason },
  ]);
}

const DOORS: readonly (readonly [name: string, cancel: Cancel])[] = [
  ["a frame", cancelByFrame],
  ["POST", cancelByPost],
];

function known({ relay }: TestRelay): Topic {
  const topic = relay.topics.get("t");
  assert(topic, "there is no topic");
  return topic;
}

async function assertCancelled(relay: TestRelay): Promise<void> {
  assertEquals(await known(relay).ended, {
    status: "cancelled",
    reason: "enough",
  });
}

for (const [door, cancel] of DOORS) {
  Deno.test(`Cancelling by ${door} closes an upstream that streams, and tells who follows`, async () => {
    using upstream = new RawServer();
    const streaming = upstream.stream("data: a\n\n");
    await using relay = await startRelay({
      sources: [{ name: "t", url: upstream.origin }],
    });
    await using follower = await RawWebSocket.open(relay.url, "/topics/t");
    assertEquals((await follower.message("events"))["offset"], 1);
    await cancel(relay, "enough");
    const connection = await streaming;
    await within(connection.closed(), LIMIT, "the upstream to be closed");
    assertEquals(await follower.message("end"), {
      type: "end",
      topic: "t",
      offset: 2,
      status: "cancelled",
      reason: "enough",
    });
    await assertCancelled(relay);
  });

  Deno.test(`Cancelling by ${door} closes an upstream that has not answered yet`, async () => {
    using upstream = new RawServer();
    await using relay = await startRelay({
      rights: {
        allowSources: [upstream.origin],
        allowAddresses: ["127.0.0.0/8"],
      },
    });
    const put = await relay.request("/topics/t", {
      method: "PUT",
      body: JSON.stringify({ source: { url: upstream.origin } }),
    });
    assertEquals((await put.json()).upstream, { state: "connecting" });
    const connection = await upstream.accept();
    await connection.readHead();
    await cancel(relay, "enough");
    await within(connection.closed(), LIMIT, "the upstream to be closed");
    await assertCancelled(relay);
  });

  Deno.test(`Cancelling by ${door} ends the wait for an upstream that is gone`, async () => {
    const clock = new FakeClock();
    using upstream = new RawServer();
    const streaming = upstream.stream("data: a\n\n");
    await using relay = await startRelay({
      clock,
      sources: [{
        name: "t",
        url: upstream.origin,
        reconnect: { minTimeout: 1_000 },
      }],
    });
    (await streaming)[Symbol.dispose]();
    const topic = known(relay);
    await until(
      () => topic.upstream?.state === "retrying" || undefined,
      LIMIT,
      () => `a retry: the upstream is ${topic.upstream?.state}`,
    );
    const { pending } = clock;
    await cancel(relay, "enough");
    await until(
      () => clock.pending < pending || undefined,
      LIMIT,
      "the wait to be over",
    );
    await assertCancelled(relay);
  });

  Deno.test(`Cancelling by ${door} ends a fixture`, async () => {
    const clock = new FakeClock();
    const path = await Deno.makeTempFile({ suffix: ".sse" });
    try {
      await Deno.writeTextFile(path, "data: a\n\n: +60000ms\ndata: b\n\n");
      await using relay = await startRelay({
        clock,
        fixtures: [{ name: "t", path, loop: true }],
      });
      const topic = known(relay);
      await until(() => topic.log.next === 2 || undefined, LIMIT, "an event");
      await clock.advance(0); // it waits for the time of the next one
      const { pending } = clock;
      await cancel(relay, "enough");
      await until(
        () => clock.pending < pending || undefined,
        LIMIT,
        "the wait to be over",
      );
      await assertCancelled(relay);
    } finally {
      await Deno.remove(path);
    }
  });

  Deno.test(`Cancelling by ${door} answers and closes whoever is publishing a stream`, async () => {
    await using relay = await startRelay();
    const hostname = "127.0.0.1";
    using publisher = new RawConnection(
      await Deno.connect({ hostname, port: relay.port }),
    );
    await publisher.write(
      "POST /topics/t HTTP/1.1\r\nHost: localhost\r\n" +
        "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
        "9\r\ndata: a\n\n\r\n",
    );
    await until(
      () => relay.relay.topics.get("t")?.log.next === 2 || undefined,
      LIMIT,
      "an event",
    );
    await cancel(relay, "enough");
    const head = await within(publisher.readHead(), LIMIT, "an answer");
    assertEquals(head.split("\r\n")[0], "HTTP/1.1 409 Conflict");
    const { code, end } = JSON.parse(await publisher.readUntil("}}") ?? "");
    assertEquals([code, end], [
      "topic_ended",
      { status: "cancelled", reason: "enough" },
    ]);
    // The relay still reads the rest of the body: else the publisher might not
    // get the answer.
    await publisher.write(
      "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    await within(publisher.closed(), LIMIT, "the publisher to be closed");
    assertEquals(await publisher.readUntil("\r\n"), undefined);
    // While it is waited for, @hono/node-server has a timer: it is taken by then.
    for (let i = 0; i < 3; i++) {
      await (await relay.request("/healthz")).body?.cancel();
    }
    await assertCancelled(relay);
  });

  Deno.test(`Cancelling by ${door} ends a topic that is only waited for: what comes to fill it is refused`, async () => {
    using upstream = new RawServer();
    await using relay = await startRelay({
      rights: {
        allowSources: [upstream.origin],
        allowAddresses: ["127.0.0.0/8"],
      },
    });
    await using follower = await RawWebSocket.open(relay.url, "/topics/t");
    assertEquals((await follower.message("subscribed"))["state"], "pending");
    await cancel(relay, "enough");
    assertEquals((await follower.message("end"))["status"], "cancelled");
    const body = JSON.stringify({ source: { url: upstream.origin } });
    const attempts: RequestInit[] = [
      { method: "PUT", body },
      { method: "PUT" },
      { method: "POST", headers: { "Content-Type": "text/plain" }, body: "a" },
    ];
    for (const init of attempts) {
      const response = await relay.request("/topics/t", init);
      const { code, end } = await response.json();
      assertEquals([response.status, code, end], [
        409,
        "topic_ended",
        { status: "cancelled", reason: "enough" },
      ], init.method);
    }
    await using socket = await RawWebSocket.open(relay.url, "/ws");
    await socket.say({ type: "publish", topic: "t", events: [{ data: "a" }] });
    assertEquals((await answer(socket))["code"], "topic_ended");
    assertEquals(known(relay).source, undefined);
  });

  Deno.test(`Cancelling by ${door} again changes nothing, and is no error`, async () => {
    await using relay = await startRelay();
    relay.relay.topics.create("t").append([event("a")]);
    await cancel(relay);
    assertEquals(await known(relay).ended, { status: "cancelled" });
    const again = await relay.request("/topics/t/cancel", {
      method: "POST",
      body: `{"reason":"later"}`,
    });
    assertEquals([again.status, (await again.json()).end], [
      200,
      { status: "cancelled" },
    ]);
    await cancel(relay);
  });
}

Deno.test("A frame that cancels is refused where there is nothing to cancel", async () => {
  await using relay = await startRelay();
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  const topic = relay.relay.topics.create("t");
  topic.end("complete");
  const table = [
    [{ topic: "t" }, "topic_ended", "t"],
    [{ topic: "unknown" }, "unknown_topic", "unknown"],
    [{ topic: "a b" }, "invalid_topic", undefined],
    [{}, "invalid_topic", undefined],
    [{ topic: "t", reason: 7 }, "invalid_message", "t"],
    [{ topic: "t", reason: "x".repeat(1_001) }, "invalid_message", "t"],
  ] as const;
  for (const [fields, code, about] of table) {
    await socket.say({ type: "cancel", ...fields });
    const error = await answer(socket);
    assertEquals(
      [error["type"], error["code"], error["topic"], error["retryable"]],
      ["error", code, about, false],
    );
  }
  assertEquals(await topic.ended, { status: "complete" });
  // Nobody waits for what was only named.
  assertEquals(relay.relay.topics.get("unknown"), undefined);
  const longest = "x".repeat(1_000);
  const other = relay.relay.topics.create("other");
  await socket.say({ type: "cancel", topic: "other", reason: longest });
  assertEquals((await other.ended).reason, longest);
});

Deno.test("A frame cancels the topic that its sender follows, not another of that name", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  topics.create("t").append([event("old"), event("older")]);
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  // An event that is not acknowledged delays the end of the old topic.
  await socket.say({ type: "subscribe", topic: "t", window: 1 });
  assertEquals((await socket.message("events"))["events"], [{ data: "old" }]);
  topics.delete("t");
  const renewed = topics.create("t");
  renewed.append([event("new")]);
  await socket.say({ type: "cancel", topic: "t" });
  await isTaken(socket);
  assertEquals(renewed.state.kind, "open");
  await using other = await RawWebSocket.open(relay.url, "/ws");
  await other.say({ type: "cancel", topic: "t" });
  assertEquals((await renewed.ended).status, "cancelled");
});

Deno.test("A topic that is cancelled leaves the other topics of its follower alone", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  for (const topic of ["t", "u"]) {
    topics.create(topic).append([event("a")]);
    await socket.say({ type: "subscribe", topic });
    await socket.message("live");
  }
  await socket.say({ type: "cancel", topic: "t" });
  assertEquals((await socket.message("end"))["topic"], "t");
  topics.create("u").append([event("b")]);
  assertEquals((await socket.message("events"))["topic"], "u");
});

Deno.test("The description of a topic says how its upstream is, and how it ended", async () => {
  const clock = new FakeClock();
  using upstream = new RawServer();
  const streaming = upstream.stream("data: a\n\n");
  await using relay = await startRelay({
    clock,
    sources: [{
      name: "t",
      url: upstream.origin,
      reconnect: { minTimeout: 1_000, jitter: 0 },
    }],
  });
  const described = async () => {
    const { topics } = await (await relay.request("/topics")).json();
    const { upstream, end } = topics[0];
    const { headers } = await relay.request("/topics/t", { method: "HEAD" });
    return [
      upstream,
      end,
      headers.get("rivulet-upstream"),
      headers.get("rivulet-end"),
    ];
  };
  const topic = known(relay);
  const becomes = (state: string) =>
    until(
      () => topic.upstream?.state === state || undefined,
      LIMIT,
      () => `${state}: the upstream is ${topic.upstream?.state}`,
    );
  await until(() => topic.log.next === 2 || undefined, LIMIT, "an event");
  assertEquals(await described(), [{ state: "open" }, undefined, "open", null]);
  (await streaming)[Symbol.dispose]();
  await becomes("retrying");
  assertEquals(await described(), [
    { state: "retrying", attempt: 2, retryIn: 1_000 },
    undefined,
    "retrying",
    null,
  ]);
  const accepted = upstream.accept();
  await clock.advance(1_000);
  const connection = await accepted;
  await becomes("connecting");
  assertEquals(await described(), [
    { state: "connecting", attempt: 2 },
    undefined,
    "connecting",
    null,
  ]);
  await connection.readHead();
  await connection.write(STREAM_HEAD);
  await becomes("open");
  assertEquals(await described(), [{ state: "open" }, undefined, "open", null]);
  await cancelByPost(relay, "enough");
  // Nothing is to come of an upstream any more.
  assertEquals(await described(), [
    undefined,
    { status: "cancelled", reason: "enough" },
    null,
    "cancelled",
  ]);
});
