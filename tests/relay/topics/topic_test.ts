import { assert, assertEquals, assertThrows } from "@std/assert";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import type { Appended } from "../../../relay/topics/log.ts";
import { Topic, TopicEndedError } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";

const event = { event: "message", data: "x", id: "" };

function make(clock = new FakeClock()): Topic {
  return new Topic("t", new MemoryLog(DEFAULT_RETENTION, clock), clock);
}

Deno.test("Topic opens with its first event, and takes none after its end", () => {
  const topic = make();
  assertEquals(topic.state.kind, "pending");
  topic.append([event]);
  assertEquals(topic.state.kind, "open");
  assert(topic.end("failed", "why"));
  assert(!topic.end("complete"), "the first verdict stands");
  assertEquals(topic.state.kind === "ended" && topic.state.end, {
    status: "failed",
    reason: "why",
  });
  const error = assertThrows(() => topic.append([event]), TopicEndedError);
  assertEquals(error.end.status, "failed");
  topic.open();
  assertEquals(topic.state.kind, "ended");
});

Deno.test("Topic tells its observers what was appended, and of every other change", () => {
  const topic = make();
  const told: (Appended | undefined)[] = [];
  const stop = topic.observe({
    changed: (_topic, appended) => told.push(appended),
  });
  topic.open();
  topic.append([event]);
  topic.append([event, event]);
  topic.setUpstream({ state: "open" });
  topic.end("complete");
  const bytes = "messagex".length;
  assertEquals(told, [
    undefined,
    { first: 1, count: 1, bytes },
    { first: 2, count: 2, bytes: 2 * bytes },
    undefined,
    undefined,
  ]);
  stop();
});

Deno.test("Topic tells its observers of events once its log holds them", async () => {
  const clock = new FakeClock();
  const log = new MemoryLog(DEFAULT_RETENTION, clock);
  const stored = Promise.withResolvers<void>();
  const late = new Proxy(log, {
    get: (log, name) =>
      name === "append"
        ? (events: [typeof event]) =>
          stored.promise.then(() => log.append(events))
        : Reflect.get(log, name, log),
  });
  const topic = new Topic("t", late, clock);
  const told: (Appended | undefined)[] = [];
  topic.observe({ changed: (_topic, appended) => told.push(appended) });
  const first = topic.append([event]);
  assertEquals([topic.state.kind, told.length], ["pending", 0]);
  stored.resolve();
  assertEquals(await first, 1);
  assertEquals(told.map((appended) => appended?.count), [1]);
  assertEquals(topic.state.kind, "open");
});
