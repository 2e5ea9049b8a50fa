// One object makes a run's topic, lets go of it, and ends it once.
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { HeldTopics } from "../../../relay/gateway/held_topics.ts";
import type { Refusal } from "../../../relay/gateway/refusal.ts";
import {
  RunTopic,
  type RunTopicPlan,
} from "../../../relay/gateway/run_topic.ts";
import { Problem } from "../../../relay/problem.ts";
import { TopicRegistry } from "../../../relay/topics/registry.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import {
  type Lease,
  LeaseLostError,
  type LeaseRequest,
} from "../../../relay/topics/lease.ts";
import { StoreError } from "../../../relay/topics/store.ts";
import { HeldLog } from "../../support/delivery/store_log.ts";
import { LIMIT, until } from "../../support/within.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

const EVENT = { event: "message", data: "a", id: "" };

const BUSY: Refusal = { status: 503, reason: "Busy", retryAfter: undefined };

/** A store that may have given a lease to another relay. */
class LosingStore extends MemoryStore {
  isLost = false;
  /** Resolves when the store has asked others for a lease. Default: it need not. */
  asked: Promise<void> | undefined;
  abandoned = 0;

  override hold(request: LeaseRequest): Lease {
    const lease = this.#take(request);
    return this.asked
      ? this.asked.then(() => lease) as unknown as Lease // as `Store.hold` may
      : lease;
  }

  #take(request: LeaseRequest): Lease {
    const lease = super.hold(request);
    const isLost = () => this.isLost;
    return {
      expires: lease.expires,
      get isHeld(): boolean {
        return !isLost();
      },
      renew: (): void => {
        if (isLost()) throw new LeaseLostError(request.topic);
        lease.renew();
      },
      release: () => lease.release(),
      abandon: () => {
        this.abandoned++;
        return lease.release();
      },
    };
  }
}

/** All that runs share, and a way to plan one. */
class World implements Disposable {
  readonly clock = new FakeClock();
  readonly store: LosingStore = new LosingStore(DEFAULT_RETENTION, this.clock);
  readonly topics = new TopicRegistry({
    store: this.store,
    endedTtl: Infinity,
    awaitedTtl: Infinity,
    clock: this.clock,
  });
  readonly held = new HeldTopics(this.topics, this.clock);
  readonly closing = new AbortController();

  /** Plans the topic `t` of a run; counts how often the run is told to stop. */
  plan(
    plan: Partial<RunTopicPlan> = {},
  ): { topic: RunTopic; cancels: () => number } {
    const topic = new RunTopic({
      name: "t",
      isNamed: true,
      renews: false,
      owner: undefined,
      source: "raw chat/completions",
      filledBy: undefined,
      model: () => undefined,
      onDisconnect: "continue",
      ...plan,
    }, {
      topics: this.topics,
      held: this.held,
      idleCancel: 5_000,
      clock: this.clock,
      closing: this.closing.signal,
    });
    let cancels = 0;
    topic.onCancelled(() => cancels++);
    return { topic, cancels: () => cancels };
  }

  [Symbol.dispose](): void {
    this.held[Symbol.dispose]();
    this.topics[Symbol.dispose]();
    assertEquals(this.clock.pending, 0);
  }
}

Deno.test("RunTopic does not tell a run of the end that the run gave", async () => {
  using world = new World();
  const { topic, cancels } = world.plan();
  const opened = topic.open();
  topic.conclude({ status: "complete" });
  topic.breakOff({ status: "truncated", reason: "twice" });
  await world.clock.advance(0);
  assertEquals(await opened.ended, { status: "complete" });
  assertEquals([cancels(), topic.outcome], [0, "complete"]);
  // Later calls find the end decided.
  topic.leave();
  opened.end("cancelled");
  await world.clock.advance(10_000);
  topic.close();
  assertEquals([cancels(), topic.outcome], [0, "complete"]);
  assertEquals(await topic.fate, "streaming");
});

Deno.test("RunTopic tells a run once that somebody else has ended its topic", async () => {
  for (
    const end of [
      ({ topics }: World) => topics.delete("t"),
      ({ topics }: World) => topics.get("t")?.end("cancelled", "enough"),
      ({ topics }: World) => topics.get("t")?.end("complete"),
      (_: World, topic: RunTopic) => topic.leave(),
    ]
  ) {
    for (const isOpen of [false, true]) {
      using world = new World();
      const { topic, cancels } = world.plan({ onDisconnect: "cancel" });
      topic.reserve();
      if (isOpen) topic.open();
      end(world, topic);
      await world.clock.advance(0);
      assertEquals(cancels(), 1);
      assertEquals(topic.isEnded, true);
      const { state } = topic.topic!; // reserved above
      // The run's own end comes too late, and so does what it still reads.
      topic.breakOff({ status: "truncated" });
      await topic.append([EVENT]);
      topic.close();
      assertEquals(topic.topic!.state, state);
      assertEquals(topic.topic!.log.next, 1);
      assertEquals(await topic.fate, isOpen ? "streaming" : "cancelled");
      assertEquals(cancels(), 1);
    }
  }
});

for (const isKept of [true, false]) {
  Deno.test(`RunTopic is complete only if the store keeps its last events: ${isKept}`, async () => {
    using world = new World();
    const log = new HeldLog(world.clock);
    world.store.create = () => log;
    const { topic } = world.plan();
    const opened = topic.open();
    void topic.append([EVENT]);
    topic.conclude({ status: "complete" });
    assertEquals([topic.isEnded, topic.outcome], [true, "complete"]);
    await topic.append([EVENT]);
    if (isKept) log.keep();
    else log.refuse(new StoreError("full", "The disk is full"));
    await until(() => log.waiting || undefined, LIMIT, "the end to be told");
    log.keep();
    assertEquals(
      (await opened.ended).status,
      isKept ? "complete" : "truncated",
    );
    assertEquals(log.next, isKept ? 2 : 1);
  });
}

Deno.test("RunTopic takes an end for its own that came a moment after another's", async () => {
  using world = new World();
  const { topic, cancels } = world.plan();
  topic.open().end("cancelled", "enough");
  topic.conclude({ status: "complete" });
  await world.clock.advance(0);
  // The run has said how it ends, and is not to be cut off.
  assertEquals(cancels(), 0);
  assertEquals(topic.outcome, "cancelled");
});

Deno.test("RunTopic holds the topic of a refused run for the next one", async () => {
  using world = new World();
  const first = world.plan();
  const reserved = first.topic.reserve();
  first.topic.refuse(BUSY);
  first.topic.close();
  assertEquals(await first.topic.fate, "refused");
  assertEquals(first.topic.outcome, "refused");
  assertEquals(reserved.upstream, { state: "retrying", status: 503 });
  assertEquals(world.held.size, 1);
  const second = world.plan();
  assertEquals(second.topic.reserve(), reserved);
  assertEquals(world.held.size, 0);
  assertEquals(reserved.upstream, { state: "connecting" });
  await world.clock.advance(100_000);
  assertEquals(reserved.state.kind, "pending");
  // From now on only the second run is told.
  world.topics.delete("t");
  await world.clock.advance(0);
  assertEquals([first.cancels(), second.cancels()], [0, 1]);
});

Deno.test("RunTopic lets no caller that has left a refused run cancel the next one", async () => {
  for (
    const [leavesFirst, onDisconnect] of [
      [false, "continue"],
      [false, "cancel"],
      [true, "continue"],
    ] as const
  ) {
    using world = new World();
    const first = world.plan({ onDisconnect });
    const reserved = first.topic.reserve();
    if (leavesFirst) first.topic.leave();
    first.topic.refuse(BUSY);
    if (!leavesFirst) first.topic.leave();
    first.topic.close();
    const second = world.plan();
    second.topic.open();
    await world.clock.advance(100_000);
    assertEquals(reserved.state.kind, "open");
    second.topic.conclude({ status: "complete" });
    assertEquals(await reserved.ended, { status: "complete" });
  }
});

Deno.test("HeldTopics gives up a topic that no run takes", async () => {
  using world = new World();
  const { topic, cancels } = world.plan();
  const reserved = topic.reserve();
  topic.refuse(BUSY);
  await world.clock.advance(17_999);
  assertEquals(reserved.state.kind, "pending");
  await world.clock.advance(1);
  assertEquals(await reserved.ended, { status: "failed", reason: "Busy" });
  assertEquals([world.held.size, cancels()], [0, 0]);
});

Deno.test("HeldTopics leaves a topic alone that a publisher has taken over", async () => {
  using world = new World();
  const { topic } = world.plan();
  const reserved = topic.reserve();
  topic.refuse(BUSY);
  world.topics.create("t").append([EVENT]);
  await world.clock.advance(100_000);
  assertEquals(reserved.state.kind, "open");
  assertEquals(world.held.size, 0);
});

Deno.test("HeldTopics forgets a topic that has ended", async () => {
  using world = new World();
  const timers = world.clock.pending;
  const { topic } = world.plan();
  topic.reserve();
  topic.refuse(BUSY);
  assertEquals(world.clock.pending, timers + 1);
  world.topics.delete("t");
  await world.clock.advance(0);
  assertEquals([world.held.size, world.clock.pending], [0, timers]);
});

Deno.test("RunTopic holds no topic that nobody can ask for, and none when the relay closes", () => {
  for (
    const [plan, status, isClosing, state] of [
      [{ isNamed: false }, 503, false, undefined],
      [{}, 400, false, "failed"],
      [{}, 503, true, "failed"],
      [{}, 503, false, "pending"],
    ] as const
  ) {
    using world = new World();
    const { topic } = world.plan(plan);
    topic.reserve();
    if (isClosing) world.closing.abort();
    topic.refuse({ ...BUSY, status });
    const found = world.topics.get("t")?.state;
    assertEquals(
      found?.kind === "ended" ? found.end.status : found?.kind,
      state,
    );
    assertEquals(world.held.size, state === "pending" ? 1 : 0);
  }
});

Deno.test("RunTopic makes no topic before a stream of a request that asked for none", () => {
  using world = new World();
  const { topic } = world.plan();
  // Without a topic, nobody else can have the answer.
  assertEquals(topic.leave(), false);
  topic.refuse({ ...BUSY, status: 200 });
  assertEquals([topic.outcome, world.topics.size], ["answered", 0]);
  world.topics.create("t");
  assertThrows(() => world.plan().topic.open(), Problem, "being filled");
});

Deno.test("RunTopic says nothing more of a topic that another relay fills", async () => {
  for (const hears of ["by renewal", "by an append"]) {
    using world = new World();
    const { topic, cancels } = world.plan();
    const opened = topic.open();
    topic.append([EVENT]);
    world.store.isLost = true;
    if (hears === "by renewal") await world.clock.advance(1_000);
    topic.append([EVENT]);
    topic.append([EVENT]);
    topic.conclude({ status: "complete" });
    topic.breakOff({ status: "truncated", reason: "too late" });
    topic.close();
    await world.clock.advance(0);
    assertEquals(
      [opened.log.next, opened.verdict, cancels(), world.topics.leases.size],
      [2, undefined, 0, 0],
    );
  }
});

Deno.test("RunTopic fills its topic alone, from the reservation to the end", async () => {
  using world = new World();
  const size = () => world.topics.leases.size;
  const first = world.plan().topic;
  first.reserve();
  assertEquals(size(), 1);
  first.refuse(BUSY);
  first.close();
  assertEquals(size(), 0, "the next run may have it");
  const second = world.plan().topic;
  second.open();
  assertEquals(size(), 1);
  second.conclude({ status: "complete" });
  second.close();
  await world.clock.advance(0);
  assertEquals(size(), 0);
});

Deno.test("RunTopic leaves a topic to others that the run of a relay that is gone has filled", async () => {
  for (const isFilled of [true, false]) {
    using world = new World();
    const { topic } = world.plan();
    const asked = Promise.withResolvers<void>();
    world.store.asked = asked.promise;
    const reserved = topic.reserve();
    assertEquals(reserved.source, undefined);
    // The store knew of it, and this relay learns of it with the lease.
    if (isFilled) await reserved.log.append([EVENT]);
    asked.resolve();
    if (!isFilled) {
      await topic.held;
      assertEquals(reserved.source, "raw chat/completions");
      topic.refuse(BUSY);
      topic.close();
      reserved.end("cancelled");
      await world.clock.advance(0);
      continue;
    }
    const error = await assertRejects(
      async () => await topic.held,
      Problem,
    );
    assertEquals(error.code, "topic_exists");
    topic.refuse({ ...BUSY, status: 409 });
    topic.close();
    await world.clock.advance(0);
    assertEquals(
      [reserved.verdict, reserved.source, world.store.abandoned],
      [undefined, undefined, 1],
    );
  }
});
