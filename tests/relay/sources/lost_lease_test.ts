// A filler whose lease another relay took while the store was away goes no further.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { closingFetch } from "../../support/upstreams/closing_fetch.ts";
import { EventRoom } from "../../../relay/limits/memory/event_room.ts";
import { ReceiveBudget } from "../../../relay/limits/memory/receive_budget.ts";
import { problemOf } from "../../../relay/doors/http/problem_of.ts";
import { FixtureSource } from "../../../relay/sources/fixture.ts";
import { Publisher } from "../../../relay/sources/publish.ts";
import { PublishError } from "../../../relay/sources/publish_error.ts";
import type { Source } from "../../../relay/sources/source.ts";
import { SseSource } from "../../../relay/sources/sse.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { type Hold, Leases } from "../../../relay/topics/leases.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { AwayLog } from "../../support/delivery/away_log.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import {
  numbered,
  ReconnectingUpstream,
} from "../../support/upstreams/reconnecting_upstream.ts";
import { LIMIT, until, within } from "../../support/within.ts";

/** A topic whose store is away for as long as it takes another relay to have the lease. */
class World implements Disposable {
  readonly clock = new FakeClock();
  readonly log = new AwayLog(this.clock);
  readonly topic = new Topic("t", this.log, this.clock);
  readonly #store = new MemoryStore(DEFAULT_RETENTION, this.clock);
  readonly leases = new Leases(this.#store);
  readonly fetch = closingFetch(undefined, this.clock);
  #source: Source | undefined;

  start(make: (hold: Hold) => Source): Source {
    const hold = this.leases.hold(this.topic, {
      onLost: () => this.#source?.stop(),
    });
    return this.#source = make(hold);
  }

  [Symbol.dispose](): void {
    this.fetch[Symbol.dispose]();
  }

  /** Another relay has the lease from now on, and the store is there again. */
  async takeOver(): Promise<void> {
    await this.clock.advance(5_000);
    new Leases(this.#store).hold(this.topic, { onLost: () => {} });
    this.log.isAway = false;
    await this.clock.advance(1_000);
  }

  /** The topic is the other relay's, which ends it. */
  assertOpen(): void {
    const { topic, log } = this;
    assertEquals([topic.verdict, log.ended, log.next], [
      undefined,
      undefined,
      2,
    ]);
  }
}

function readSse(url: string, world: World, reconnect: boolean): Source {
  const { clock, topic } = world;
  return world.start((hold) =>
    new SseSource(topic, url, {
      clock,
      hold,
      reconnect,
      fetch: world.fetch,
      room: new EventRoom(
        new ReceiveBudget({ maxReceived: 1_000, maxReceivedPerClient: 1_000 }),
        "a",
        () => {},
      ),
    })
  );
}

Deno.test("SseSource does not end a topic whose lease it does not know to be lost", async () => {
  for (const ending of ["end", "drop"] as const) {
    const over = Promise.withResolvers<void>();
    await using upstream = await ReconnectingUpstream.start(
      async (connection) => {
        await connection.write(numbered(1, 1));
        await over.promise;
        connection[ending]();
      },
    );
    using world = new World();
    const source = readSse(upstream.url, world, false);
    await until(() => world.log.next === 2 || undefined, LIMIT, "an event");
    await world.takeOver();
    over.resolve();
    await within(source.finished, LIMIT, "the source to stop");
    world.assertOpen();
  }
});

Deno.test("SseSource does not end a topic whose lease was lost while the store was away", async () => {
  const more = Promise.withResolvers<void>();
  await using upstream = await ReconnectingUpstream.start(
    async (connection) => {
      await connection.write(numbered(1, 1));
      await more.promise;
      await connection.write(numbered(2, 2));
    },
  );
  using world = new World();
  const { log } = world;
  const source = readSse(upstream.url, world, true);
  await until(() => log.next === 2 || undefined, LIMIT, "the first event");
  log.isAway = true;
  more.resolve();
  await until(() => log.refused > 0 || undefined, LIMIT, "the second event");
  await world.takeOver();
  await within(source.finished, LIMIT, "the source to stop");
  world.assertOpen();
});

Deno.test("FixtureSource does not end a topic whose lease was lost", async () => {
  using world = new World();
  const { clock, topic } = world;
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "data: a\n\n: +6000ms\ndata: b\n\n");
    const source = world.start((hold) =>
      new FixtureSource(topic, path, { clock, hold })
    );
    await until(() => topic.log.next === 2 || undefined, LIMIT, "an event");
    await world.takeOver();
    await within(source.finished, LIMIT, "the source to stop");
    world.assertOpen();
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("Publisher is told that another relay has taken over the topic of its stream", async () => {
  for (const isTold of [false, true]) {
    using world = new World();
    const { clock, leases, log, topic } = world;
    const publisher = new Publisher({
      ...{ clock, leases, maxBytes: 1e6, idleTimeout: 1e9 },
      ...{ maxEvent: 1e6, maxRate: 1e6 },
    });
    const sent = new TransformStream<string, string>();
    const writer = sent.writable.getWriter();
    const published = publisher.publish(topic, {
      type: "text/event-stream",
      body: sent.readable.pipeThrough(new TextEncoderStream()),
      publisher: "ann",
      client: "ann",
      ends: true,
    });
    published.catch(() => {});
    await writer.write("data: a\n\n");
    await until(() => log.next === 2 || undefined, LIMIT, "an event");
    await world.takeOver();
    // Its next events are refused, or its end is.
    if (isTold) leases.renew();
    else await writer.write("data: b\n\n");
    writer.close().catch(() => {});
    const error = await assertRejects(() => published, PublishError);
    const { epoch } = log;
    assertEquals(error.added, { epoch, first: 1, next: 2 });
    const problem = problemOf(error);
    assertEquals([problem?.status, problem?.code], [409, "lease_lost"]);
    assert(error.message.includes("to another topic"), error.message);
    world.assertOpen();
  }
});

Deno.test("FixtureSource waits for a store that is away, and leaves a topic that was ended elsewhere", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "data: a\n\n: +1000ms\ndata: b\n\n");
    for (const isAway of [true, false]) {
      using world = new World();
      const { clock, log, topic } = world;
      const source = world.start((hold) =>
        new FixtureSource(topic, path, { clock, hold })
      );
      await until(() => log.next === 2 || undefined, LIMIT, "an event");
      if (isAway) log.isAway = true;
      else log.memory.end({ status: "cancelled", isWhole: false, at: 1 });
      await clock.advance(1_000);
      await clock.advance(1_000);
      log.isAway = false;
      await clock.advance(1_000);
      await within(source.finished, LIMIT, "the fixture");
      assertEquals([log.next, log.ended?.status], [
        ...(isAway ? [3, "complete"] : [2, "cancelled"]),
      ]);
      assertEquals(log.refused > 0, isAway);
    }
  } finally {
    await Deno.remove(path);
  }
});
