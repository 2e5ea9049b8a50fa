import { assertEquals } from "@std/assert";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { findStart, type Start } from "../../../relay/topics/start.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { messages } from "../../support/delivery/delivery_world.ts";

/** A topic that retains its events 3, 4 and 5. */
function makeTopic(): Topic {
  const clock = new FakeClock();
  const retention = { maxEvents: 3, maxBytes: Infinity, maxAge: Infinity };
  const topic = new Topic("t", new MemoryLog(retention, clock), clock);
  topic.append(messages(1, 5));
  return topic;
}

const start = (cursor: number, other: Partial<Start> = {}): Start => ({
  cursor,
  recovered: true,
  foreign: false,
  afterEnd: false,
  ...other,
});

const foreign = start(3, { recovered: false, foreign: true });

Deno.test("findStart knows what was evicted, and what another log has", () => {
  const topic = makeTopic();
  const at = (offset: number, epoch = topic.log.epoch): Start =>
    findStart(topic, { epoch, offset });
  assertEquals(findStart(topic, "start"), start(3));
  assertEquals(findStart(topic, "now"), start(6));
  assertEquals(at(1), start(2, { recovered: false }));
  assertEquals(at(2), start(3));
  assertEquals(at(4), start(5));
  assertEquals(at(5), start(6));
  assertEquals(at(6), foreign, "there is no event 6");
  assertEquals(at(4, "another_log"), foreign);
});

Deno.test("findStart knows the offset of the end, which is that of no event", () => {
  const topic = makeTopic();
  topic.end("complete");
  const at = (offset: number): Start =>
    findStart(topic, { epoch: topic.log.epoch, offset });
  assertEquals(findStart(topic, "now"), start(6));
  assertEquals(at(5), start(6));
  assertEquals(at(6), start(6, { afterEnd: true }));
  assertEquals(at(7), start(6, { afterEnd: true }), "nothing comes after it");
});
