import { setImmediate } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FrameCache } from "../../../relay/delivery/frames.ts";
import { Subscription } from "../../../relay/delivery/subscription.ts";
import {
  mergedWebsocketFormat,
  websocketFormat,
} from "../../../relay/doors/websocket/format.ts";
import { Window } from "../../../relay/delivery/window.ts";
import type { Log, LogRange, ReadBudget } from "../../../relay/topics/log.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  DeliveryReader,
  eventsLength,
  publish,
  type Received,
  record,
} from "../../support/delivery/delivery_reader.ts";
import { StoreLog } from "../../support/delivery/store_log.ts";
import { propertyParameters } from "../../support/property.ts";
import { startRelay } from "../../support/relay/relay.ts";

const text = (data: string): ServerSentEvent => ({
  event: "message",
  data,
  id: "",
});

/** Events of 1 to `count`, each with data of this length. */
const some = (count: number, length = 10): ServerSentEvent[] =>
  Array.from({ length: count }, (_, index) => text(`${index}`.padEnd(length)));

const delta = (text: string, index = 0): ServerSentEvent => ({
  event: "response.output_text.delta",
  data: JSON.stringify({
    type: "response.output_text.delta",
    output_index: index,
    delta: text,
  }),
  id: "",
});

/**
 * Returns the last offset of a message with data, which counts for the window.
 */
function lastOf({ type, message }: Received): number | undefined {
  const { offset, to, events } = message;
  if (type === "snapshot") return Number(offset);
  if (type === "merged") return Number(to);
  if (type !== "events" || !Array.isArray(events)) return undefined;
  return Number(offset) + events.length - 1;
}

/** Returns the messages that were received and not acknowledged. */
function inFlight(received: readonly Received[], acked: number): Received[] {
  return received.filter((one) => (lastOf(one) ?? 0) > acked);
}

const sum = (received: readonly Received[]): number =>
  received.reduce((bytes, one) => bytes + one.bytes, 0);

function countOf({ type, message }: Received): number {
  return type === "events" && Array.isArray(message["events"])
    ? message["events"].length
    : 2;
}

Deno.test("A window is kept to the byte, and used to the byte", async () => {
  await using relay = await startRelay();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        window: fc.integer({ min: 1, max: 2_000 }),
        sizes: fc.array(
          fc.oneof(
            fc.nat(40),
            fc.nat(300),
            { weight: 1, arbitrary: fc.nat(3_000) },
          ),
          { minLength: 1, maxLength: 40 },
        ),
        acks: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
          minLength: 1,
          maxLength: 10,
        }),
        mode: fc.constantFrom("all", "merge"),
        door: fc.constantFrom("one", "many"),
        late: fc.boolean(),
      }),
      async ({ window, sizes, acks, mode, door, late }) => {
        const topic = record(relay.relay.topics.create(`t${runs++}`));
        const events = sizes.map((size) => text("x".repeat(size)));
        const half = late ? events.length : events.length >> 1;
        if (half > 0) publish(topic, events.slice(0, half));
        await using witness = await DeliveryReader.open(relay.url, topic);
        await using reader = await DeliveryReader.open(relay.url, topic, {
          mode,
          window,
          door,
        });
        if (half < events.length) publish(topic, events.slice(half));
        topic.end("complete");
        await witness.ends();
        let acked = 0;
        for (let turn = 0;; turn++) {
          await reader.settle();
          const { seen } = reader.ledger;
          const flying = inFlight(reader.received, acked);
          const bytes = sum(flying);
          assert(
            bytes <= window || flying.length === 1 && countOf(flying[0]!) === 1,
            `${bytes} bytes are in flight, with a window of ${window}`,
          );
          if (seen === events.length) break;
          assert(flying.length > 0, "nothing is in flight, and nothing comes");
          const next = events.slice(seen, seen + 1);
          const needed = eventsLength(topic.name, seen + 1, next);
          assert(
            bytes + needed > window,
            `${bytes} of ${window} bytes are in flight, and ${needed} wait`,
          );
          // The relay subtracts each message as a whole, so the next
          // acknowledgement may have to cover all of it.
          const share = acks[turn % acks.length] ?? 1;
          const wanted = acked + Math.ceil(share * (seen - acked));
          const writes = flying.map(lastOf).filter((last) =>
            last !== undefined
          );
          const whole = writes.findLast((last) => last <= wanted) ?? writes[0];
          acked = whole ?? seen;
          reader.ack(acked);
        }
        // The end does not wait for an ack.
        await reader.ends();
        assertEquals(
          reader.received.flatMap(({ message }) => message["events"] ?? []),
          events.map(({ data }) => ({ data })),
        );
      },
    ),
    propertyParameters(40),
  );
});

Deno.test("A window holds for deltas that are merged", async () => {
  await using relay = await startRelay();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 2_000 }),
      fc.array(fc.record({ length: fc.nat(60), index: fc.nat(1) }), {
        minLength: 1,
        maxLength: 60,
      }),
      async (window, deltas) => {
        const topic = record(relay.relay.topics.create(`t${runs++}`));
        publish(
          topic,
          deltas.map(({ length, index }) => delta("y".repeat(length), index)),
        );
        topic.end("complete");
        await using reader = await DeliveryReader.open(relay.url, topic, {
          mode: "merge",
          window,
        });
        for (let acked = 0;;) {
          await reader.settle();
          const flying = inFlight(reader.received, acked);
          assert(
            sum(flying) <= window ||
              flying.length === 1 && countOf(flying[0]!) === 1,
            `${sum(flying)} bytes are in flight, with a window of ${window}`,
          );
          if (reader.ledger.seen === deltas.length) break;
          assert(reader.ledger.seen > acked, "it stands still");
          acked = reader.ledger.seen;
          reader.ack(acked);
        }
        await reader.ends();
      },
    ),
    propertyParameters(40),
  );
});

Deno.test("A reader that acknowledges nothing stands still, and the others go on", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  const stalled: DeliveryReader[] = [];
  try {
    for (const mode of ["all", "merge", "latest"] as const) {
      stalled.push(
        await DeliveryReader.open(relay.url, topic, { mode, window: 500 }),
      );
    }
    await using free = await DeliveryReader.open(relay.url, topic);
    for (let round = 1; round <= 20; round++) {
      publish(topic, some(100));
      await free.sees(100 * round);
    }
    topic.end("complete");
    await free.ends();
    for (const reader of stalled) {
      await reader.settle();
      const { received, ledger } = reader;
      assert(sum(inFlight(received, 0)) <= 500);
      assertEquals(ledger.end, undefined);
      const before = ledger.seen;
      assert(before > 0);
      // It takes everything now, and what it was not sent waits for it.
      await reader.drain();
      assertEquals(ledger.seen, 2_000);
    }
  } finally {
    for (const reader of stalled) await reader[Symbol.asyncDispose]();
  }
});

Deno.test("A closed window holds nothing up but events", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  const other = record(relay.relay.topics.create("other"));
  await using reader = await DeliveryReader.open(relay.url, topic, {
    window: 200,
    door: "many",
  });
  publish(topic, some(100));
  await reader.settle();
  const { seen } = reader.ledger;
  assert(seen > 0 && seen < 100);
  const before = reader.received.length;

  topic.setUpstream({ state: "retrying", attempt: 2, retryIn: 10 });
  await reader.until(() => reader.types.at(-1) === "upstream", "upstream");
  assertEquals(reader.received.length, before + 1);

  // Another subscription of the same connection.
  reader.send({ type: "subscribe", topic: "other", window: 1 });
  await using witness = await DeliveryReader.open(relay.url, other);
  publish(other, some(1));
  await witness.sees(1);
  await reader.settle();
  assertEquals(reader.ledger.seen, seen);
  assertEquals(reader.refused, []);
  assertEquals(other.followers, 2);
});

Deno.test("A reader with a closed window is told of all that it has missed at once", async () => {
  await using relay = await startRelay({ retention: { maxEvents: 50 } });
  const topic = record(relay.relay.topics.create("t"));
  await using reader = await DeliveryReader.open(relay.url, topic, {
    window: 300,
  });
  await using witness = await DeliveryReader.open(relay.url, topic);
  for (let round = 1; round <= 10; round++) {
    publish(topic, some(20));
    await witness.sees(20 * round);
    await reader.settle();
  }
  const { seen } = reader.ledger;
  assert(!reader.types.includes("gap"), "it was not told event by event");
  reader.ack();
  await reader.until(() => reader.ledger.seen > 150, "what is retained");
  assertEquals(
    reader.ledger.pieces.filter(({ kind }) => kind === "evicted"),
    [{ kind: "evicted", from: seen + 1, to: 150 }],
  );
});

Deno.test("An ack of what was not sent is refused, and any other is taken", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  publish(topic, some(10, 100));
  await using reader = await DeliveryReader.open(relay.url, topic, {
    window: 300,
  });
  await reader.settle();
  const { seen } = reader.ledger;
  assertEquals(seen, 2);
  reader.ack(seen + 1);
  reader.ack(Number.MAX_SAFE_INTEGER);
  await reader.until(() => reader.refused.length === 2, "errors");
  for (const { code, topic, retryable } of reader.refused) {
    assertEquals([code, topic, retryable], ["invalid_ack", "t", false]);
  }
  await reader.settle();
  assertEquals(reader.ledger.seen, seen, "a wrong ack opens nothing");
  reader.ack(0);
  await reader.settle();
  assertEquals(reader.ledger.seen, seen, "nor does one of nothing");
  reader.ack(1);
  reader.ack(1);
  await reader.settle();
  assertEquals(reader.ledger.seen, seen, "nor one of half a message");
  reader.ack(2);
  await reader.sees(4);
  reader.send({ type: "ack", topic: "nothing", offset: 7 });
  reader.send({ type: "unsubscribe", topic: "t" });
  reader.ack(4);
  await reader.settle();
  assertEquals(reader.refused.length, 2, "who has left may still be heard");
});

Deno.test("An ack needs no window, and is checked without one", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  publish(topic, some(3));
  await using reader = await DeliveryReader.open(relay.url, topic);
  await reader.sees(3);
  reader.ack(3);
  reader.ack(4);
  await reader.until(() => reader.refused.length === 1, "an error");
  publish(topic, some(1));
  await reader.sees(4);
});

Deno.test("Window remembers little of a reader that acknowledges nothing, and is never too wide", () => {
  const window = new Window(1_000_000);
  for (let event = 1; event <= 10_000; event++) window.send(event, 10);
  assertEquals(window.room, 900_000);
  let acked = 0;
  while (acked < 10_000) {
    window.ack(++acked);
    assert(window.room <= 900_000 + 10 * acked, "only what is acknowledged");
  }
  assertEquals(window.room, 1_000_000);
  assert(window.isEmpty);
});

/** A topic outside of a relay. */
function topicOf(log: Log, clock: FakeClock): Topic {
  return new Topic("t", log, clock);
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes ? new TextDecoder().decode(bytes) : "";
}

Deno.test("A subscription with a closed window looks at nothing, however much comes", () => {
  const clock = new FakeClock();
  const log = new MemoryLog(DEFAULT_RETENTION, clock);
  let reads = 0;
  const read = log.read.bind(log);
  log.read = (from: number, budget: ReadBudget) => {
    reads++;
    return read(from, budget);
  };
  const topic = topicOf(log, clock);
  const subscription = new Subscription(
    topic,
    "start",
    websocketFormat,
    new FrameCache(websocketFormat),
    { window: 150 },
  );
  subscription.next(); // subscribed
  topic.append(some(100, 20));
  assert(subscription.next() instanceof Uint8Array);
  assertEquals(subscription.blocked, false);
  assertEquals(subscription.next(), undefined);
  assertEquals(subscription.blocked, true);
  const before = reads;
  for (let round = 0; round < 100; round++) {
    topic.append(some(100));
    assertEquals(subscription.next(), undefined);
  }
  assertEquals(reads, before);
});

Deno.test("A frame has as many events as there is room for, and not one more", () => {
  const clock = new FakeClock();
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(20), fc.nat(300)), {
        minLength: 2,
        maxLength: 40,
      }),
      fc.nat(39),
      fc.constantFrom(-1, 0, 1),
      (sizes, last, more) => {
        const topic = topicOf(new MemoryLog(DEFAULT_RETENTION, clock), clock);
        const events = sizes.map((size) => text("x".repeat(size)));
        topic.append(events);
        const lengthOf = (count: number): number =>
          eventsLength("t", 1, events.slice(0, count));
        // On the boundary, and next to it.
        const fitting = Math.min(last + 1, events.length);
        const window = lengthOf(fitting) + more;
        const subscription = new Subscription(
          topic,
          "start",
          websocketFormat,
          new FrameCache(websocketFormat),
          { window },
        );
        subscription.next(); // subscribed
        const bytes = subscription.next();
        assert(bytes instanceof Uint8Array);
        const count =
          events.findLastIndex((_, index) => lengthOf(index + 1) <= window) + 1;
        assertEquals(bytes.byteLength, lengthOf(Math.max(count, 1)));
      },
    ),
    propertyParameters(1_000),
  );
});

Deno.test("A subscription that is told to skip jumps to the end, and says so once", () => {
  const clock = new FakeClock();
  const topic = topicOf(new MemoryLog(DEFAULT_RETENTION, clock), clock);
  const frames = new FrameCache(websocketFormat);
  const subscription = new Subscription(
    topic,
    "start",
    websocketFormat,
    frames,
  );
  const says = (): string => {
    const bytes = subscription.next();
    assert(bytes === undefined || bytes instanceof Uint8Array);
    return textOf(bytes);
  };
  topic.append(some(2));
  says(); // subscribed
  assert(says().includes(`"type":"events"`));
  assert(says().includes(`"type":"live"`));
  subscription.skip();
  assertEquals(says(), "", "there was nothing to skip");
  topic.append(some(3));
  subscription.skip();
  assert(
    says().includes(
      `{"type":"gap","topic":"t","from":3,"to":5,"reason":"slow"}`,
    ),
  );
  assertEquals(says(), "");
  topic.append(some(1));
  assert(says().includes(`"type":"events","topic":"t","offset":6`));
});

/** A log whose reads have to be fetched. */
class FetchedLog extends StoreLog {
  override async read(from: number, budget: ReadBudget): Promise<LogRange> {
    await setImmediate();
    return this.memory.read(from, budget);
  }
}

for (const snapshot of [false, true]) {
  for (const latest of [false, true]) {
    Deno.test(`A window holds for events that have to be fetched: snapshot ${snapshot}, latest ${latest}`, async () => {
      const clock = new FakeClock();
      const topic = topicOf(new FetchedLog(clock), clock);
      topic.append(some(2_000, 20));
      const subscription = new Subscription(
        topic,
        "start",
        mergedWebsocketFormat,
        new FrameCache(mergedWebsocketFormat),
        { window: 400, snapshot, latest },
      );
      const said: string[] = [];
      let acked = 0;
      let flying = 0;
      for (;;) {
        const bytes = await subscription.next();
        if (bytes === undefined) {
          if (!subscription.blocked) break;
          const last = Math.max(...said.flatMap((frame) => {
            const { to, offset, events } = JSON.parse(frame);
            return events ? offset + events.length - 1 : to ?? offset ?? 0;
          }));
          assert(last > acked, "it stands still");
          assert(subscription.ack(acked = last));
          flying = 0;
          continue;
        }
        assert(bytes instanceof Uint8Array);
        const frame = textOf(bytes);
        if (frame === "") continue;
        for (const part of frame.split(/(?=\{"type")/).slice(1)) {
          // what is after it is the header of the next frame
          said.push(part.slice(0, part.lastIndexOf("}") + 1));
        }
        if (!frame.includes(`"type":"events"`)) continue;
        flying += bytes.byteLength;
        assert(flying <= 400 || latest, `${flying} bytes are in flight`);
      }
      const types = new Set(said.map((frame) => JSON.parse(frame).type));
      assertEquals(types.has("snapshot"), snapshot);
      assertEquals(types.has("gap"), latest && !snapshot);
      assert(said.at(-1)?.includes(`"type":"live"`));
    });
  }
}

Deno.test("An ack that comes while events are fetched that have no room yet is not lost", async () => {
  const clock = new FakeClock();
  const log = new FetchedLog(clock);
  const topic = topicOf(log, clock);
  topic.append(some(2, 100));
  const subscription = new Subscription(
    topic,
    "start",
    websocketFormat,
    new FrameCache(websocketFormat),
    { window: eventsLength("t", 1, some(1, 100)) + 10 },
  );
  await subscription.next(); // subscribed
  const first = await subscription.next();
  assert(first instanceof Uint8Array);
  assertEquals(subscription.cursor, 2);
  const second = subscription.next();
  assert(second instanceof Promise);
  assert(subscription.ack(1));
  assertEquals((await second as Uint8Array).byteLength, 0);
  assertEquals(subscription.blocked, false, "nothing is in flight");
  assert(
    textOf(await subscription.next() as Uint8Array).includes(`"offset":2`),
  );
});

/** A log whose retention passes its first events while they are fetched, once. */
class PassedLog extends StoreLog {
  #first = 1;

  override get first(): number {
    return this.#first;
  }

  override async read(from: number, budget: ReadBudget): Promise<LogRange> {
    await setImmediate();
    if (this.#first > 1) return this.memory.read(from, budget);
    this.#first = 3;
    throw new Error("The events are gone");
  }
}

Deno.test("A snapshot whose first events are gone when they are fetched is made of the rest", async () => {
  const clock = new FakeClock();
  const topic = topicOf(new PassedLog(clock), clock);
  topic.append(some(4, 1));
  const subscription = new Subscription(
    topic,
    "start",
    mergedWebsocketFormat,
    new FrameCache(mergedWebsocketFormat),
    { snapshot: true },
  );
  let said = "";
  for (;;) {
    const bytes = await subscription.next();
    if (bytes === undefined) break;
    assert(bytes instanceof Uint8Array);
    said += textOf(bytes);
  }
  const snapshot =
    /"type":"snapshot","topic":"t","offset":4,"value":\{"first":3/;
  assert(snapshot.test(said), said);
  assert(said.includes(`"type":"live"`));
});
