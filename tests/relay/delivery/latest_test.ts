import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import {
  DeliveryReader,
  publish,
  record,
} from "../../support/delivery/delivery_reader.ts";
import { propertyParameters } from "../../support/property.ts";
import { startRelay } from "../../support/relay/relay.ts";

const some = (from: number, to: number): ServerSentEvent[] =>
  Array.from({ length: to - from + 1 }, (_, index) => ({
    event: "message",
    data: String(from + index),
    id: "",
  }));

Deno.test("Mode latest gives the newest of what is retained, and says what it has skipped", async () => {
  await using relay = await startRelay({ retention: { maxEvents: 50 } });
  const topic = record(relay.relay.topics.create("t"));
  publish(topic, some(1, 100));
  await using reader = await DeliveryReader.open(relay.url, topic, {
    mode: "latest",
  });
  await reader.until(() => reader.ledger.isLive, "live");
  assertEquals(reader.received.slice(1).map(({ message }) => message), [
    { type: "gap", topic: "t", from: 51, to: 99, reason: "skipped" },
    { type: "events", topic: "t", offset: 100, events: [{ data: "100" }] },
    { type: "live", topic: "t", next: 101 },
  ]);
});

Deno.test("Mode latest skips nothing of what comes one by one", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  await using reader = await DeliveryReader.open(relay.url, topic, {
    mode: "latest",
    door: "many",
  });
  for (let event = 1; event <= 50; event++) {
    publish(topic, some(event, event));
    await reader.sees(event);
  }
  topic.end("complete");
  await reader.ends();
  assert(!reader.types.includes("gap"));
});

Deno.test("Mode latest gives an event with each gap, however fast they come", async () => {
  await using relay = await startRelay();
  const topic = record(relay.relay.topics.create("t"));
  await using reader = await DeliveryReader.open(relay.url, topic, {
    mode: "latest",
  });
  for (let batch = 0; batch < 200; batch++) {
    publish(topic, some(batch * 10 + 1, batch * 10 + 10));
    if (batch % 3 === 0) await new Promise(setImmediate);
  }
  topic.end("failed", "why");
  await reader.ends();
  const types = reader.types.filter((type) => ["gap", "events"].includes(type));
  assert(types.length >= 2);
  for (const [index, type] of types.entries()) {
    if (type === "gap") assertEquals(types[index + 1], "events");
  }
  assertEquals(reader.received.at(-2)?.message["offset"], 2_000);
});

Deno.test("Mode latest with a window has the newest when the window opens", async () => {
  await using relay = await startRelay();
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 400 }),
      fc.array(fc.integer({ min: 1, max: 30 }), {
        minLength: 1,
        maxLength: 15,
      }),
      async (window, batches) => {
        const topic = record(relay.relay.topics.create(`t${runs++}`));
        await using witness = await DeliveryReader.open(relay.url, topic);
        await using reader = await DeliveryReader.open(relay.url, topic, {
          mode: "latest",
          window,
        });
        let next = 1;
        for (const [index, count] of batches.entries()) {
          publish(topic, some(next, next + count - 1));
          next += count;
          await witness.sees(next - 1);
          await reader.settle();
          if (index % 2 === 0) {
            reader.ack();
            await reader.settle();
            assertEquals(reader.ledger.seen, next - 1, "there was room");
          }
        }
        reader.ack();
        topic.end("complete");
        await reader.ends();
        assertEquals(reader.ledger.seen, next - 1);
        // Every piece is an event, or what was skipped before one.
        for (const [index, { kind }] of reader.ledger.pieces.entries()) {
          if (kind === "event") continue;
          assertEquals(kind, "skipped");
          assertEquals(reader.ledger.pieces[index + 1]?.kind, "event");
        }
      },
    ),
    propertyParameters(30),
  );
});
