import { assertEquals } from "@std/assert";
import { DeliveryCounts } from "../../../relay/delivery/delivery_counts.ts";
import type { GapReason } from "../../../relay/delivery/format.ts";
import { FrameCache } from "../../../relay/delivery/frames.ts";
import { Subscription } from "../../../relay/delivery/subscription.ts";
import { websocketFormat } from "../../../relay/doors/websocket/format.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  messages,
  Peer,
  turns,
  World,
} from "../../support/delivery/delivery_world.ts";

const encoder = new TextEncoder();

/** The bytes of what a peer was written: each message is one JSON object. */
function bytesOf(peer: Peer): number {
  return peer.said.map((said) =>
    encoder.encode(JSON.stringify(said)).byteLength
  ).reduce((sum, bytes) => sum + bytes, 0);
}

Deno.test("DeliveryCounts has what all peers of a door were written, and no more", async () => {
  using world = new World();
  const { counts } = world.frames;
  const topic = world.topic();
  const peers = [world.follow(topic), world.follow(topic)];
  await turns();
  topic.append(messages(1, 3));
  await turns();
  topic.append(messages(4, 4));
  topic.setUpstream({ state: "retrying" });
  await turns();
  const late = world.follow(topic);
  await turns();
  topic.end("complete");
  await turns();

  const all = [...peers, late];
  for (const peer of all) assertEquals(peer.types().at(-1), "end");
  assertEquals(counts.events, 3 * 4);
  assertEquals(
    counts.messages,
    all.reduce((sum, { said }) => sum + said.length, 0),
  );
  assertEquals(counts.bytes, all.reduce((sum, peer) => sum + bytesOf(peer), 0));
  assertEquals([counts.subscribed, counts.unsubscribed], [3, 3]);
  assertEquals(counts.gaps, { evicted: 0, epoch: 0, slow: 0, skipped: 0 });
});

Deno.test("DeliveryCounts has a subscription that was begun, and each once that is over", async () => {
  using world = new World();
  const { counts } = world.frames;
  const topic = world.topic();
  const subscriber = world.subscriber(new Peer());
  const subscriptions = [1, 2, 3].map(() => world.subscription(topic));
  for (const subscription of subscriptions) subscriber.add(subscription);
  assertEquals([counts.subscribed, counts.unsubscribed], [3, 0]);
  subscriber.remove(subscriptions[0]!); // there are three
  subscriber.remove(subscriptions[0]!);
  assertEquals([counts.subscribed, counts.unsubscribed], [3, 1]);
  subscriber[Symbol.dispose]();
  assertEquals([counts.subscribed, counts.unsubscribed], [3, 3]);
  await turns();
});

/**
 * Makes each gap; returns the number of events that are delivered nevertheless.
 */
const GAPS: Readonly<Record<GapReason, (world: World) => Promise<number>>> = {
  async evicted(world) {
    const topic = world.topic("t", { maxEvents: 2 });
    topic.append(messages(1, 5));
    world.follow(topic, { epoch: topic.log.epoch, offset: 1 });
    await turns();
    return 2;
  },
  async epoch(world) {
    const topic = world.topic();
    topic.append(messages(1, 5));
    world.follow(topic, { epoch: "another-epoch", offset: 3 });
    await turns();
    return 5;
  },
  async slow(world) {
    const topic = world.topic();
    topic.append(messages(1, 5));
    const subscription = world.subscription(topic);
    subscription.skip();
    world.subscriber(new Peer()).add(subscription);
    await turns();
    return 0;
  },
  async skipped(world) {
    const topic = world.topic();
    topic.append(messages(1, 5));
    const sink = {
      write: (_: Uint8Array, done: () => void) => queueMicrotask(done),
    };
    world.subscriber(sink)
      .add(world.subscription(topic, "start", { latest: true }));
    await turns();
    return 1;
  },
};

for (const [reason, make] of Object.entries(GAPS)) {
  Deno.test(`DeliveryCounts has a gap by its reason: ${reason}`, async () => {
    using world = new World();
    const events = await make(world);
    const { counts } = world.frames;
    const none = { evicted: 0, epoch: 0, slow: 0, skipped: 0 };
    assertEquals(counts.gaps, { ...none, [reason]: 1 });
    assertEquals(counts.events, events);
  });
}

Deno.test("DeliveryCounts has the events of a snapshot, and those after it", async () => {
  using world = new World();
  const counts = new DeliveryCounts();
  const frames = new FrameCache(websocketFormat, counts);
  const topic = world.topic();
  topic.append(messages(1, 7));
  let bytes = 0;
  const sink = {
    write(frame: Uint8Array, done: () => void): void {
      bytes += frame.byteLength;
      queueMicrotask(done);
    },
  };
  world.subscriber(sink).add(
    new Subscription(topic, "start", websocketFormat, frames, {
      snapshot: true,
    }),
  );
  await turns();
  assertEquals(counts.events, 7);
  topic.append(messages(8, 9));
  await turns();
  assertEquals(counts.events, 9);
  assertEquals(counts.messages, 4, "subscribed, snapshot, live, events");
  assertEquals(counts.bytes, bytes);
});

Deno.test("DeliveryCounts measures how old an event is that is written, of one delivery in 31", async () => {
  using world = new World();
  const { clock } = world;
  const seen: number[] = [];
  const counts = new DeliveryCounts({
    clock,
    latency: { observe: (value) => void seen.push(value) },
  });
  const frames = new FrameCache(world.format, counts);
  const topic = world.topic();
  topic.append(messages(1, 1));
  await clock.advance(60_000);
  const peer = new Peer();
  world.subscriber(peer)
    .add(new Subscription(topic, "start", world.format, frames));
  await turns();
  assertEquals(peer.data(), ["1"]);
  assertEquals(seen, [], "it was there before its reader");

  for (let offset = 2; offset < 2 + 31 + 1; offset++) {
    topic.append(messages(offset, offset));
    await turns();
  }
  assertEquals(counts.events, 33);
  assertEquals(seen.length, 2);
});

Deno.test("DeliveryCounts measures until a message is written, from its oldest event on", async () => {
  using world = new World();
  const { clock } = world;
  const seen: number[] = [];
  const counts = new DeliveryCounts({
    clock,
    latency: { observe: (value) => void seen.push(value) },
  });
  const frames = new FrameCache(world.format, counts);
  const topic = world.topic();
  const peer = new Peer();
  world.subscriber(peer)
    .add(new Subscription(topic, "start", world.format, frames));
  await turns();
  peer.reads = false;
  topic.open(); // "live" is on its way from now on
  await turns();
  await clock.advance(1_000);
  topic.append(messages(1, 1));
  await clock.advance(2_000);
  topic.append(messages(2, 2));
  await clock.advance(500);
  peer.readOne();
  assertEquals(peer.types(), ["subscribed", "live", "events"]);
  assertEquals(seen, [2.5]);
});

Deno.test("DeliveryCounts has both messages of a write that skips events", async () => {
  using world = new World();
  const { counts } = world.frames;
  const topic = world.topic();
  topic.append(messages(1, 5));
  let bytes = 0;
  let writes = 0;
  const sink = {
    write(message: Uint8Array, done: () => void): void {
      bytes += message.byteLength;
      writes++;
      queueMicrotask(done);
    },
  };
  world.subscriber(sink)
    .add(world.subscription(topic, "start", { latest: true }));
  await turns();
  assertEquals(writes, 3, "subscribed, gap and events, live");
  assertEquals(counts.messages, 4);
  assertEquals(counts.bytes, bytes);
});

Deno.test("DeliveryCounts measures one of 31, the first too", () => {
  const clock = new FakeClock(5_000);
  const seen: number[] = [];
  const counts = new DeliveryCounts({
    clock,
    latency: { observe: (value) => void seen.push(value) },
  });
  counts.aged(4_000);
  for (let count = 0; count < 30; count++) counts.aged(0);
  assertEquals(seen, [1]);
  counts.aged(4_750);
  assertEquals(seen, [1, 0.25]);
});
