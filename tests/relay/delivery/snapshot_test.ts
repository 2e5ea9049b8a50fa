import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { FrameCache } from "../../../relay/delivery/frames.ts";
import { websocketFormat } from "../../../relay/doors/websocket/format.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  DeliveryReader,
  publish,
  record,
} from "../../support/delivery/delivery_reader.ts";
import { foldWire, type Wire } from "../../support/model/fold_wire.ts";
import { propertyParameters } from "../../support/property.ts";
import { readRecordedEvents } from "../../support/recordings/recorded_events.ts";
import { recordingsMissing } from "../../support/recordings/recordings.ts";
import { startRelay } from "../../support/relay/relay.ts";

const text = (data: string, id = ""): ServerSentEvent => ({
  event: "message",
  data,
  id,
});

const delta = (delta: string, id = ""): ServerSentEvent => ({
  event: "response.output_text.delta",
  data: JSON.stringify({ type: "response.output_text.delta", delta }),
  id,
});

const some = (count: number, length = 1): ServerSentEvent[] =>
  Array.from({ length: count }, (_, index) => text(`${index}`.padEnd(length)));

const wire = (events: readonly ServerSentEvent[]): Wire[] =>
  events.map(({ event, data }) => [event, data]);

Deno.test("A snapshot has what is retained, folded, and replay goes on after it", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  publish(topic, [
    text("a", "1"),
    delta("b", "2"),
    delta("c", "3"),
    delta("d"),
    text("e"),
  ]);
  await using reader = await DeliveryReader.open(relay.url, topic, {
    snapshot: true,
  });
  await reader.until(() => reader.ledger.isLive, "live");
  publish(topic, [text("f")]);
  await reader.sees(6);
  const [subscribed, ...messages] = reader.received.map(({ message }) =>
    message
  );
  assertEquals([subscribed?.["after"], subscribed?.["next"]], [0, 6]);
  assertEquals(messages, [
    {
      type: "snapshot",
      topic: "t",
      offset: 5,
      value: {
        first: 1,
        events: [
          { data: "a", id: "1" },
          { event: "response.output_text.delta", data: delta("bcd").data },
          { data: "e" },
        ],
      },
    },
    { type: "live", topic: "t", next: 6 },
    { type: "events", topic: "t", offset: 6, events: [{ data: "f" }] },
  ]);
});

Deno.test("A snapshot takes the place of what comes before it, wherever a reader stands", async (t) => {
  await using relay = await startRelay({ retention: { maxEvents: 10 } });
  const topic = record(relay.relay.topics.create("t"));
  publish(topic, some(15)); // 6..15 are retained
  const { epoch } = topic.log;
  for (
    const [name, after, gap] of [
      ["start", "start", undefined],
      ["now", "now", undefined],
      ["a retained position", { epoch, offset: 9 }, undefined],
      ["the last", { epoch, offset: 15 }, undefined],
      ["one that is not retained", { epoch, offset: 2 }, [3, 5, "evicted"]],
      ["another epoch", { epoch: "another_log", offset: 9 }, [1, 5, "epoch"]],
    ] as const
  ) {
    await t.step(name, async () => {
      await using reader = await DeliveryReader.open(relay.url, topic, {
        snapshot: true,
        after,
      });
      await reader.until(() => reader.ledger.isLive, "live");
      assertEquals(
        reader.types,
        gap
          ? ["subscribed", "gap", "snapshot", "live"]
          : ["subscribed", "snapshot", "live"],
      );
      const { message } = reader.received[gap ? 2 : 1]!; // as the types say
      assertEquals(message["offset"], 15);
      if (!gap) return;
      const { from, to, reason } = reader.received[1]?.message ?? {};
      assertEquals([from, to, reason], [...gap]);
    });
  }
});

Deno.test("There is no snapshot of nothing", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  await using reader = await DeliveryReader.open(relay.url, topic, {
    snapshot: true,
    door: "many",
  });
  await reader.settle();
  publish(topic, some(1));
  await reader.sees(1);
  topic.end("complete");
  await reader.ends();
  assertEquals(
    reader.types.filter((type) => type !== "live"),
    ["subscribed", "events", "end"],
  );
});

Deno.test("A snapshot goes only so far, and what comes after it is replayed", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  publish(topic, some(1_000, 1_000));
  topic.end("complete");
  for (const mode of ["all", "merge", "latest"] as const) {
    await using reader = await DeliveryReader.open(relay.url, topic, {
      mode,
      snapshot: true,
    });
    await reader.ends();
    const { type, bytes, message } = reader.received[1]!; // it was told its end
    assertEquals(type, "snapshot");
    assert(Math.abs(bytes - 256 * 1_024) < 10_000, `it has ${bytes} bytes`);
    assert(Number(message["offset"]) < 300);
    assertEquals(reader.types.includes("gap"), mode === "latest");
  }
});

Deno.test("A snapshot of one event goes, however large the event, or small the window", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  publish(topic, [text("x".repeat(400_000)), text("a"), text("b")]);
  await using reader = await DeliveryReader.open(relay.url, topic, {
    snapshot: true,
    window: 100,
  });
  await reader.settle();
  assertEquals(reader.types, ["subscribed", "snapshot"]);
  assertEquals(reader.ledger.seen, 1);
  reader.ack();
  await reader.sees(3);
});

/** A recording, how much of it comes before the reader, and what is asked for. */
type Example = [
  recording: [name: string, events: ServerSentEvent[]],
  share: number,
  mode: "all" | "merge",
  after: "start" | "now",
];

Deno.test({
  name:
    "A snapshot and what comes after it are the same response, from anywhere",
  ignore: recordingsMissing("A snapshot and what comes after it"),
  fn: async () => {
    await using relay = await startRelay();
    const recordings = [...await readRecordedEvents()];
    const examples = recordings.flatMap((recording): Example[] => [
      [recording, 0.3, "all", "start"],
      [recording, 1, "merge", "now"],
    ]);
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...recordings),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom("all", "merge"),
        fc.constantFrom("start", "now"),
        async ([, events], share, mode, after) => {
          const topic = record(relay.relay.topics.create(`t${runs++}`));
          const before = Math.ceil(share * events.length);
          if (before > 0) publish(topic, events.slice(0, before));
          await using reader = await DeliveryReader.open(relay.url, topic, {
            mode,
            after,
            snapshot: true,
          });
          for (let at = before; at < events.length; at += 50) {
            publish(topic, events.slice(at, at + 50));
          }
          topic.end("complete");
          await reader.ends();
          // At a beginning without events there is nothing to make one of.
          assert(reader.ledger.snapshots <= 1);
          assert(before === 0 || reader.ledger.snapshots === 1);
          assertEquals(
            foldWire(wire(reader.ledger.stream)),
            foldWire(wire(events)),
          );
        },
      ),
      {
        ...propertyParameters(examples.length + 40),
        examples,
      },
    );
  },
});

Deno.test("FrameCache folds a snapshot once for readers that come soon after each other", () => {
  const clock = new FakeClock();
  const retention = { ...DEFAULT_RETENTION, maxEvents: 2_000 };
  const topic = new Topic("t", new MemoryLog(retention, clock), clock);
  const frames = new FrameCache(websocketFormat);
  topic.append(some(1_000));
  const first = frames.of(topic).snapshot();
  assert(first && !(first instanceof Promise));
  assertEquals(first.to, 1_001);
  topic.append(some(256));
  const same = frames.of(topic).snapshot();
  assert(same && !(same instanceof Promise));
  assert(same.bytes === first.bytes, "little came after it");
  topic.append(some(1));
  const second = frames.of(topic).snapshot();
  assert(second && !(second instanceof Promise));
  assertEquals(second.to, 1_258);
  topic.append(some(1_000)); // 258 are given up
  const third = frames.of(topic).snapshot();
  assert(third && !(third instanceof Promise));
  assertEquals(third.to, 2_258);
});
