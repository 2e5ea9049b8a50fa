import { assertEquals } from "@std/assert";
import { TopicIndex } from "../../../relay/gateway/topic_index.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { TopicRegistry } from "../../../relay/topics/registry.ts";
import type { Topic } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

function registry(): TopicRegistry {
  const clock = new FakeClock();
  return new TopicRegistry({
    store: new MemoryStore(DEFAULT_RETENTION, clock),
    endedTtl: 1_000,
    awaitedTtl: 1_000,
    clock,
  });
}

Deno.test("TopicIndex knows an entry as long as its topic is there", () => {
  using topics = registry();
  const index = new TopicIndex<{ topic: Topic }>(topics);
  const entry = { topic: topics.create("t") };
  index.set("k", entry);
  assertEquals(index.get("k"), entry);
  assertEquals(index.get("other"), undefined);
  topics.delete("t");
  assertEquals(index.get("k"), undefined);
  // Another of the same name is not it.
  topics.create("t");
  assertEquals(index.get("k"), undefined);
});

Deno.test("TopicIndex takes out what was put in, and nothing that was put in later", () => {
  using topics = registry();
  const index = new TopicIndex<{ topic: Topic }>(topics);
  const topic = topics.create("t");
  const [first, second] = [{ topic }, { topic }];
  index.set("k", first);
  index.set("k", second);
  index.delete("k", first);
  assertEquals(index.get("k"), second);
  index.delete("k", second);
  assertEquals(index.get("k"), undefined);
});

Deno.test("TopicIndex forgets what is over", () => {
  using topics = registry();
  const index = new TopicIndex<{ topic: Topic; data: object }>(topics);
  let looked = 0;
  // A look for a topic shows what is still remembered.
  const get = topics.get.bind(topics);
  topics.get = (name) => {
    looked++;
    return get(name);
  };
  // To make or delete one is to look for it first, which does not count.
  const uncounted = <Result>(act: () => Result): Result => {
    const before = looked;
    const result = act();
    looked = before;
    return result;
  };
  const create = (name: string): Topic => uncounted(() => topics.create(name));
  for (let i = 0; i < 3_000; i++) {
    index.set(`live${i}`, { topic: create(`live${i}`), data: {} });
  }
  assertEquals(looked < 6_000, true, `${looked}`);
  looked = 0;
  for (let i = 0; i < 10_000; i++) {
    const topic = create(`t${i}`);
    index.set(`k${i}`, { topic, data: {} });
    if (i % 100 !== 0) uncounted(() => topics.delete(`t${i}`));
  }
  assertEquals(index.get("k9900") !== undefined, true);
  assertEquals(index.get("k9901"), undefined);
  // Each was looked at once or twice: not never, and not each time that one was put in.
  assertEquals(looked > 9_000 && looked < 40_000, true, `${looked}`);
});
