import { setImmediate } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type {
  Appended,
  LogRange,
  ReadBudget,
} from "../../../relay/topics/log.ts";
import type { Format } from "../../../relay/delivery/format.ts";
import { FrameCache } from "../../../relay/delivery/frames.ts";
import { Subscription } from "../../../relay/delivery/subscription.ts";
import type { After } from "../../../relay/topics/position.ts";
import { StoreLog } from "../../support/delivery/store_log.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import {
  messages,
  numbers,
  Peer,
  turns,
  World,
} from "../../support/delivery/delivery_world.ts";
import { LIMIT, within } from "../../support/within.ts";

const encoder = new TextEncoder();

/** The most pieces of long work in one turn of the event loop. */
const SLICE_STEPS = 32;

Deno.test("Subscription goes from replay to live to the end in one loop", async () => {
  using world = new World();
  const topic = world.topic();
  topic.append(messages(1, 3));
  const peer = world.follow(topic);
  await turns();
  topic.append(messages(4, 4));
  await turns();
  topic.append(messages(5, 6));
  topic.end("failed", "why");
  await turns();
  const { epoch } = topic.log;
  assertEquals(peer.said, [
    {
      type: "subscribed",
      topic: "t",
      epoch,
      first: 1,
      next: 4,
      after: 0,
      recovered: true,
      state: "open",
    },
    { type: "events", topic: "t", offset: 1, events: ["1", "2", "3"] },
    { type: "live", topic: "t", next: 4 },
    { type: "events", topic: "t", offset: 4, events: ["4"] },
    { type: "events", topic: "t", offset: 5, events: ["5", "6"] },
    { type: "end", topic: "t", offset: 7, status: "failed", reason: "why" },
  ]);
  assertEquals(world.ended, ["t"]);
  assertEquals(topic.followers, 0);
});

Deno.test("Subscription to a pending topic is answered at once, and live when it opens", async () => {
  using world = new World();
  const topic = world.topic();
  const peer = world.follow(topic);
  await turns();
  assertEquals(peer.types(), ["subscribed"]);
  assertEquals(peer.said[0]?.["state"], "pending");
  topic.open();
  await turns();
  assertEquals(peer.types(), ["subscribed", "live"]);
  topic.append(messages(1, 1));
  await turns();
  assertEquals(peer.types(), ["subscribed", "live", "events"]);
});

Deno.test("Subscription begins where it is asked to", async (t) => {
  using world = new World();
  const topic = world.topic("t", { maxEvents: 6 });
  topic.append(messages(1, 10)); // 5..10 are retained
  const { epoch } = topic.log;
  const gap = (from: number, to: number, reason: string) => ({
    type: "gap",
    topic: "t",
    from,
    to,
    reason,
  });
  const table: [string, After, boolean, unknown[], number][] = [
    ["start", "start", true, [], 5],
    ["now", "now", true, [], 11],
    ["a retained position", { epoch, offset: 7 }, true, [], 8],
    ["just before what is retained", { epoch, offset: 4 }, true, [], 5],
    ["the last event", { epoch, offset: 10 }, true, [], 11],
    ["older than what is retained", { epoch, offset: 1 }, false, [
      gap(2, 4, "evicted"),
    ], 5],
    ["beyond the end", { epoch, offset: 11 }, false, [
      gap(1, 4, "epoch"),
    ], 5],
    ["another epoch", { epoch: "another_log", offset: 7 }, false, [
      gap(1, 4, "epoch"),
    ], 5],
  ];
  for (const [name, after, recovered, gaps, first] of table) {
    await t.step(name, async () => {
      const peer = world.follow(topic, after);
      await turns();
      assertEquals(peer.said[0]?.["recovered"], recovered);
      assertEquals(peer.said.filter(({ type }) => type === "gap"), gaps);
      assertEquals(peer.data(), numbers(first, 10));
      assertEquals(peer.types().at(-1), "live");
    });
  }
});

Deno.test("Subscription after the end of an ended topic gets the end again, and no gap", async () => {
  using world = new World();
  const topic = world.topic();
  topic.append(messages(1, 2));
  topic.end("complete");
  const { epoch } = topic.log;
  for (const offset of [2, 3]) {
    const peer = world.follow(topic, { epoch, offset });
    await turns();
    assertEquals(peer.types(), ["subscribed", "end"]);
    assertEquals(peer.said[0]?.["recovered"], true);
    assertEquals(peer.said[1]?.["offset"], 3);
  }
});

Deno.test("Subscription says which events it was too slow for", async () => {
  using world = new World();
  const topic = world.topic("t", { maxEvents: 10 });
  const peer = world.follow(topic);
  await turns();
  peer.reads = false;
  topic.append(messages(1, 5));
  await turns();
  topic.append(messages(6, 30)); // 21..30 are retained
  await turns();
  assertEquals(peer.data(), numbers(1, 5), "one write is under way");
  peer.reads = true;
  peer.readOne();
  await turns();
  assertEquals(peer.said.filter(({ type }) => type === "gap"), [
    { type: "gap", topic: "t", from: 6, to: 20, reason: "evicted" },
  ]);
  assertEquals(peer.data(), [...numbers(1, 5), ...numbers(21, 30)]);
});

Deno.test("Subscriber has one write under way, and then sends all that has gathered", async () => {
  using world = new World();
  const topic = world.topic();
  topic.open();
  const peer = world.follow(topic);
  await turns();
  peer.reads = false;
  for (let event = 1; event <= 100; event++) {
    topic.append(messages(event, event));
    await turns(2);
  }
  assertEquals(peer.data(), ["1"]);
  peer.reads = true;
  peer.readOne();
  await turns();
  assertEquals(peer.data(), numbers(1, 100));
  assertEquals(peer.types(), ["subscribed", "live", "events", "events"]);
});

Deno.test("Subscriber sends events together that came together", async () => {
  using world = new World();
  const topic = world.topic();
  topic.open();
  const peer = world.follow(topic);
  await turns();
  for (let event = 1; event <= 50; event++) {
    topic.append(messages(event, event));
  }
  await turns();
  assertEquals(peer.types(), ["subscribed", "live", "events"]);
  assertEquals(peer.data(), numbers(1, 50));
});

Deno.test("Pump takes in what keeps coming, for as long as its last turn took", async () => {
  using world = new World();
  const topic = world.topic();
  topic.open();
  const peer = world.follow(topic);
  await turns();
  const busy = { until: 0 };
  const write = peer.write.bind(peer);
  peer.write = (bytes, done) => {
    busy.until = performance.now() + 50;
    while (performance.now() < busy.until); // a turn that takes 50 ms
    write(bytes, done);
  };
  for (let event = 1; event <= 101; event++) {
    topic.append(messages(event, event));
    await setImmediate();
  }
  await turns(200);
  assertEquals(peer.data(), numbers(1, 101));
  const sent = peer.types().filter((type) => type === "events").length;
  assert(sent <= 10, `101 events came one by one, and left in ${sent}`);
});

Deno.test("FrameCache joins a range once for all who read it", async () => {
  using world = new World();
  const topic = world.topic();
  topic.append(messages(1, 2_000));
  const peers = Array.from({ length: 100 }, () => world.follow(topic));
  await turns();
  assertEquals(world.format.joined, 4, "of at most 512 events each");
  topic.append(messages(2_001, 2_010));
  await turns();
  assertEquals(world.format.joined, 5);
  for (const peer of peers) assertEquals(peer.data(), numbers(1, 2_010));
});

Deno.test("FrameCache brings readers of different places to the same ranges", async () => {
  using world = new World();
  const topic = world.topic();
  topic.append(messages(1, 5_000));
  const { epoch } = topic.log;
  for (let offset = 1; offset <= 50; offset++) {
    const peer = world.follow(topic, { epoch, offset });
    await turns();
    assertEquals(peer.data(), numbers(offset + 1, 5_000));
  }
  // The first range of each is its own; the nine after it are everybody's.
  assertEquals(world.format.joined, 50 + 9);
});

Deno.test("Subscriber takes its subscriptions in turn", async () => {
  using world = new World();
  const peer = new Peer();
  const subscriber = world.subscriber(peer);
  const topics = ["a", "b", "c"].map((name) => world.topic(name));
  for (const topic of topics) topic.append(messages(1, 1_500));
  peer.reads = false;
  for (const topic of topics) subscriber.add(world.subscription(topic));
  peer.reads = true;
  peer.readOne();
  await turns();
  const order = peer.said.filter(({ type }) => type === "events")
    .map(({ topic }) => topic);
  // `a` was there alone when its first write began.
  assertEquals(order, ["a", "a", "b", "c", "a", "b", "c", "b", "c"]);
});

Deno.test("Subscriber answers before it goes on with events", async () => {
  using world = new World();
  const topic = world.topic();
  topic.append(messages(1, 2_000));
  const peer = new Peer();
  const subscriber = world.subscriber(peer);
  peer.reads = false;
  subscriber.add(world.subscription(topic));
  subscriber.answer(encoder.encode(`{"type":"answer"}`));
  assertEquals(subscriber.backlog, 1);
  peer.reads = true;
  peer.readOne();
  await turns();
  assertEquals(peer.types().slice(0, 3), ["subscribed", "answer", "events"]);
  assertEquals(subscriber.backlog, 0);
});

Deno.test("Subscriber delivers nothing more of what was removed, and nothing after it is closed", async () => {
  using world = new World();
  const topic = world.topic();
  const other = world.topic("other");
  const peer = new Peer();
  const subscriber = world.subscriber(peer);
  const subscription = world.subscription(topic);
  subscriber.add(subscription);
  subscriber.add(world.subscription(other));
  await turns();
  assertEquals([topic.followers, other.followers], [1, 1]);
  topic.append(messages(1, 1));
  subscriber.remove(subscription);
  other.append(messages(1, 1));
  await turns();
  assertEquals(
    peer.said.filter(({ type }) => type === "events").map(({ topic }) => topic),
    ["other"],
  );
  subscriber.close();
  assertEquals([topic.followers, other.followers], [0, 0]);
  const count = peer.said.length;
  other.append(messages(2, 2));
  topic.append(messages(2, 2));
  await turns();
  assertEquals(peer.said.length, count);
});

/** A log whose reads have to be fetched, and are given when the test says so. */
class FetchedLog extends StoreLog {
  readonly waiting: PromiseWithResolvers<LogRange>[] = [];
  readonly ranges: LogRange[] = [];

  override async append(events: readonly ServerSentEvent[]): Promise<Appended> {
    await Promise.resolve();
    return this.memory.append(events);
  }

  override read(from: number, budget: ReadBudget): Promise<LogRange> {
    this.ranges.push(this.memory.read(from, budget));
    const read = Promise.withResolvers<LogRange>();
    this.waiting.push(read);
    return read.promise;
  }

  give(): void {
    for (const read of this.waiting.splice(0)) {
      read.resolve(this.ranges.shift()!); // one for each that waits
    }
  }
}

Deno.test("Subscription waits for what a store has to fetch", async () => {
  using world = new World();
  const log = new FetchedLog(world.clock);
  const topic = new Topic("t", log, world.clock);
  const appended = topic.append(messages(1, 1_000));
  assertEquals(log.next, 1, "not before the store has it");
  assertEquals(await appended, 1);
  const peer = world.follow(topic);
  for (let read = 0; read < 5; read++) {
    await turns(3);
    log.give();
  }
  await turns();
  assertEquals(peer.data(), numbers(1, 1_000));
  assertEquals(peer.types(), ["subscribed", "events", "events", "live"]);
});

Deno.test("Subscription that is removed while a store fetches says nothing more", async () => {
  using world = new World();
  const log = new FetchedLog(world.clock);
  const topic = new Topic("t", log, world.clock);
  await topic.append(messages(1, 10));
  const other = world.topic("other");
  const peer = new Peer();
  const subscriber = world.subscriber(peer);
  const subscription = world.subscription(topic);
  subscriber.add(subscription);
  await turns();
  subscriber.remove(subscription);
  log.give();
  await turns();
  subscriber.add(world.subscription(other));
  await turns();
  assertEquals(peer.types(), ["subscribed", "subscribed"]);
});

Deno.test("Subscriber is told when a store cannot read", async () => {
  using world = new World();
  const log = new FetchedLog(world.clock);
  const topic = new Topic("t", log, world.clock);
  await topic.append(messages(1, 10));
  const peer = world.follow(topic);
  await turns();
  const error = new Error("disk");
  log.waiting[0]?.reject(error);
  await turns();
  assertEquals(world.errors, [error]);
  assert(!peer.types().includes("events"));
});

Deno.test("Subscription tells the latest state of the upstream once, before the next events", async () => {
  using world = new World();
  const topic = world.topic();
  topic.append(messages(1, 1));
  topic.setUpstream({ state: "open" });
  const peer = world.follow(topic);
  await turns();
  assertEquals(peer.types(), ["subscribed", "events", "live"]);

  peer.said.length = 0;
  topic.setUpstream({ state: "retrying", attempt: 2, retryIn: 5 });
  await turns();
  topic.append(messages(2, 2));
  topic.setUpstream({ state: "connecting", attempt: 2 });
  topic.setUpstream({ state: "open" });
  await turns();
  assertEquals(peer.said, [
    {
      type: "upstream",
      topic: "t",
      state: "retrying",
      attempt: 2,
      retryIn: 5,
    },
    { type: "upstream", topic: "t", state: "open" },
    { type: "events", topic: "t", offset: 2, events: ["2"] },
  ]);
  assertEquals(topic.log.next, 3);
});

Deno.test("Subscription of a slow peer is told one state, however often the upstream comes and goes", async () => {
  using world = new World();
  const topic = world.topic();
  topic.append(messages(1, 1));
  const peer = world.follow(topic);
  await turns();
  peer.reads = false;
  peer.said.length = 0;
  topic.append(messages(2, 2));
  await turns();
  for (let attempt = 2; attempt < 1_000; attempt++) {
    topic.setUpstream({ state: "retrying", attempt });
    topic.setUpstream({ state: "connecting", attempt });
  }
  await turns();
  peer.reads = true;
  peer.readOne();
  await turns();
  assertEquals(peer.types(), ["events", "upstream"]);
  assertEquals(peer.said.at(-1)?.["attempt"], 999);
});

Deno.test("Subscription tells that the upstream is lost before the end, and nothing after it", async () => {
  using world = new World();
  const topic = world.topic();
  topic.append(messages(1, 1));
  const peer = world.follow(topic);
  await turns();
  topic.setUpstream({ state: "lost", status: 404 });
  topic.end("failed");
  topic.setUpstream({ state: "open" });
  await turns();
  assertEquals(peer.types().slice(3), ["upstream", "end"]);
  const late = world.follow(topic);
  await turns();
  assertEquals(late.types(), ["subscribed", "events", "end"]);
});

Deno.test("A1: Subscriber whose events cannot be written is told so, and the others go on", async () => {
  using world = new World();
  const topic = world.topic();
  const failing = new Error("too deep");
  const format: Format = {
    events: () => {
      throw failing;
    },
    message: () => undefined,
    heartbeat: () => new Uint8Array(),
  };
  const before = world.follow(topic);
  world.subscriber(new Peer()).add(
    new Subscription(topic, "start", format, new FrameCache(format)),
  );
  const after = world.follow(topic);
  topic.append(messages(1, 1));
  await turns();
  topic.append(messages(2, 2));
  await turns();
  assertEquals(world.errors[0], failing);
  assertEquals(before.data(), numbers(1, 2));
  assertEquals(after.data(), numbers(1, 2));
});

Deno.test("Subscriber leaves others their turn while it says how many topics stand", async () => {
  using world = new World();
  const COUNT = 200;
  const peer = new Peer();
  const subscriber = world.subscriber(peer);
  for (let index = 0; index < COUNT; index++) {
    const topic = world.topic(`t${index}`);
    topic.append(messages(1, 1));
    subscriber.add(world.subscription(topic));
  }
  const count = (type: string): number =>
    peer.types().filter((other) => other === type).length;
  let most = 0;
  await within(
    (async () => {
      while (count("live") < COUNT) {
        const before = peer.said.length;
        await setImmediate();
        most = Math.max(most, peer.said.length - before);
      }
    })(),
    LIMIT,
    "the last topic to be live",
  );
  // Whoever takes all that is written at once would otherwise have it in one turn.
  assert(most <= 2 * SLICE_STEPS, `${most} messages were said in one turn`);
  assertEquals(count("subscribed"), COUNT);
  assertEquals(peer.data().length, COUNT);
});
