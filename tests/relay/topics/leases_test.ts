// Relays that share a store fill a topic one at a time, and cancel each other's.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import {
  type Lease,
  LeaseHeldError,
  LeaseLostError,
  type LeaseRequest,
} from "../../../relay/topics/lease.ts";
import { Leases } from "../../../relay/topics/leases.ts";
import { TopicRegistry } from "../../../relay/topics/registry.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import { TopicWriter } from "../../../relay/topics/topic_writer.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { LogCapture } from "../../support/observing/log_capture.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";

const EVENT = { event: "message", data: "a", id: "" };

/** A topic of a store as two relays have it, each with leases of its own. */
function share(): {
  clock: FakeClock;
  store: MemoryStore;
  one: { leases: Leases; topic: Topic };
  other: { leases: Leases; topic: Topic };
} {
  const clock = new FakeClock();
  const store = new MemoryStore(DEFAULT_RETENTION, clock);
  const log = store.create("t", { isOpen: false });
  const relay = () => ({
    leases: new Leases(store),
    topic: new Topic("t", log, clock),
  });
  return { clock, store, one: relay(), other: relay() };
}

function filler(): { onLost: () => void; readonly lost: number } {
  let lost = 0;
  return {
    onLost: () => void lost++,
    get lost() {
      return lost;
    },
  };
}

Deno.test("Leases refuses a topic that another relay fills", () => {
  const { one, other } = share();
  const hold = one.leases.hold(one.topic, filler());
  assertEquals(hold.ready, undefined);
  const error = assertThrows(
    () => other.leases.hold(other.topic, filler()),
    LeaseHeldError,
  );
  assertEquals(error.holder, one.leases.holder);
  using _part = other.leases.hold(other.topic, { part: "p", ...filler() });
  hold[Symbol.dispose]();
  using _hold = other.leases.hold(other.topic, filler());
  assertEquals([one.leases.size, other.leases.size], [0, 2]);
});

Deno.test("TopicRegistry renews the leases of its relay", async () => {
  const { clock, store, other } = share();
  using topics = new TopicRegistry({
    store,
    endedTtl: Infinity,
    awaitedTtl: Infinity,
    clock,
  });
  const topic = new Topic("t", store.find("t")!, clock); // it was made
  const lost = filler();
  const hold = topics.leases.hold(topic, lost);
  for (let seconds = 0; seconds < 60; seconds++) {
    await clock.advance(1_000);
    assertThrows(
      () => other.leases.hold(other.topic, filler()),
      LeaseHeldError,
    );
  }
  hold[Symbol.dispose]();
  using _hold = other.leases.hold(other.topic, filler());
  await clock.advance(2_000);
  assertEquals(lost.lost, 0, "what was given up is not lost");
});

Deno.test("Leases tells a filler that another relay has taken over", async () => {
  await using log = await LogCapture.start();
  const { clock, one, other } = share();
  const lost = filler();
  using hold = one.leases.hold(one.topic, lost);
  const writer = new TopicWriter(one.topic, { hold });
  await writer.write([EVENT]);
  await clock.advance(5_000);
  one.leases.renew();
  await clock.advance(5_000);
  using taken = other.leases.hold(other.topic, filler());
  assertEquals(lost.lost, 0);
  one.leases.renew();
  one.leases.renew();
  assertEquals([lost.lost, one.leases.size], [1, 0]);
  assert(log.lines.some((line) => line.includes("Cannot renew")));
  assertThrows(() => writer.write([EVENT]), LeaseLostError);
  await new TopicWriter(other.topic, { hold: taken }).write([EVENT]);
  assertEquals(one.topic.log.next, 3);
});

Deno.test("TopicWriter has a filler stop whose append was refused for its lease", async () => {
  const { clock, one, other } = share();
  const lost = filler();
  using hold = one.leases.hold(one.topic, lost);
  const writer = new TopicWriter(one.topic, { hold });
  await clock.advance(5_000);
  using _taken = other.leases.hold(other.topic, filler());
  const publication = { key: "k", value: "v" };
  assertThrows(
    () => writer.write([EVENT], undefined, { publication }),
    LeaseLostError,
  );
  assertEquals(lost.lost, 1);
});

Deno.test("Leases has the relay end a topic that fills it", () => {
  const { one, other } = share();
  using _hold = one.leases.hold(one.topic, filler());
  void other.leases.cancel(other.topic, "Enough");
  assertEquals(one.topic.verdict?.reason, "Enough");
  assertEquals(one.topic.log.ended?.status, "cancelled");
});

Deno.test("Leases ends a topic here that nobody fills", async () => {
  const { one } = share();
  const ending = one.leases.cancel(one.topic, "Enough");
  assertEquals(one.topic.verdict?.status, "cancelled", "at once");
  assertEquals((await ending).reason, "Enough");
  const again = await one.leases.cancel(one.topic, "More than that");
  assertEquals(again.reason, "Enough", "the first verdict stands");
});

/** The leases of a store that has to ask others, and answers when it is told to. */
class DistantLeases {
  readonly answer: PromiseWithResolvers<void> = Promise.withResolvers();
  renewals = 0;
  readonly #store: MemoryStore;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  async hold(request: LeaseRequest): Promise<Lease> {
    await this.answer.promise;
    const lease = this.#store.hold(request);
    return {
      get isHeld(): boolean {
        return lease.isHeld;
      },
      expires: lease.expires,
      renew: async (): Promise<void> => {
        this.renewals++;
        await Promise.resolve();
        lease.renew();
      },
      release: async (): Promise<void> => {
        await Promise.resolve();
        lease.release();
      },
    };
  }

  cancel(): "unheld" {
    return "unheld";
  }
}

function distant(): {
  clock: FakeClock;
  store: DistantLeases;
  leases: Leases;
  topic: Topic;
} {
  const clock = new FakeClock();
  const memory = new MemoryStore(DEFAULT_RETENTION, clock);
  const topic = new Topic("t", memory.create("t", { isOpen: false }), clock);
  const store = new DistantLeases(memory);
  return { clock, store, leases: new Leases(store), topic };
}

Deno.test("Hold waits for a store that has to ask", async () => {
  const { clock, store, leases, topic } = distant();
  const lost = filler();
  const first = leases.hold(topic, lost);
  assertEquals(first.lease, undefined);
  const second = leases.hold(topic, lost);
  store.answer.resolve();
  await first.ready;
  assert(first.lease?.isHeld);
  await assertRejects(() => second.ready!, LeaseHeldError); // it waits
  assertEquals([lost.lost, leases.size], [1, 1]);
  leases.renew();
  leases.renew();
  await clock.advance(0);
  assertEquals(store.renewals, 1, "one renewal at a time");
  first[Symbol.dispose]();
  await clock.advance(0);
  assertEquals(leases.size, 0);
});

Deno.test("Hold gives up a lease that comes too late", async () => {
  const { clock, store, leases, topic } = distant();
  const first = leases.hold(topic, filler());
  first[Symbol.dispose]();
  store.answer.resolve();
  await first.ready;
  await clock.advance(0);
  using second = leases.hold(topic, filler());
  await second.ready;
});
