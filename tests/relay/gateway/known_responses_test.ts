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

function topicsOf(clock: FakeClock): TopicRegistry {
  return new TopicRegistry({
    store: new MemoryStore(DEFAULT_RETENTION, clock),
    endedTtl: 1_000,
    awaitedTtl: 1_000,
    clock,
  });
}

for (const other of [undefined, { topicName: "other", owner: "b" }]) {
  Deno.test(`KnownResponses knows a response while the store is asked for it: ${other ? "another's" : "its own"}`, async () => {
    const clock = new FakeClock();
    using topics = topicsOf(clock);
    const store = farStore(other && JSON.stringify(other));
    const responses = new KnownResponses(
      topics,
      new KeptRuns(store, clock),
      clock,
    );
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

Deno.test("KnownResponses looks once more for a new response that another relay may be about to tell of", async () => {
  for (const comes of [true, false]) {
    const clock = new FakeClock();
    using topics = topicsOf(clock);
    let kept: string | undefined;
    const store: RunStore = {
      ...farStore(undefined),
      get: () => Promise.resolve(kept),
      claim: () => Promise.resolve(undefined),
    };
    const kepts = new KeptRuns(store, clock);
    const responses = new KnownResponses(topics, kepts, clock);
    const never = new AbortController().signal;
    const found = responses.getNew("k", never);
    assertEquals(await responses.get("k"), undefined, "at once");
    if (comes) kept = JSON.stringify({ topicName: "a", owner: "a" });
    await clock.advance(250);
    assertEquals((await found)?.topicName, comes ? "a" : undefined);
    const ended = await responses.getNew("l", AbortSignal.abort());
    assertEquals(ended?.topicName, comes ? "a" : undefined);
  }
});
