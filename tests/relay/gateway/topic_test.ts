// The topic of a run: what it is called, what is told of it, and what becomes of it where there is no run.
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
} from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { LIMIT, startGateway } from "../../support/gateway/gateway_world.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { until, within } from "../../support/within.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";

const { path, start, delta, ends } = WIRE_FORMATS["Anthropic"]!;
const WHOLE = start + delta("a") + ends[0]![1];
const T = { headers: { "rivulet-topic": "t" }, path };

Deno.test("A run's topic is told before its first byte: the name that was asked for, or one of its own", async () => {
  await using world = await startGateway();
  const names = new Set<string>();
  for (const headers of [{ "rivulet-topic": "Chat:1.~_-" }, {}, {}]) {
    const { exchange, answer } = await world.begin({ headers, path });
    await exchange.stream();
    const caller = await answer;
    const name = caller.header("rivulet-topic") ?? "";
    assertMatch(name, headers["rivulet-topic"] ? /^Chat:1\.~_-$/ : /^run-/);
    names.add(name);
    const { epoch, source, state } = await world.describe(name) ?? {};
    assertEquals(caller.header("rivulet-epoch"), epoch);
    assertEquals(caller.header("link"), `</topics/${name}>; rel="events"`);
    assertEquals(source, "raw messages");
    assertEquals(state, "open");
    await exchange.end(WHOLE);
    await caller.rest();
  }
  assertEquals(names.size, 3);
});

Deno.test("A topic can be followed before its run begins, and until it ends", async () => {
  await using world = await startGateway();
  await using follower = await RawWebSocket.open(world.url, "/topics/t");
  assertEquals((await follower.message("subscribed"))["state"], "pending");
  const { exchange, answer } = await world.begin(T);
  assertEquals((await world.describe("t"))?.state, "pending");
  await exchange.stream();
  assertEquals((await follower.message("live"))["next"], 1);
  await exchange.write(start);
  const first = await follower.message("events");
  assertEquals(first["offset"], 1);
  await exchange.end(delta("a") + ends[0]![1]);
  const end = await follower.message("end");
  assertEquals([end["status"], end["offset"]], ["complete", 5]);
  assertEquals((await (await answer).rest()).text, WHOLE);
});

Deno.test("A name that no topic may have is refused, and so is what else is asked wrongly", async () => {
  await using world = await startGateway();
  for (
    const [name, value, code] of [
      ["rivulet-topic", ".hidden", "invalid_topic"],
      ["rivulet-topic", "a b", "invalid_topic"],
      ["rivulet-topic", "a".repeat(129), "invalid_topic"],
      ["rivulet-topic", "", "invalid_topic"],
      ["rivulet-on-disconnect", "stop", "invalid_header"],
      ["rivulet-on-disconnect", "", "invalid_header"],
      ["idempotency-key", "a".repeat(256), "invalid_header"],
      ["idempotency-key", "", "invalid_header"],
    ] as const
  ) {
    const caller = await world.ask({ headers: { [name]: value } });
    assertEquals(caller.status, 400, `${name}: ${value}`);
    const problem = await caller.problem();
    assertEquals(problem["code"], code);
    assert(String(problem["detail"]).toLowerCase().includes(name));
  }
  assertEquals(world.provider.count, 0);
  assertEquals(await world.names(), []);
});

Deno.test("A topic that is being filled, or was, is no other run's", async () => {
  await using world = await startGateway();
  const refusal = async (): Promise<unknown[]> => {
    const caller = await world.ask(T);
    const { code, end } = await caller.problem();
    return [caller.status, code, end];
  };
  await world.create("t");
  assertEquals(await refusal(), [409, "topic_exists", undefined]);
  await world.remove("t");

  const { exchange, answer } = await world.begin(T);
  assertEquals(await refusal(), [409, "topic_exists", undefined]);
  await exchange.stream(start);
  await (await answer).see(start);
  assertEquals(await refusal(), [409, "topic_exists", undefined]);
  await exchange.end(WHOLE);
  await (await answer).rest();
  await world.ended("t");
  const end = { status: "complete" };
  assertEquals(await refusal(), [409, "topic_ended", end]);
  await world.remove("t");

  const failed = await world.begin(T);
  await failed.exchange.stream(start + ends[2]![1]);
  await failed.exchange.end();
  await (await failed.answer).rest();
  await world.ended("t");
  assertEquals(await refusal(), [409, "topic_ended", {
    status: "failed",
    reason: "overloaded_error: Busy",
  }]);
  await world.remove("t");

  const cancelled = await world.begin(T);
  await world.cancel("t", "enough");
  assertEquals((await cancelled.answer).status, 410);
  await (await cancelled.answer).rest();
  assertEquals(await refusal(), [410, "cancelled", {
    status: "cancelled",
    reason: "enough",
  }]);
  assertEquals(world.provider.count, 3);
});

Deno.test("A run that was cancelled while it was waited for is not begun", async () => {
  await using world = await startGateway();
  await using follower = await RawWebSocket.open(world.url, "/topics/t");
  await follower.message("subscribed");
  const cancelled = await world.request("/topics/t/cancel", { method: "POST" });
  assertEquals(cancelled.status, 200);
  await cancelled.body?.cancel();
  const caller = await world.ask(T);
  assertEquals(caller.status, 410);
  assertEquals((await caller.problem())["code"], "cancelled");
  assertEquals(world.provider.count, 0);
});

for (const status of [400, 401, 403, 404, 413, 422]) {
  Deno.test(`A run that is refused with ${status} has failed, and may be tried again`, async () => {
    await using world = await startGateway();
    const { exchange, answer } = await world.begin(T);
    await exchange.json(status, { error: { code: "x", message: "Not so" } });
    const caller = await answer;
    assertEquals(caller.status, status);
    assertEquals(caller.header("rivulet-topic"), null);
    assertEquals(await caller.problem(), {
      error: { code: "x", message: "Not so" },
    });
    const end = await world.ended("t");
    assertEquals(end.status, "failed");
    assertMatch(
      end.reason ?? "",
      new RegExp(`^The provider has answered ${status} .*: Not so$`),
    );
    const before = (await world.describe("t"))?.epoch;
    const second = await world.begin(T);
    assertNotEquals((await world.describe("t"))?.epoch, before);
    await second.exchange.stream(WHOLE);
    await second.exchange.end();
    await (await second.answer).rest();
    assertEquals((await world.ended("t")).status, "complete");
  });
}

for (
  const [status, headers, retryIn] of [
    [408, {}, undefined],
    [409, {}, undefined],
    [425, {}, undefined],
    [429, { "retry-after": "2" }, 2_000],
    [429, { "retry-after-ms": "1500.5" }, 1_501],
    [500, {}, undefined],
    [503, { "retry-after": "100000" }, 100_000_000],
    [529, {}, undefined],
  ] as const
) {
  Deno.test(`A run that is refused with ${status} ${JSON.stringify(headers)} is waited for`, async () => {
    const clock = new FakeClock();
    await using world = await startGateway({
      clock,
      // This clock passes minutes while the follower does nothing.
      delivery: { slowTimeout: Infinity, heartbeat: 600_000 },
    });
    await using follower = await RawWebSocket.open(world.url, "/topics/t");
    const { exchange, answer } = await world.begin(T);
    await exchange.answer(status, headers, "no");
    const caller = await answer;
    assertEquals(caller.status, status);
    assertEquals((await caller.rest()).text, "no");
    const told = await follower.message("upstream");
    assertEquals(told, {
      type: "upstream",
      topic: "t",
      state: "retrying",
      status,
      ...(retryIn !== undefined && { retryIn }),
    });
    const topic = world.topic("t");
    assertEquals(topic.state.kind, "pending");
    // As clients wait that are not told for how long, or for too long.
    await clock.advance(17_000);
    const retry = retryIn === undefined || retryIn > 10_000;
    if (!retry) return void await within(topic.ended, LIMIT, "its end");
    assertEquals(topic.state.kind, "pending");
    const second = await world.begin(T);
    assertEquals(world.topic("t"), topic);
    assertEquals(topic.upstream, { state: "connecting" });
    await clock.advance(200_000);
    assertEquals(topic.state.kind, "pending");
    await second.exchange.stream(start);
    assertEquals((await follower.message("events"))["offset"], 1);
    assertEquals(topic.upstream, { state: "open" });
    await second.exchange.end(delta("a") + ends[0]![1]);
    assertEquals((await follower.message("end"))["status"], "complete");
    await (await second.answer).rest();
  });
}

Deno.test("A run that is waited for in vain has failed, and may be tried again all the same", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  for (
    const [headers, patience] of [
      [{}, 18_000],
      [{ "retry-after": "5" }, 15_000],
      [{ "retry-after": "3600" }, 70_000],
    ] as const
  ) {
    const { exchange, answer } = await world.begin(T);
    await exchange.answer(429, headers, "no");
    await (await answer).rest();
    const topic = world.topic("t");
    await until(
      () => topic.upstream?.status === 429 || undefined,
      LIMIT,
      "the refusal to be told",
    );
    await clock.advance(patience - 1);
    assertEquals(topic.state.kind, "pending");
    await clock.advance(1);
    assertEquals((await topic.ended).status, "failed");
  }
  const { exchange, answer } = await world.begin(T);
  await exchange.stream(WHOLE);
  await exchange.end();
  assertEquals((await (await answer).rest()).end, "whole");
});

Deno.test("An answer that is no stream fails the topic that was named for it", async () => {
  await using world = await startGateway();
  for (
    const [type, body] of [
      ["application/json", '{"id":"c"}'],
      ["text/html", "<h1>Hello</h1>"],
      ["", ""],
    ] as const
  ) {
    const { exchange, answer } = await world.begin(T);
    await exchange.answer(200, type ? { "content-type": type } : {}, body);
    assertEquals(await (await answer).rest(), { text: body, end: "whole" });
    assertEquals(await world.ended("t"), {
      status: "failed",
      reason:
        `Expected an event stream, and the provider has answered 200 with ${
          type || "nothing"
        }`,
    });
    await world.remove("t");
  }
});

Deno.test("An error that comes as an event stream is an error", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin(T);
  const body = 'data: {"error":{"message":"no"}}\n\n';
  await exchange.answer(400, { "content-type": "text/event-stream" }, body);
  const caller = await answer;
  assertEquals(caller.status, 400);
  assertEquals(caller.header("rivulet-topic"), null);
  assertEquals(await caller.rest(), { text: body, end: "whole" });
  assertEquals(await world.ended("t"), {
    status: "failed",
    reason: "The provider has answered 400 Status",
  });
  assertEquals(world.provider.count, 1);
});

Deno.test("A reason is no longer than 1,000 characters", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin(T);
  await exchange.json(400, { error: { message: "no ".repeat(1_000) } });
  await (await answer).rest();
  const { reason } = await world.ended("t");
  assertEquals(reason?.length, 1_000);
});

Deno.test("A run without a name that is refused leaves no topic", async () => {
  await using world = await startGateway();
  for (const status of [400, 429, 500]) {
    const { exchange, answer } = await world.begin();
    assertEquals((await world.names()).length, 1);
    await exchange.json(status, {});
    await (await answer).rest();
    assertEquals(await world.names(), []);
  }
});

Deno.test("What asks for no stream makes no topic", async () => {
  await using world = await startGateway();
  for (
    const body of [{ stream: false }, { stream: "true" }, { stream: null }]
  ) {
    const { exchange, answer } = await world.begin({ ...T, body });
    assertEquals(await world.names(), []);
    await exchange.json(200, { id: "c" });
    const caller = await answer;
    assertEquals(caller.header("rivulet-topic"), null);
    await caller.rest();
    assertEquals(await world.names(), []);
  }
});

Deno.test("Only a POST is foreseen to be a run", async () => {
  await using world = await startGateway();
  const asked = world.request("/v1/files/f", {
    method: "PUT",
    headers: { "content-type": "application/json", "rivulet-topic": "t" },
    body: '{"stream":true}',
  });
  const exchange = await world.provider.next();
  assertEquals(await world.names(), []);
  await exchange.json(200, {});
  await (await asked).text();
  assertEquals(await world.names(), []);
});

Deno.test("A stream makes a topic that was not asked for with `stream: true`", async () => {
  await using world = await startGateway();
  for (
    const [method, path, init] of [
      ["GET", "/v1/responses/resp_9?stream=true", {}],
      ["POST", "/v1/chat/completions", { body: '{"stream":true}' }],
    ] as const
  ) {
    for (const name of ["named", undefined]) {
      const asked = world.request(path, {
        method,
        ...init,
        headers: name ? { "rivulet-topic": name } : {},
      });
      const exchange = await world.provider.next();
      await exchange.stream(WIRE_FORMATS["Responses"]!.start);
      const caller = new CallerStream(await asked);
      const topic = caller.header("rivulet-topic") ?? "";
      if (name) assertEquals(topic, name);
      await exchange.end();
      await caller.rest();
      assertEquals((await world.ended(topic)).status, "truncated");
      await world.remove(topic);
    }
  }
});

Deno.test("A stream that was not foreseen is refused where its topic is another's, and closed", async () => {
  await using world = await startGateway();
  await world.create("t");
  const asked = world.request("/v1/responses/resp_9?stream=true", {
    headers: { "rivulet-topic": "t" },
  });
  const exchange = await world.provider.next();
  await exchange.stream(start);
  const caller = new CallerStream(await asked);
  assertEquals(caller.status, 409);
  assertEquals((await caller.problem())["code"], "topic_exists");
  await exchange.closed;
});
