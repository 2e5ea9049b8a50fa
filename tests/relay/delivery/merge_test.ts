import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  mergedWebsocketFormat,
  websocketFormat,
} from "../../../relay/doors/websocket/format.ts";
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
import { Random } from "../../support/random.ts";
import { readRecordedEvents } from "../../support/recordings/recorded_events.ts";
import { recordingsMissing } from "../../support/recordings/recordings.ts";
import { startRelay } from "../../support/relay/relay.ts";

const wire = (events: readonly ServerSentEvent[]): Wire[] =>
  events.map(({ event, data }) => [event, data]);

const TYPE = "response.output_text.delta";

function delta(delta: string, number: number, index = 0): ServerSentEvent {
  const data = { type: TYPE, output_index: index, delta };
  return {
    event: TYPE,
    data: JSON.stringify({ ...data, sequence_number: number }),
    id: `${number}`,
  };
}

const text = (data: string): ServerSentEvent => ({
  event: "message",
  data,
  id: "",
});

Deno.test("Mode merge folds adjacent deltas of one item, and nothing else", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  publish(topic, [
    text("a"),
    delta("b", 1),
    text("c"),
    text("d"),
    delta("e", 2),
    delta("f", 3),
    delta("g", 4),
    delta("h", 5, 1),
    delta("i", 6, 1),
    delta("j", 7),
    text("k"),
  ]);
  topic.end("complete");
  await using reader = await DeliveryReader.open(relay.url, topic, {
    mode: "merge",
  });
  await reader.ends();
  const merged = (delta: string, sequence_number: number, index: number) =>
    JSON.stringify({ type: TYPE, output_index: index, delta, sequence_number });
  assertEquals(reader.received.slice(1).map(({ message }) => message), [
    {
      type: "events",
      topic: "t",
      offset: 1,
      events: [
        { data: "a" },
        { event: TYPE, data: delta("b", 1).data, id: "1" },
        { data: "c" },
        { data: "d" },
      ],
    },
    {
      type: "merged",
      topic: "t",
      offset: 5,
      to: 7,
      event: TYPE,
      data: merged("efg", 4, 0),
    },
    {
      type: "merged",
      topic: "t",
      offset: 8,
      to: 9,
      event: TYPE,
      data: merged("hi", 6, 1),
    },
    {
      type: "events",
      topic: "t",
      offset: 10,
      events: [
        { event: TYPE, data: delta("j", 7).data, id: "7" },
        { data: "k" },
      ],
    },
    { type: "end", topic: "t", offset: 12, status: "complete" },
  ]);
});

Deno.test("Mode merge leaves out the name of a Chat chunk, as events do", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  publish(
    topic,
    ["a", "b"].map((content) =>
      text(JSON.stringify({ choices: [{ delta: { content } }] }))
    ),
  );
  await using reader = await DeliveryReader.open(relay.url, topic, {
    mode: "merge",
    door: "many",
  });
  await reader.sees(2);
  assertEquals(reader.received[1]?.message, {
    type: "merged",
    topic: "t",
    offset: 1,
    to: 2,
    data: '{"choices":[{"delta":{"content":"ab"}}]}',
  });
});

Deno.test("Mode merge sends a reader that keeps up every delta as it comes", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  await using reader = await DeliveryReader.open(relay.url, topic, {
    mode: "merge",
  });
  for (let number = 1; number <= 20; number++) {
    publish(topic, [delta("a", number)]);
    await reader.sees(number);
  }
  assert(!reader.types.includes("merged"));
});

Deno.test({
  name:
    "A reader that merges makes the same of every recording as one that does not",
  ignore: recordingsMissing("A reader that merges makes the same"),
  fn: async () => {
    await using relay = await startRelay({
      limits: { maxMessageRate: 1e9, maxMessageBytesRate: 1e12 },
    });
    const recordings = [...await readRecordedEvents()];
    let runs = 0;
    let merged = 0;
    const run = async (
      name: string,
      events: readonly ServerSentEvent[],
      { seed, window, stalls }: {
        seed: number;
        window: number;
        stalls: "acks" | "socket";
      },
    ) => {
      const random = new Random(seed);
      const topic = record(relay.relay.topics.create(`t${runs++}`));
      await using all = await DeliveryReader.open(relay.url, topic);
      await using reader = await DeliveryReader.open(relay.url, topic, {
        mode: "merge",
        ...(stalls === "acks" && { window }),
      });
      for (let at = 0; at < events.length;) {
        const count = random.integer(1, random.chance(0.2) ? 200 : 20);
        publish(topic, events.slice(at, at += count));
        await all.sees(Math.min(at, events.length));
        if (stalls === "acks") {
          if (random.chance(0.5)) reader.ack();
        } else if (random.chance(0.5)) reader.pause();
        else reader.resume();
      }
      topic.end("complete");
      await all.ends();
      reader.resume();
      await reader.drain();
      assertEquals(wire(all.ledger.stream), wire(events));
      assertEquals(
        foldWire(wire(reader.ledger.stream)),
        foldWire(wire(events)),
        name,
      );
      merged += reader.types.filter((type) => type === "merged").length;
    };
    for (const [name, events] of recordings) {
      await run(name, events, { seed: 1, window: 4_000, stalls: "acks" });
    }
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...recordings),
        fc.record({
          seed: fc.integer(),
          window: fc.integer({ min: 1, max: 20_000 }),
          stalls: fc.constantFrom("acks", "socket"),
        }),
        ([name, events], options) => run(name, events, options),
      ),
      propertyParameters(30),
    );
    console.log(`${merged} messages were merged`);
    assert(merged > 100);
  },
});

/** Counts what is parsed while something is done. */
function parsesOf(action: () => void): number {
  const parse = JSON.parse;
  let parses = 0;
  JSON.parse = (...given: Parameters<typeof parse>) => {
    parses++;
    return parse(...given);
  };
  try {
    action();
  } finally {
    JSON.parse = parse;
  }
  return parses;
}

Deno.test("Mode merge parses a delta once for all readers, and nothing else at all", async () => {
  const clock = new FakeClock();
  const topic = new Topic("t", new MemoryLog(DEFAULT_RETENTION, clock), clock);
  topic.append([
    ...Array.from({ length: 100 }, (_, number) => delta("a", number)),
    ...Array.from({ length: 100 }, (_, number) => text(`{"n":${number}}`)),
  ]);
  const budget = { events: 512, bytes: Infinity };
  const ranges = await Promise.all(
    Array.from({ length: 50 }, (_, from) => topic.log.read(from + 1, budget)),
  );
  const write = (): void => {
    for (const range of ranges) mergedWebsocketFormat.events(topic, range);
  };
  // Merged text replaces the data of the first delta: one parse for each range.
  assertEquals(parsesOf(write), 100 + ranges.length);
  assertEquals(parsesOf(write), ranges.length);

  const plain = await topic.log.read(101, budget);
  assertEquals(
    parsesOf(() =>
      assertEquals(
        mergedWebsocketFormat.events(topic, plain),
        websocketFormat.events(topic, plain),
      )
    ),
    0,
  );
});
