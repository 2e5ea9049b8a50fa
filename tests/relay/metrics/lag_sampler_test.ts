import { assert, assertEquals } from "@std/assert";
import {
  type Lagging,
  LagSampler,
  type Reader,
} from "../../../relay/metrics/lag_sampler.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  messages,
  Peer,
  turns,
  World,
} from "../../support/delivery/delivery_world.ts";

const INTERVAL = 10_000;

/** One door, and what is observed of it. */
class Door {
  readonly connections = new Set<Reader>();
  readonly seenEvents: number[] = [];
  readonly seenSeconds: number[] = [];
  readonly events = {
    observe: (value: number) => void this.seenEvents.push(value),
  };
  readonly seconds = {
    observe: (value: number) => void this.seenSeconds.push(value),
  };

  take(): { events: number[]; seconds: number[] } {
    return {
      events: this.seenEvents.splice(0),
      seconds: this.seenSeconds.splice(0),
    };
  }
}

/** A subscription that has read all there is. */
function idle(): Lagging {
  const log = {
    first: 1,
    next: 1,
    read: () => {
      throw new Error("there is nothing to be read");
    },
  };
  return { cursor: 1, topic: { log } };
}

Deno.test("LagSampler tells of each subscription how many events it is behind, and since when", async () => {
  using world = new World();
  const { clock } = world;
  const door = new Door();
  using _sampler = new LagSampler(clock, () => [door]);
  const topic = world.topic("t", { maxEvents: 5 });
  topic.open();
  const peers = [new Peer(), new Peer()];
  for (const peer of peers) {
    const subscriber = world.subscriber(peer);
    subscriber.add(world.subscription(topic));
    door.connections.add(subscriber);
  }
  await turns();
  await clock.advance(INTERVAL);
  assertEquals(door.take(), { events: [0, 0], seconds: [0, 0] });

  const [slow] = peers;
  slow!.reads = false; // there are two
  topic.append(messages(1, 1)); // on its way
  await turns();
  await clock.advance(4_000);
  topic.append(messages(2, 3));
  await turns();
  await clock.advance(6_000);
  assertEquals(door.take(), { events: [2, 0], seconds: [6, 0] });

  // Event 2 is given up by now: the oldest that is left is 3.
  await clock.advance(5_000);
  topic.append(messages(4, 7));
  await turns();
  await clock.advance(5_000);
  assertEquals(door.take(), { events: [6, 0], seconds: [16, 0] });

  slow!.reads = true;
  slow!.readOne();
  await turns();
  await clock.advance(INTERVAL);
  assertEquals(door.take(), { events: [0, 0], seconds: [0, 0] });
});

Deno.test("LagSampler looks at a subscription whose events have to be fetched, and at none that cannot be", async () => {
  const clock = new FakeClock(100_000);
  const door = new Door();
  using _sampler = new LagSampler(clock, () => [door]);
  const reads: unknown[] = [];
  const behind = (time: number | undefined): Lagging => ({
    cursor: 3,
    topic: {
      log: {
        first: 2,
        next: 8,
        async read(from, budget) {
          reads.push([from, budget.events]);
          await Promise.resolve();
          if (time === undefined) throw new Error("the disk is gone");
          return { entries: [{ time }] };
        },
      },
    },
  });
  door.connections.add({
    subscriptions: [behind(107_500), behind(undefined), behind(110_000)],
  });
  await clock.advance(INTERVAL);
  assertEquals(door.take(), { events: [5, 5, 5], seconds: [2.5, 0] });
  assertEquals(reads, [[3, 1], [3, 1], [3, 1]]);
});

Deno.test("LagSampler looks at all of many subscriptions, a few at a time", async () => {
  const clock = new FakeClock();
  const doors = [new Door(), new Door()];
  let most = 0;
  let looks = 0;
  const counted: Lagging = {
    cursor: 1,
    get topic() {
      looks++;
      return idle().topic;
    },
  };
  for (let count = 0; count < 1_000; count++) {
    doors[count % 2]!.connections.add({ subscriptions: [counted, counted] }); // there are two
  }
  const timed = {
    now: () => clock.now(),
    setTimeout: (callback: () => void, delay: number) =>
      clock.setTimeout(() => {
        const before = looks;
        callback();
        most = Math.max(most, looks - before);
      }, delay),
  };
  using _sampler = new LagSampler(timed, () => doors);
  await clock.advance(INTERVAL - 1);
  assertEquals(looks, 0);
  await clock.advance(1_001);
  assertEquals(looks, 2_000);
  assert(most <= 256, `${most} at a time`);
  // Those that come and go while it looks do no harm.
  await clock.advance(INTERVAL - 1_000);
  const [{ connections }] = doors as [Door, Door]; // there are two
  for (const reader of [...connections].slice(100)) connections.delete(reader);
  connections.add({ subscriptions: [counted] });
  await clock.advance(INTERVAL);
  assert(looks >= 2_000 + 200 + 1 + 1_000, `${looks} in all`);
  assert(looks <= 4_001, `${looks} in all`);
});

Deno.test("LagSampler leaves no timer behind, wherever it is", async () => {
  for (const time of [0, INTERVAL]) {
    const clock = new FakeClock();
    const door = new Door();
    for (let count = 0; count < 1_000; count++) {
      door.connections.add({ subscriptions: [idle()] });
    }
    const sampler = new LagSampler(clock, () => [door]);
    await clock.advance(time);
    assertEquals(door.seenEvents.length, time === 0 ? 0 : 256);
    assertEquals(clock.pending, 1);
    sampler[Symbol.dispose]();
    assertEquals(clock.pending, 0);
  }
});
