import { assert, assertEquals, assertRejects } from "@std/assert";
import { headers } from "@nats-io/transport-node";
import {
  AFTER,
  bucketStream,
  bucketSubject,
} from "../../../../relay/stores/jetstream/bucket.ts";
import { Presence } from "../../../../relay/stores/jetstream/presence.ts";
import {
  SharedLease,
  SharedLeases,
} from "../../../../relay/stores/jetstream/shared_leases.ts";
import {
  type Lease,
  LeaseHeldError,
  LeaseLostError,
  type LeaseRequest,
} from "../../../../relay/topics/lease.ts";
import { StoreError } from "../../../../relay/topics/store.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { lacksNats } from "../../../support/nats/nats_server.ts";
import { StreamWorld } from "../../../support/nats/stream_world.ts";

const REQUEST = {
  topic: "t",
  epoch: "abcdefghijkl",
  holder: "this relay",
  ttl: 5_000,
  onCancel: () => Promise.resolve(),
};

Deno.test({
  name:
    "SharedLeases finds a lease again that was kept though it could not be taken",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const clock = new FakeClock(1_000_000);
    let isAway = true;
    const fences: boolean[] = [];
    const leases = new SharedLeases({
      connection: world.connection,
      names: world.names,
      clock,
      presence: new Presence(world.names.beats, clock, { onGone: () => {} }),
      fence: (_log, _lease, isFirst) => {
        fences.push(isFirst);
        if (!isAway) return Promise.resolve();
        return Promise.reject(new StoreError("away", "There is no leader"));
      },
    });
    await assertRejects(() => leases.hold(REQUEST), StoreError);
    isAway = false;
    assertEquals(await leases.orphans(), []);
    await clock.advance(5_000);
    const found = [{ name: REQUEST.topic, epoch: REQUEST.epoch }];
    assertEquals(await leases.orphans(), found);
    const lease = await leases.hold(REQUEST);
    assertEquals(fences, [true, false]);
    await clock.advance(1_000);
    assertEquals(await leases.orphans(), []);
    // Without its key, nobody would miss its holder.
    const { number } = lease;
    await leases.remove(`t.${REQUEST.epoch}`, number);
    const again = await leases.takeAgain(REQUEST);
    assert(again !== undefined && again > number);
    await lease.release();
  },
});

Deno.test({
  name:
    "SharedLeases goes by the lease that counts, not by a void one behind it",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const { connection, names } = world;
    const clock = new FakeClock(1_000_000);
    const leases = new SharedLeases({
      ...{ connection, names, clock },
      presence: new Presence(names.beats, clock, { onGone: () => {} }),
      fence: () => Promise.resolve(),
    });
    const lease = await leases.hold(REQUEST);
    const { topic, epoch, holder } = REQUEST;
    // A cluster may take a message that does not follow the last one.
    await connection.ask(({ js }) => {
      const all = headers();
      all.set(AFTER, "0");
      return js.publish(
        bucketSubject(names.leases, `t.${epoch}`),
        JSON.stringify({
          ...{ v: 1, relay: "gone", holder, topic, epoch },
          isWhole: true,
        }),
        { headers: all },
      );
    });
    assertEquals(await leases.orphans(), []);
    await lease.release();
  },
});

Deno.test({
  name:
    "SharedLeases finds what a relay that is gone has left, though NATS has lost its lease",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const { connection, names } = world;
    const there = new Set(["theirs"]);
    const leasesOf = (self: string): SharedLeases =>
      new SharedLeases({
        ...{ connection, names, clock: new FakeClock(1_000_000) },
        presence: {
          self,
          isThere: (relay: string) => relay === self || there.has(relay),
        } as Presence, // no more is asked of it
        fence: () => Promise.resolve(),
      });
    const theirs = leasesOf("theirs");
    const ours = leasesOf("ours");
    const run = { name: "run", epoch: REQUEST.epoch };
    const lost = (over: readonly string[] = []) =>
      ours.lost(
        ({ name }) => name !== "ended",
        ({ name }) => Promise.resolve(over.includes(name)),
      );
    for (const topic of ["run", "ended", "plain"]) {
      await theirs.hold({ ...REQUEST, topic });
    }
    assertEquals([await ours.orphans(), await lost()], [[], []]);
    // As a server may that is elected before it has all messages.
    await connection.ask(({ manager }) =>
      manager.streams.purge(bucketStream(names.leases))
    );
    assertEquals([await ours.orphans(), await lost()], [[], []]);
    there.clear();
    assertEquals(await lost(["plain"]), [run]);
    assertEquals(await lost(), [run], "what is over is forgotten");
    // Another relay may have gone on with it, of which the last look did not tell.
    const lease = await ours.hold({ ...REQUEST, topic: "run" });
    assertEquals(await lost(), []);
    assertEquals(await ours.orphans(), []);
    await lease.release();
    assertEquals(await lost(), [], "it was given up");
  },
});

const OWN: Lease = {
  isHeld: true,
  expires: Infinity,
  renew: () => {},
  release: () => {},
};

Deno.test("SharedLease is taken again where NATS knows of an older one for a while", async () => {
  const clock = new FakeClock();
  const presence = { interruptions: 0 };
  const taken: number[] = [];
  let now = 6;
  const lease = new SharedLease(
    {
      numberOf: () => Promise.resolve(now),
      takeAgain: (_request: LeaseRequest, before: number) => {
        taken.push(before);
        return Promise.resolve(now = 9);
      },
    } as unknown as SharedLeases, // it asks for no more
    {
      ...{
        key: "t.abcdefghijkl",
        number: 7,
        own: OWN,
        request: REQUEST,
        clock,
      },
      presence: presence as Presence, // nor of this
    },
  );
  presence.interruptions++;
  await lease.renew();
  await clock.advance(4_999);
  await lease.renew();
  assertEquals([taken, lease.number], [[], 7]);
  await clock.advance(1);
  await lease.renew();
  assertEquals([taken, lease.number, lease.isHeld], [[6], 9, true]);
  now = 10;
  await lease.renew();
  assertEquals(lease.isHeld, true, "nothing was interrupted since");
  presence.interruptions++;
  await assertRejects(async () => await lease.renew(), LeaseLostError);
});

Deno.test("SharedLease is not lost where a new leader of NATS does not know of it yet", async () => {
  for (const after of [7, 8, 6]) {
    const numbers = after === 6 ? [6] : [undefined, after];
    const presence = { interruptions: 0 };
    const lease = new SharedLease(
      {
        numberOf: () => Promise.resolve(numbers.shift()),
        takeAgain: () => Promise.resolve(undefined),
      } as unknown as SharedLeases, // it asks for no more
      {
        ...{ key: "t.abcdefghijkl", number: 7, own: OWN, request: REQUEST },
        presence: presence as Presence, // nor of this
        clock: new FakeClock(),
      },
    );
    presence.interruptions++;
    const renewed = await Promise.allSettled([lease.renew()]);
    assertEquals([renewed[0].status, lease.isHeld], [
      after === 8 ? "rejected" : "fulfilled",
      after !== 8,
    ]);
  }
});

Deno.test({
  name:
    "SharedLeases gives a lease to its holder that comes by another relay, and to nobody else",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const { connection, names } = world;
    const clock = new FakeClock(1_000_000);
    const leasesOf = (self: string): SharedLeases =>
      new SharedLeases({
        ...{ connection, names, clock },
        presence: { self, isThere: () => true } as unknown as Presence, // no more is asked of it
        fence: () => Promise.resolve(),
      });
    const theirs = leasesOf("theirs");
    const ours = leasesOf("ours");
    const first = await theirs.hold(REQUEST);
    await assertRejects(() => ours.hold(REQUEST), LeaseHeldError);
    const other = { ...REQUEST, holder: "another", resumes: true };
    await assertRejects(() => ours.hold(other), LeaseHeldError);
    const second = await ours.hold({ ...REQUEST, resumes: true });
    assert(second.number > first.number);
    await second.release();
  },
});
