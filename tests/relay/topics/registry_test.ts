import { assert, assertEquals, assertThrows } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { TopicRegistry } from "../../../relay/topics/registry.ts";
import { InvalidTopicNameError } from "../../../relay/topics/topic_errors.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";

const event = { event: "message", data: "x", id: "" };

function make(clock = new FakeClock()): {
  clock: FakeClock;
  topics: TopicRegistry;
} {
  const topics = new TopicRegistry({
    store: new MemoryStore(DEFAULT_RETENTION, clock),
    endedTtl: 600_000,
    awaitedTtl: 60_000,
    clock,
  });
  return { clock, topics };
}

Deno.test("TopicRegistry allows the names of the protocol, and no other", () => {
  using topics = make().topics;
  for (const name of ["a", "A-Z_~:.0", "x".repeat(128), "-", ":", "a."]) {
    assertEquals(topics.create(name).name, name);
  }
  for (
    const name of ["", ".", ".a", "x".repeat(129), "a b", "a/b", "ä", "a\n"]
  ) {
    const error = assertThrows(
      () => topics.create(name),
      InvalidTopicNameError,
    );
    assertEquals(error.code, "invalid_topic");
    assertThrows(() => topics.await(name), InvalidTopicNameError);
  }
});

Deno.test("TopicRegistry forgets a topic that was only asked for, a minute after its last follower", async () => {
  const { clock, topics } = make();
  using _ = topics;
  const topic = topics.await("t");
  assert(topics.isAwaited(topic));
  topic.follow();
  await clock.advance(3_600_000);
  assertEquals(topics.get("t"), topic);
  topic.unfollow();
  await clock.advance(59_000);
  assertEquals(topics.get("t"), topic);
  await clock.advance(2_000);
  assertEquals(topics.get("t"), undefined);
});

Deno.test("TopicRegistry makes a topic that was only asked for as one from its first moment", async () => {
  const clock = new FakeClock();
  const store = new MemoryStore(DEFAULT_RETENTION, clock);
  await using _ = store;
  const made: (true | undefined)[] = [];
  const create = store.create.bind(store);
  store.create = (name, facts, ...rest) => {
    made.push(facts.isAwaited);
    return create(name, facts, ...rest);
  };
  using topics = new TopicRegistry({
    store,
    endedTtl: 600_000,
    awaitedTtl: 60_000,
    clock,
  });
  topics.await("t");
  topics.create("u");
  assertEquals(made, [true, undefined]);
});

Deno.test("TopicRegistry keeps a pending topic that was made to be filled", async () => {
  const { clock, topics } = make();
  using _ = topics;
  const awaited = topics.await("t");
  assertEquals(topics.create("t"), awaited);
  assert(!topics.isAwaited(awaited));
  await clock.advance(86_400_000);
  assertEquals(topics.get("t"), awaited);
});

Deno.test("TopicRegistry forgets an ended topic after its time to live", async () => {
  const { clock, topics } = make();
  using _ = topics;
  const topic = topics.create("t");
  topic.append([event]);
  await clock.advance(3_600_000);
  topic.end("complete");
  await clock.advance(599_000);
  assertEquals(topics.get("t"), topic);
  await clock.advance(2_000);
  assertEquals(topics.get("t"), undefined);
});

Deno.test("TopicRegistry ends what it deletes", async () => {
  using topics = make().topics;
  const topic = topics.create("t");
  assert(topics.delete("t"));
  assert(!topics.delete("t"));
  assertEquals((await topic.ended).status, "cancelled");
});

Deno.test("TopicRegistry leaves no timer behind", () => {
  const { clock, topics } = make();
  topics[Symbol.dispose]();
  assertEquals(clock.pending, 0);
});
