import { assert, assertEquals, assertThrows } from "@std/assert";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import type { Appended } from "../../../relay/topics/log.ts";
import { Topic, TopicEndedError } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { HeldLog } from "../../support/delivery/store_log.ts";
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

Deno.test("Topic keeps its changes that the log has yet to keep, whatever others change", async () => {
  const clock = new FakeClock();
  const log = new HeldLog(clock);
  const topic = new Topic("t", log, clock);
  topic.fillBy({ source: "mine", filledBy: undefined, filling: "lost" });
  // As a store in another relay tells it: without what is under way.
  const facts = { isOpen: false, owner: "alice" };
  log.memory.update(facts);
  topic.takeOver({ kind: "open", next: 1, facts });
  assertEquals([topic.source, topic.filling], ["mine", "lost"]);
  topic.open();
  log.keep();
  const kept = {
    isOpen: true,
    owner: "alice",
    source: "mine",
    filledBy: undefined,
    filling: "lost",
  };
  assertEquals(log.facts, kept);
  await new Promise((resolve) => setTimeout(resolve));
  // From then on, others may change that, too.
  log.memory.update({ ...kept, source: "theirs" });
  topic.takeOver({ kind: "open", next: 1, facts: log.facts });
  assertEquals(topic.source, "theirs");
  topic.isAwaited = true;
  assertEquals([topic.isAwaited, log.facts.isAwaited], [true, undefined]);
  log.keep();
  assertEquals(log.facts.isAwaited, true);
});
