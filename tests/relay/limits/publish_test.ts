// The limits for published events: their size, and their number a second.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Publication, Publisher } from "../../../relay/sources/publish.ts";
import { PublishError } from "../../../relay/sources/publish_error.ts";
import { TopicRegistry } from "../../../relay/topics/registry.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { type Topic, TopicEndedError } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { LIMIT, until } from "../../support/within.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";

const STREAM = "text/event-stream";
const JSON_TYPE = "application/json";

/** A publisher, and a topic to publish to. */
class World implements Disposable {
  readonly clock = new FakeClock();
  readonly topics = new TopicRegistry({
    store: new MemoryStore(DEFAULT_RETENTION, this.clock),
    endedTtl: 1e9,
    awaitedTtl: 1e9,
    clock: this.clock,
  });
  readonly topic: Topic = this.topics.create("t");
  readonly publisher: Publisher;

  constructor(limits: { maxEvent?: number; maxRate?: number }) {
    this.publisher = new Publisher({
      leases: this.topics.leases,
      maxBytes: 1e6,
      idleTimeout: 1e9,
      clock: this.clock,
      maxEvent: 1e6,
      maxRate: 1e6,
      ...limits,
    });
  }

  /** The number of events in the topic. */
  get count(): number {
    return this.topic.log.next - 1;
  }

  publish(
    type: Publication["type"],
    text: string,
    more: Partial<Publication> = {},
  ): Promise<{ first: number; next: number }> {
    const body = ReadableStream.from([new TextEncoder().encode(text)]);
    const publication = {
      type,
      body,
      publisher: "ann",
      client: "ann",
      ...more,
    };
    return this.publisher.publish(this.topic, publication);
  }

  add(count: number, client = "ann", key?: string): unknown {
    const events = Array.from({ length: count }, () => ({ data: "x" }));
    return this.publisher.add(this.topic, events, {
      publisher: client,
      client,
      key,
    });
  }

  [Symbol.dispose](): void {
    this.topics[Symbol.dispose]();
  }
}

function refusal(act: () => unknown): PublishError {
  return assertThrows(act, PublishError);
}

/** A stream of as many events. */
function streamOf(count: number): string {
  return "data: x\n\n".repeat(count);
}

// An event of 20 bytes, and one of 21.
// deno-fmt-ignore
const SIZES: [what: string, type: Publication["type"], good: string, bad: string][] = [
  ["text", "text/plain", "x".repeat(20), "x".repeat(21)],
  ["text of two bytes a letter", "text/plain", "é".repeat(10), "é".repeat(10) + "x"],
  ["text of four bytes a letter", "text/plain", "😀".repeat(5), "😀".repeat(5) + "x"],
  ["JSON", JSON_TYPE, `{"data":"${"x".repeat(20)}"}`, `{"data":"${"x".repeat(21)}"}`],
  ["JSON with a name", JSON_TYPE, `{"event":"12345","data":"${"é".repeat(7)}x"}`, `{"event":"12345","data":"${"é".repeat(8)}"}`],
  ["JSON with an id", JSON_TYPE, `{"event":"12345","id":"12345","data":"1234567890"}`, `{"event":"12345","id":"123456","data":"1234567890"}`],
  ["JSON with escapes", JSON_TYPE, `{"event":"n","data":"${"\\u00e9".repeat(9)}x"}`, `{"event":"n","data":"${"\\u00e9".repeat(10)}"}`],
  ["a stream", STREAM, `data: ${"x".repeat(20)}\n\n`, `data: ${"x".repeat(21)}\n\n`],
  ["a stream of letters of two bytes", STREAM, `event: n\ndata: ${"é".repeat(9)}x\n\n`, `event: n\ndata: ${"é".repeat(10)}\n\n`],
  ["a stream with names and ids", STREAM, "event: 12345\nid: 12345\ndata: 1234\ndata: 12345\n\n", "event: 12345\nid: 12345\ndata: 1234\ndata: 123456\n\n"],
];

for (const [what, type, good, bad] of SIZES) {
  Deno.test(`Publisher takes an event of the size that it may have, and none larger, of ${what}`, async () => {
    using world = new World({ maxEvent: 20 });
    const { next } = await world.publish(type, good);
    assertEquals(next, 2);
    const error = await assertRejects(
      () => world.publish(type, bad),
      PublishError,
    );
    assertEquals(error.code, "event_too_large");
    assertEquals(error.added, undefined);
    assertEquals(world.count, 1);
  });
}

Deno.test("Publisher adds nothing of JSON of which one event is too large", async () => {
  using world = new World({ maxEvent: 20 });
  const events = [{ data: "a" }, { data: "x".repeat(21) }];
  const { code } = await assertRejects(
    () => world.publish(JSON_TYPE, JSON.stringify(events)),
    PublishError,
  );
  assertEquals(code, "event_too_large");
  const { publisher, topic } = world;
  const error = refusal(() =>
    publisher.add(topic, events, { publisher: "", client: "" })
  );
  assertEquals(error.code, "event_too_large");
  assertEquals(world.count, 0);
});

Deno.test("Publisher adds what comes in a stream before what is too large, and says so", async () => {
  // Too large for the reader of the stream, and only as bytes.
  for (const large of ["x".repeat(100), "é".repeat(12)]) {
    using world = new World({ maxEvent: 20 });
    const error = await assertRejects(
      () =>
        world.publish(STREAM, `${streamOf(2)}data: ${large}\n\n${streamOf(1)}`),
      PublishError,
    );
    assertEquals(error.code, "event_too_large");
    const { epoch } = world.topic.log;
    assertEquals(error.added, { epoch, first: 1, next: 3 });
    assertEquals(world.count, 2);
  }
});

Deno.test("Publisher takes as many events in a second as a client may publish, and no more", async () => {
  using world = new World({ maxRate: 4 });
  world.add(2);
  const three = refusal(() => world.add(3));
  assertEquals([three.code, three.retryIn], ["publish_rate", 250]);
  assertEquals(world.count, 2, "nothing of it");
  await world.publish("text/plain", "x");
  await world.publish(JSON_TYPE, '[{"data":"x"}]');
  for (
    const [type, body] of [
      ["text/plain", "x"],
      [JSON_TYPE, '{"data":"x"}'],
      [STREAM, "data: x\n\n"],
    ] as const
  ) {
    const error = await assertRejects(
      () => world.publish(type, body),
      PublishError,
    );
    assertEquals([error.code, error.retryIn], ["publish_rate", 250], type);
  }
  world.add(4, "bob");
  assertEquals(world.count, 8);
  await world.clock.advance(250);
  world.add(1);
  assertEquals(world.count, 9);
});

Deno.test("Publisher takes nothing from a rate for what it refuses or has had before", async () => {
  using world = new World({ maxRate: 2, maxEvent: 20 });
  const large = JSON.stringify({ data: "x".repeat(30) });
  for (const body of [large, "{", "[]"]) {
    await assertRejects(() => world.publish(JSON_TYPE, body), PublishError);
  }
  const once = world.add(2, "ann", "key");
  assertEquals(world.add(2, "ann", "key"), once);
  assertEquals(refusal(() => world.add(1, "ann", "new")).code, "publish_rate");
  await world.clock.advance(500);
  world.add(1, "ann", "new");
  assertEquals(world.count, 3);
});

Deno.test("Publisher reads a stream no faster than its client may publish", async () => {
  using world = new World({ maxRate: 4 });
  const published = world.publish(STREAM, streamOf(10));
  await world.clock.advance(0);
  assertEquals(world.count, 4);
  await world.clock.advance(249);
  assertEquals(world.count, 4);
  await world.clock.advance(1);
  assertEquals(world.count, 5);
  await world.clock.advance(1_000);
  assertEquals(world.count, 9);
  await world.clock.advance(250);
  const { first, next } = await published;
  assertEquals([first, next], [1, 11]);
});

Deno.test("Publisher takes a large stream in steps, and shares a rate among streams", async () => {
  using world = new World({ maxRate: 1_000 });
  let appends = 0;
  world.topic.observe({ changed: () => appends++ });
  const both = Promise.all([
    world.publish(STREAM, streamOf(2_000)),
    world.publish(STREAM, streamOf(2_000)),
  ]);
  await world.clock.advance(1_000);
  assert(world.count <= 2_000, `${world.count}`);
  await world.clock.run(both);
  assertEquals(world.count, 4_000);
  assertEquals(appends, 40, "a tenth of a second each");
  assert(world.clock.now() >= 3_000, `${world.clock.now()}`);
});

Deno.test("Publisher tells at once whose stream waits that its topic has ended", async () => {
  using world = new World({ maxRate: 1 });
  const { signal } = new AbortController();
  const published = world.publish(STREAM, streamOf(3), { signal });
  await world.clock.advance(0);
  world.topic.end("cancelled");
  await assertRejects(() => published, TopicEndedError);
  assertEquals(world.count, 1);
  world.topics[Symbol.dispose]();
  assertEquals(world.clock.pending, 0, "no timer is left");
});

Deno.test("Publisher does not wait for a stream whose publisher has gone", async () => {
  using world = new World({ maxRate: 1 });
  const gone = new AbortController();
  const published = world.publish(STREAM, streamOf(3), { signal: gone.signal });
  await world.clock.advance(0);
  gone.abort(new Error("gone"));
  const error = await assertRejects(() => published, PublishError);
  assertEquals(error.code, "body_incomplete");
  const { epoch } = world.topic.log;
  assertEquals(error.added, { epoch, first: 1, next: 2 });
  world.topics[Symbol.dispose]();
  assertEquals(world.clock.pending, 0, "no timer is left");
});

Deno.test("Publisher goes on with a stream under a key where it was when it broke off", async () => {
  using world = new World({ maxRate: 2 });
  const gone = new AbortController();
  const broken = world.publish(STREAM, streamOf(4), {
    key: "k",
    signal: gone.signal,
  });
  // To digest two events may take more than a turn.
  await until(() => world.count === 2 || undefined, LIMIT, "two events");
  gone.abort();
  await assertRejects(() => broken, PublishError);
  await world.clock.advance(1_000);
  // Events that are there already do not count.
  const { first, next } = await world.publish(STREAM, streamOf(4), {
    key: "k",
  });
  assertEquals([first, next], [3, 5]);
});

async function post(
  relay: TestRelay,
  type: string,
  body: string,
): Promise<[number, string | undefined, string | null]> {
  const response = await relay.request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": type },
    body,
  });
  const { code } = await response.json();
  return [response.status, code, response.headers.get("retry-after")];
}

Deno.test("Relay refuses who publishes too much with 429, and says when to come back", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    limits: { maxPublishRate: 0.4 },
  });
  assertEquals(await post(relay, JSON_TYPE, '{"data":"a"}'), [
    200,
    undefined,
    null,
  ]);
  for (
    const [type, body] of [
      [JSON_TYPE, '{"data":"b"}'],
      ["text/plain", "b"],
      [STREAM, "data: b\n\n"],
    ] as const
  ) assertEquals(await post(relay, type, body), [429, "publish_rate", "3"]);
  await clock.advance(2_500);
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  const frame = { type: "publish", topic: "t", events: [{ data: "b" }] };
  await socket.say(frame);
  assertEquals((await socket.message("published"))["first"], 2);
  await socket.say({ ...frame, id: "k" });
  const { code, topic, id, retryable } = await socket.message("error");
  assertEquals([code, topic, id, retryable], ["publish_rate", "t", "k", true]);
  await clock.advance(2_500);
  await socket.say({ ...frame, id: "k" });
  assertEquals((await socket.message("published"))["first"], 3);
});

Deno.test("Relay refuses events and bodies that are too large with 413", async () => {
  await using relay = await startRelay({
    limits: { maxEvent: 50, maxBody: 200 },
  });
  const large = "x".repeat(51);
  for (
    const [type, body] of [
      [JSON_TYPE, `[{"data":"a"},{"data":"${large}"}]`],
      ["text/plain", large],
      [STREAM, `data: ${large}\n\n`],
    ] as const
  ) assertEquals(await post(relay, type, body), [413, "event_too_large", null]);
  const body = "x".repeat(201);
  assertEquals(
    await post(relay, "text/plain", body),
    [413, "body_too_large", null],
  );
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.say({ type: "publish", topic: "t", events: [{ data: large }] });
  const { code, retryable } = await socket.message("error");
  assertEquals([code, retryable], ["event_too_large", false]);
  assertEquals(await post(relay, "text/plain", "x".repeat(50)), [
    200,
    undefined,
    null,
  ]);
  // A stream as a whole may be as long as it likes.
  assertEquals(await post(relay, STREAM, streamOf(100)), [
    200,
    undefined,
    null,
  ]);
});
