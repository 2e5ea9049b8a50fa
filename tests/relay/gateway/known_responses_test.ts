import { assertEquals } from "@std/assert";
import { KeptRuns, type RunStore } from "../../../relay/gateway/kept_runs.ts";
import { KnownResponses } from "../../../relay/gateway/known_responses.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { TopicRegistry } from "../../../relay/topics/registry.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";

/** The record of responses in another process: each answer takes a while. */
function farStore(kept: string | undefined): RunStore {
  const later = async <T>(value: T): Promise<T> => {
    for (let turn = 0; turn < 10; turn++) await undefined;
    return value;
  };
  return {
    isLasting: true,
    get: () => later(kept),
    put: () => later(undefined),
  };
}

for (const other of [undefined, { topicName: "other", owner: "b" }]) {
  Deno.test(`KnownResponses knows a response while the store is asked for it: ${other ? "another's" : "its own"}`, async () => {
    const clock = new FakeClock();
    using topics = new TopicRegistry({
      store: new MemoryStore(DEFAULT_RETENTION, clock),
      endedTtl: 1_000,
      awaitedTtl: 1_000,
      clock,
    });
    const store = farStore(other && JSON.stringify(other));
    const responses = new KnownResponses(topics, new KeptRuns(store, clock));
    const topic = topics.create("a");
    responses.add("k", { topicName: "a", owner: "a" }, topic);
    const [found, again] = await Promise.all([
      responses.get("k"),
      responses.topicOf("k"),
    ]);
    assertEquals(found?.topicName, other?.topicName ?? "a");
    // The events are those of the run that is known here.
    assertEquals(again, topic);
  });
}
