// Two relays with one NATS, as stores: who may fill a topic, make it, and write into it.
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { JetStreamStore } from "../../../../relay/stores/jetstream/jetstream_store.ts";
import { message, NO_FACTS } from "../../../../relay/testing/contract_world.ts";
import {
  LeaseHeldError,
  LeaseLostError,
} from "../../../../relay/topics/lease.ts";
import { StaleWriterError } from "../../../../relay/topics/store.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { openStore } from "../../../support/nats/open_store.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { LIMIT, until, within } from "../../../support/within.ts";

const ignore = lacksNats();

Deno.test({
  name:
    "JetStreamStore gives nobody the lease of a relay that is there, and fences one that stalls",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    const clocks = [
      new FakeClock(1_000_000),
      new FakeClock(1_000_000),
    ] as const;
    await using store = await openStore(server.host, clocks[0]);
    await using other = await openStore(server.host, clocks[1]);
    using log = store.create("t", NO_FACTS);
    await log.append([message("a")]);
    const request = (holder: string) => ({
      ...{ topic: "t", epoch: log.epoch, holder, ttl: 60_000 },
      onCancel: () => Promise.resolve(),
    });
    const lease = await store.hold(request("one"));
    await log.append([message("b")], { lease });
    // Twice as long as a relay may be silent: this one is not.
    for (let time = 0; time < 6_000; time += 500) {
      await beat(store, clocks[0]);
      await beat(other, clocks[1]);
    }
    await assertRejects(
      () => other.hold(request("two")) as Promise<unknown>,
      LeaseHeldError,
    );
    // It stalls from now on.
    const taken = await until(
      async () => {
        await beat(other, clocks[1]);
        try {
          return await other.hold(request("two"));
        } catch (error) {
          if (!(error instanceof LeaseHeldError)) throw error;
          return undefined;
        }
      },
      LIMIT,
      "the lease of a relay that stalls",
    );
    await other.prepare("t", { isFresh: true });
    using theirs = other.find("t");
    assert(theirs);
    await theirs.append([message("c")], { lease: taken });
    // It wakes up, and does not know of that.
    assert(lease.isHeld);
    await assertRejects(
      async () => await log.append([message("z")], { lease }),
      LeaseLostError,
    );
    await theirs.update({ ...NO_FACTS, source: "theirs" }, { lease: taken });
    await assertRejects(
      async () => await log.update({ ...NO_FACTS, source: "mine" }, { lease }),
      LeaseLostError,
    );
    assertEquals(theirs.facts.source, "theirs");
    await until(
      () => log.facts.source === "theirs" || undefined,
      LIMIT,
      "the facts that the other relay has kept",
    );
    const end = { status: "truncated", isWhole: false, at: 1 } as const;
    await assertRejects(
      async () => await log.end(end, { lease }),
      LeaseLostError,
    );
    assertEquals([log.ended, theirs.ended], [undefined, undefined]);
    const { entries } = await theirs.read(1, { events: 9, bytes: 999 });
    assertEquals(entries.map(({ event: { data } }) => data), ["a", "b", "c"]);
  },
});

/** Has a relay say that it is there, and hear of all that were said before. */
async function beat(store: JetStreamStore, clock: FakeClock): Promise<void> {
  await clock.advance(500);
  // The answer comes behind what the server has to tell.
  await store.get("nothing", "nothing");
}

Deno.test({
  name: "JetStreamStore has one topic of a name that two relays make at once",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    await using store = await openStore(server.host);
    await using other = await openStore(server.host);
    using one = store.create("t", NO_FACTS);
    using two = other.create("t", NO_FACTS);
    const made = await Promise.allSettled([one.settled(), two.settled()]);
    assertEquals(made.map(({ status }) => status).sort(), [
      "fulfilled",
      "rejected",
    ]);
    const [refused] = made.filter((result) => result.status === "rejected");
    assert(refused?.reason instanceof StaleWriterError);
    const winner = made[0].status === "fulfilled" ? one : two;
    const loser = winner === one ? two : one;
    await winner.append([message("a")]);
    await assertRejects(
      async () => await loser.append([message("b")]),
      StaleWriterError,
    );
    for (const each of [store, other]) {
      await each.prepare("t", { isFresh: true });
      using log = each.find("t");
      assertEquals([log?.epoch, log?.next], [winner.epoch, 2]);
    }
  },
});

Deno.test({
  name:
    "JetStreamStore takes no event for a topic that another relay has deleted",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    await using store = await openStore(server.host);
    await using other = await openStore(server.host);
    using log = store.create("t", NO_FACTS);
    await log.append([message("a")]);
    await other.prepare("t", { isFresh: true });
    using theirs = other.find("t");
    assert(theirs);
    const { signal } = new AbortController();
    const told = theirs.follow(theirs.next, signal)[Symbol.asyncIterator]();
    const news = told.next();
    await store.delete("t", log.epoch);
    // It is told so, and has not asked.
    const { value } = await within(news, LIMIT, "the news");
    assertEquals(value, { kind: "deleted" });
    await assertRejects(
      async () => await theirs.append([message("b")]),
      StaleWriterError,
    );
    using again = store.create("t", NO_FACTS);
    await again.append([message("c")]);
    await other.prepare("t", { isFresh: true });
    using found = other.find("t");
    assertEquals([found?.epoch, found?.next], [again.epoch, 2]);
  },
});

Deno.test({
  name:
    "JetStreamStore has a topic at hand for half a minute each time, and no longer",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    const clock = new FakeClock(1_000_000);
    await using store = await openStore(server.host, clock);
    await using other = await openStore(server.host);
    using log = other.create("t", NO_FACTS);
    await log.append([message("a")]);
    const held = () => {
      const { followed, windowBytes } = store.counts.nats!; // it is in NATS
      return [followed, windowBytes > 0];
    };
    assertEquals(held(), [0, false]);
    await store.prepare("t", {});
    assertEquals(held(), [1, true]);
    await clock.advance(59_000);
    // It is still there, and asked for again.
    assertEquals(store.prepare("t", {}), undefined);
    await clock.advance(30_000);
    {
      using found = store.find("t");
      assertEquals(found?.next, 2);
      await clock.advance(120_000);
      assertEquals(held(), [1, true]);
    }
    await clock.advance(61_000);
    assertEquals(held(), [0, false]);
    await store.prepare("t", {});
    using again = store.find("t");
    assertEquals(again?.next, 2);
  },
});

Deno.test({
  name: "JetStreamStore waits for what a reader has seen at another relay",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    await using store = await openStore(server.host);
    await using other = await openStore(server.host);
    using log = other.create("t", NO_FACTS);
    await log.append([message("a")]);
    await store.prepare("t", {});
    using found = store.find("t");
    assertEquals(found?.next, 2);
    // As if a leader that was elected a moment ago did not know of the second event.
    const position = { epoch: log.epoch, offset: 2 };
    let isReady = false;
    const ready = Promise.resolve(
      store.prepare("t", { isFresh: true, position }),
    ).then(() => void (isReady = true));
    for (let count = 0; count < 5; count++) await store.get("any", "key");
    assertEquals(isReady, false);
    await log.append([message("b")]);
    await ready;
    assertEquals(found?.next, 3);
    // A position in another log says nothing of this one.
    const elsewhere = { epoch: "another", offset: 99 };
    await store.prepare("t", { isFresh: true, position: elsewhere });
  },
});

Deno.test({
  name:
    "JetStreamStore keeps a topic that is filled while it is about to be let go",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    await using store = await openStore(server.host);
    await using other = await openStore(server.host);
    for (const name of ["here", "elsewhere"]) {
      await store.prepare(name, { makes: true });
      using made = store.find(name);
      assert(made);
      const { epoch } = made;
      made[Symbol.dispose]();
      const filler = name === "here" ? store : other;
      await other.prepare(name, { isFresh: true });
      const fill = async (): Promise<void> => {
        using log = filler.find(name);
        assertEquals(log?.epoch, epoch);
        await log?.append([message("a")]);
      };
      // At another relay, the filler has come and gone before that is asked.
      if (name === "elsewhere") await fill();
      const letGo = store.letGo(name, epoch);
      if (name === "here") await fill();
      await letGo;
      for (const each of [store, other]) {
        await each.prepare(name, { isFresh: true });
        using log = each.find(name);
        assertEquals([log?.epoch, log?.next], [epoch, 2], name);
      }
    }
    // Nobody has filled this one.
    await store.prepare("unused", { makes: true });
    using unused = store.find("unused");
    assert(unused);
    unused[Symbol.dispose]();
    await store.letGo("unused", unused.epoch);
    await other.prepare("unused", { isFresh: true });
    assertEquals(other.find("unused"), undefined);
  },
});
