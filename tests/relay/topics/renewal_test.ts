import { assert, assertEquals, assertThrows } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { MAX_FORMER } from "../../../relay/topics/former_topics.ts";
import {
  TopicRegistry,
  type TopicRegistryOptions,
} from "../../../relay/topics/registry.ts";
import { TopicLimitError } from "../../../relay/topics/topic_errors.ts";
import { TopicBusyError } from "../../../relay/topics/topic_busy_error.ts";
import type { Topic } from "../../../relay/topics/topic.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { SqliteWorld } from "../../support/relay/sqlite_world.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";

const TTL = 600_000;

interface World extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly topics: TopicRegistry;
}

/** Makes a registry over a store of each kind. */
const WORLDS = {
  memory(options: Partial<TopicRegistryOptions> = {}): Promise<World> {
    const clock = new FakeClock();
    const store = new MemoryStore(DEFAULT_RETENTION, clock);
    const topics = make({ store, clock, ...options });
    return Promise.resolve({
      clock,
      topics,
      [Symbol.asyncDispose]() {
        topics[Symbol.dispose]();
        return Promise.resolve();
      },
    });
  },
  async sqlite(options: Partial<TopicRegistryOptions> = {}): Promise<World> {
    const world = await SqliteWorld.open();
    const { store, clock } = world;
    const topics = make({ store, clock, ...options });
    return {
      clock,
      topics,
      async [Symbol.asyncDispose]() {
        topics[Symbol.dispose]();
        await world[Symbol.asyncDispose]();
      },
    };
  },
};

function make(
  options: Pick<TopicRegistryOptions, "store" | "clock">,
): TopicRegistry {
  return new TopicRegistry({ endedTtl: TTL, awaitedTtl: 60_000, ...options });
}

/** Adds an event, and ends the topic. */
async function fill(topic: Topic, data = "x"): Promise<Topic> {
  await topic.append([{ data }]);
  topic.end("complete");
  await topic.ended;
  return topic;
}

async function dataOf({ log }: Topic): Promise<string[]> {
  if (log.first === log.next) return [];
  const { entries } = await log.read(log.first, { events: 100, bytes: 1e9 });
  return entries.map(({ event }) => event.data);
}

for (const [store, open] of Object.entries(WORLDS)) {
  Deno.test(`TopicRegistry renews a topic that has ended, and keeps the one before (${store})`, async () => {
    await using world = await open();
    const { topics } = world;
    const heard: string[] = [];
    topics.onNew(({ log }) => heard.push(log.epoch));
    const first = await fill(topics.renew("t"), "one");
    const second = topics.renew("t");
    assertEquals(second.state.kind, "pending");
    assertEquals(topics.get("t"), second);
    assertEquals([...topics], [second]);
    assertEquals(topics.get("t", first.log.epoch), first);
    assertEquals(topics.get("t", second.log.epoch), second);
    assertEquals(topics.get("t", "no-such-epoch"), undefined);
    assertEquals(await dataOf(first), ["one"]);
    assertEquals([...topics.epochs("t")], [second, first]);
    assertEquals(topics.after(first), { topic: second, isNext: true });
    assertEquals(topics.after(second), undefined);
    assertEquals(
      topics.at(second, { epoch: first.log.epoch, offset: 1 }),
      first,
    );
    assertEquals(
      topics.at(second, { epoch: "another-epoch", offset: 1 }),
      second,
    );
    assertEquals(heard, [first.log.epoch, second.log.epoch]);
    await fill(second);
    const third = topics.renew("t");
    assertEquals(topics.after(first), { topic: second, isNext: true });
    assertEquals(topics.after(second), { topic: third, isNext: true });
  });

  Deno.test(`TopicRegistry renews nothing that has not ended (${store})`, async () => {
    await using world = await open();
    const { topics } = world;
    const topic = topics.create("t");
    assertEquals(topics.renew("t"), topic, "nothing fills it");
    topic.source = "something";
    assertThrows(() => topics.renew("t"), TopicBusyError);
    topic.open();
    const error = assertThrows(() => topics.renew("t"), TopicBusyError);
    assertEquals([error.code, error.topic], ["topic_busy", "t"]);
    assertThrows(() => topics.fill("t", undefined, true), TopicBusyError);
    const awaited = topics.await("u");
    awaited.source = "of a run that was refused";
    assertEquals(topics.renew("u"), awaited);
    const filling = topics.fill("v", undefined, true);
    assertThrows(() => topics.fill("v", undefined, true), TopicBusyError);
    filling.refuse();
    assertEquals(topics.get("v"), undefined);
  });

  Deno.test(`A topic that was renewed for nothing is as before (${store})`, async () => {
    await using world = await open({ maxTopicsPerToken: 1 });
    const { topics, clock } = world;
    const first = await fill(topics.create("t", "ann"));
    const filling = topics.fill("t", "ann", true);
    assertEquals(topics.get("t"), filling.topic);
    filling.refuse();
    assertEquals(topics.get("t"), first);
    assertEquals(topics.after(first), undefined);
    assertThrows(() => topics.create("u", "ann"), TopicLimitError);
    // It is followed: it stays until nobody does.
    const followed = topics.fill("t", "ann", true);
    followed.topic.follow();
    followed.refuse();
    assertEquals(topics.get("t"), followed.topic);
    followed.topic.unfollow();
    await clock.advance(61_000);
    assertEquals(topics.get("t")?.log.epoch, first.log.epoch);
    assertEquals(await dataOf(topics.get("t")!), ["x"]);
  });

  Deno.test(`TopicRegistry counts a topic once for its owners, however often it is renewed (${store})`, async () => {
    await using world = await open({ maxTopicsPerToken: 1, maxTopics: 2 });
    const { topics } = world;
    await fill(topics.create("t", "ann"));
    await fill(topics.renew("t", "ann"));
    const last = await fill(topics.renew("t", "ann"));
    topics.create("u", "bob");
    assertThrows(() => topics.renew("t", "bob"), TopicLimitError);
    assertEquals(topics.get("t"), last, "nothing has changed");
    topics.delete("u");
    topics.renew("t", "bob");
    topics.create("v", "ann");
  });

  Deno.test(`TopicRegistry forgets former epochs after their time to live (${store})`, async () => {
    await using world = await open();
    const { topics, clock } = world;
    const first = await fill(topics.create("t"));
    await clock.advance(TTL / 2);
    const second = await fill(topics.renew("t"), "two");
    const third = topics.renew("t");
    await clock.advance(TTL / 2 + 1_000);
    assertEquals(topics.get("t", first.log.epoch), undefined);
    const former = topics.get("t", second.log.epoch);
    assert(former);
    assertEquals(await dataOf(former), ["two"]);
    assertEquals(topics.after(first), { topic: former, isNext: true });
    await clock.advance(TTL / 2);
    assertEquals(topics.get("t", second.log.epoch), undefined);
    assertEquals(topics.after(first), { topic: third, isNext: false });
    assertEquals(topics.get("t"), third);
  });

  Deno.test(`TopicRegistry keeps as many former epochs as there is room for (${store})`, async () => {
    await using world = await open({ maxBytes: 100 });
    const { topics } = world;
    const epochs: string[] = [];
    for (let turn = 0; turn < MAX_FORMER + 3; turn++) {
      const topic = topics.renew("t");
      epochs.push(topic.log.epoch);
      topic.end("complete");
      await topic.ended;
    }
    const kept = epochs.filter((epoch) => topics.get("t", epoch));
    assertEquals(kept, epochs.slice(-MAX_FORMER - 1));
    // Each has 8 + 40 bytes, so that two have room, and the one that was just read always.
    const [a, b, c, d] = [1, 2, 3, 4].map(() => "message".padEnd(41, "."));
    const topic = await fill(topics.renew("t"), a);
    topic.follow();
    await fill(topics.renew("t"), b);
    await fill(topics.renew("t"), c);
    assertEquals((await dataOf(topic)).length, 1);
    await fill(topics.renew("t"), d);
    assertEquals(topics.get("t", topic.log.epoch), undefined);
    if (store === "memory") assertEquals(topic.log.first, topic.log.next);
    assertEquals([...topics.epochs("t")].length, 3);
    await fill(topics.renew("t"), "x".repeat(1_000));
    topics.renew("t");
    assertEquals([...topics.epochs("t")].length, 2);
  });

  Deno.test(`TopicRegistry deletes a topic with all that came before (${store})`, async () => {
    await using world = await open();
    const { topics } = world;
    const first = await fill(topics.create("t"));
    const second = await fill(topics.renew("t"));
    topics.renew("t");
    assert(topics.delete("t"));
    assertEquals(topics.get("t"), undefined);
    const fresh = topics.create("t");
    assertEquals(topics.get("t", first.log.epoch), undefined);
    assertEquals(topics.get("t", second.log.epoch), undefined);
    assertEquals(topics.after(second), { topic: fresh, isNext: false });
  });
}

Deno.test("A topic of a file is as it was renewed when it is opened again", async () => {
  await using world = await SqliteWorld.open();
  const { clock } = world;
  let epoch: string;
  {
    using topics = make({ store: world.store, clock });
    const first = await fill(topics.create("t"), "one");
    epoch = first.log.epoch;
    const second = topics.renew("t");
    await second.append([{ data: "two" }]);
  }
  await world.reopen();
  using topics = make({ store: world.store, clock });
  assertEquals((await topics.restore()).map(({ name }) => name), ["t"]);
  const [second, first, ...others] = topics.epochs("t");
  assert(first && second);
  assertEquals(others, []);
  assertEquals(first.log.epoch, epoch);
  assertEquals(await dataOf(first), ["one"]);
  assertEquals(await dataOf(second), ["two"]);
  assertEquals(first.state.kind, "ended");
  assertEquals(topics.after(first), { topic: second, isNext: true });
});
