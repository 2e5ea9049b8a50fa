import { assertEquals, assertInstanceOf } from "@std/assert";
import { EndedSignal } from "../../../relay/sources/ended_signal.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { Topic, TopicEndedError } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

function open(): Topic {
  const clock = new FakeClock();
  return new Topic("t", new MemoryLog(DEFAULT_RETENTION, clock), clock);
}

Deno.test("EndedSignal is aborted when its topic ends, with how", () => {
  const topic = open();
  using ended = new EndedSignal(topic);
  topic.append([{ event: "message", data: "a", id: "" }]);
  assertEquals(ended.signal.aborted, false);
  topic.end("cancelled", "enough");
  const { reason } = ended.signal;
  assertInstanceOf(reason, TopicEndedError);
  assertEquals([reason.topic, reason.end], [
    "t",
    { status: "cancelled", reason: "enough" },
  ]);
});

Deno.test("EndedSignal of a topic that has ended is aborted", () => {
  const topic = open();
  topic.end("complete");
  using ended = new EndedSignal(topic);
  assertEquals(ended.signal.aborted, true);
});

Deno.test("EndedSignal is told of nothing once it is disposed of", () => {
  const topic = open();
  const ended = new EndedSignal(topic);
  ended[Symbol.dispose]();
  topic.end("complete");
  assertEquals(ended.signal.aborted, false);
});
