// A leader of NATS may lag behind for some seconds of the time that the machine gives.
import { assertEquals, assertRejects } from "@std/assert";
import { PublishedContent } from "../crash/contents.ts";
import { enterDescription } from "../crash/pages.ts";
import { TopicRecord } from "../crash/topic_record.ts";
import type { Answer } from "../crash/world.ts";
import { ClusterWorld } from "./cluster_world.ts";
import { type Delays, GivenTime } from "./given_time.ts";

/** A world in which each description takes two seconds of its time, and is old. */
class LaggingWorld extends ClusterWorld {
  asked = 0;

  override get now(): number {
    return super.now + this.asked * 2_000;
  }

  override ask(): Promise<Answer> {
    this.asked++;
    const topic = { name: "t", state: "open", epoch: "e", next: 1 };
    return Promise.resolve({
      status: 200,
      headers: new Headers(),
      text: JSON.stringify({ topics: [topic] }),
    });
  }
}

Deno.test("An old description counts as wrong by the time of the world", async () => {
  const nothing = (): Delays => new Map();
  using time = new GivenTime(nothing);
  const world = new LaggingWorld(time);
  const record = new TopicRecord("t", new PublishedContent("t"));
  record.saw("e", 1, { data: "a" }, "a reader");
  await assertRejects(
    () => enterDescription(world, record, "a test"),
    Error,
    "0 events, of 1 that were told",
  );
  assertEquals(world.asked, 3);
  world.finish();
});
