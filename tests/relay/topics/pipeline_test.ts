// A log may keep what it was told later: appends are a pipeline, and the end is its last entry.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { setImmediate } from "node:timers/promises";
import { StoreError } from "../../../relay/topics/store.ts";
import { Topic, TopicEndedError } from "../../../relay/topics/topic.ts";
import { TopicWriter } from "../../../relay/topics/topic_writer.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { HeldLog } from "../../support/delivery/store_log.ts";
import { propertyParameters } from "../../support/property.ts";

const text = (data: string): ServerSentEvent => ({
  event: "message",
  data,
  id: "",
});

function heldTopic(): { readonly log: HeldLog; readonly topic: Topic } {
  const clock = new FakeClock();
  const log = new HeldLog(clock);
  return { log, topic: new Topic("t", log, clock) };
}

Deno.test("Topic has many appends under way, and tells each once the log keeps it", async () => {
  const { log, topic } = heldTopic();
  const told: number[] = [];
  topic.observe({ changed: (_, appended) => told.push(appended?.first ?? 0) });
  const appended = ["a", "b", "c"].map((data) => topic.append([text(data)]));
  assertEquals([log.waiting, log.next, topic.state.kind], [3, 1, "pending"]);
  log.keep(2);
  assertEquals(await Promise.all(appended.slice(0, 2)), [1, 2]);
  assertEquals([told, log.next, topic.state.kind], [[1, 2], 3, "open"]);
  log.keep();
  assertEquals(await appended[2], 3);
  assertEquals(told, [1, 2, 3]);
});

Deno.test("Topic says when more may be added: by events and by their length", async () => {
  for (
    const [data, most] of [["a", 1_024], ["x".repeat(32 * 1024), 8]] as const
  ) {
    const { log, topic } = heldTopic();
    for (let count = 0; count < most; count++) {
      assertEquals(topic.ready, undefined, `${count} events`);
      void topic.append([text(data)]);
    }
    const { ready } = topic;
    assert(ready, "there is too much under way");
    let isReady = false;
    void ready.then(() => isReady = true);
    await setImmediate();
    assertEquals(isReady, false);
    log.keep(1);
    await ready;
    assertEquals(topic.ready, undefined);
    log.keep();
    await setImmediate();
  }
});

Deno.test("Topic ends after everything that was added before, once the log keeps that", async () => {
  const { log, topic } = heldTopic();
  const appended = topic.append([text("a")]);
  assert(topic.end("complete"));
  assertEquals([topic.state.kind, topic.verdict?.status], [
    "pending",
    "complete",
  ]);
  assertEquals(topic.end("cancelled"), false, "the first verdict stands");
  assertThrows(() => topic.append([text("b")]), TopicEndedError);
  topic.setUpstream({ state: "open" });
  assertEquals(topic.upstream, undefined);
  log.keep(1);
  assertEquals(await appended, 1);
  assertEquals([topic.state.kind, topic.isWhole], ["open", false]);
  log.keep(1);
  assertEquals(await topic.ended, { status: "complete" });
  assertEquals([topic.state.kind, topic.isWhole], ["ended", true]);
});

Deno.test("Topic tells its end though the log cannot keep it", async () => {
  const { log, topic } = heldTopic();
  const appended = topic.append([text("a")]);
  topic.end("complete");
  const full = new StoreError("full", "The disk is full");
  log.refuse(full);
  await assertRejects(async () => await appended, StoreError);
  assertEquals(await topic.ended, { status: "complete" });
});

Deno.test("Topic of a shared store tells its end once that keeps it", async () => {
  const clock = new FakeClock();
  const log = new (class extends HeldLog {
    readonly isShared = true;
  })(clock);
  const topic = new Topic("t", log, clock);
  topic.open();
  const states: string[] = [];
  topic.observe({ changed: ({ state }) => states.push(state.kind) });
  topic.end("complete");
  log.refuse(new StoreError("away", "There is no leader"));
  // Whoever wants it to end is told that it cannot be kept now.
  assertEquals(await topic.ended, { status: "complete" });
  assert(topic.endFailure);
  assertEquals([states, topic.state.kind], [[], "open"]);
  topic.keepAgain();
  log.keep();
  await setImmediate();
  assertEquals([states, topic.state.kind], [["ended"], "ended"]);
  assertEquals(topic.endFailure, undefined);
});

Deno.test("Topic keeps every fact, however many are under way", async () => {
  const { log, topic } = heldTopic();
  topic.source = "fixture a.sse";
  topic.from = "now";
  topic.filling = "{}";
  topic.open();
  assertEquals([topic.source, topic.from], ["fixture a.sse", "now"]);
  log.keep();
  await setImmediate();
  assertEquals(log.facts, {
    isOpen: true,
    source: "fixture a.sse",
    from: "now",
    filling: "{}",
  });
});

Deno.test("TopicWriter throws what an append was refused with, at the next write and at last", async () => {
  const { log, topic } = heldTopic();
  const writer = new TopicWriter(topic);
  const kept: number[] = [];
  void writer.write([text("a")], (first) => kept.push(first));
  log.keep();
  await writer.settled();
  void writer.write([text("b")], (first) => kept.push(first));
  log.refuse(new StoreError("io", "The disk is gone"));
  await assertRejects(() => writer.settled(), StoreError);
  assertThrows(() => writer.write([text("c")]), StoreError);
  assertEquals(kept, [1]);
});

Deno.test("Topic tells its observers every event once, in order, and then its end", async () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("append" as const),
      count: fc.integer({ min: 1, max: 3 }),
    }),
    fc.record({
      kind: fc.constant("keep" as const),
      count: fc.integer({ min: 1, max: 4 }),
    }),
    fc.record({ kind: fc.constant("turn" as const) }),
    fc.record({ kind: fc.constant("open" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.nat(40),
      async (steps, endAt) => {
        const { log, topic } = heldTopic();
        const told: string[] = [];
        let seen = 1;
        topic.observe({
          changed: ({ state }, appended) => {
            if (appended) {
              assertEquals(appended.first, seen);
              seen += appended.count;
              assert(log.next >= seen, "what is told is kept");
            }
            told.push(state.kind);
          },
        });
        let added = 0;
        for (const [at, step] of steps.entries()) {
          if (at === endAt) topic.end("failed", "why");
          if (step.kind === "keep") log.keep(step.count);
          else if (step.kind === "turn") await setImmediate();
          else if (step.kind === "open") topic.open();
          else if (!topic.verdict) {
            void topic.append(
              Array.from({ length: step.count }, () => text(`${added++}`)),
            );
          }
        }
        topic.end("failed", "why");
        log.keep();
        await topic.ended;
        assertEquals(seen, added + 1);
        assertEquals(told.indexOf("ended"), told.length - 1);
      },
    ),
    propertyParameters(200),
  );
});
