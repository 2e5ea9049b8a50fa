// The leases that a relay has for the relays that are linked to it.
import { assertEquals } from "@std/assert";
import { HeldLeases } from "../../../relay/links/held_leases.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { shareStore } from "../../../relay/stores/shared/share_store.ts";
import { UNBOUNDED } from "../../../relay/testing/contract_world.ts";
import type { LeaseRequest } from "../../../relay/topics/lease.ts";
import type { Log } from "../../../relay/topics/log.ts";
import type { Store } from "../../../relay/topics/store.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { holdAsFiller } from "../../support/links/linked_stores.ts";

const REQUEST = { topic: "t", epoch: "e", holder: "edge", ttl: 5_000 };

const unheld = () => Promise.resolve(false);

/** A store that notes which leases are asked for, and what becomes of them. */
class NotingStore implements Pick<Store, "hold"> {
  readonly told: string[] = [];
  request: LeaseRequest | undefined;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  hold(request: LeaseRequest) {
    this.request = request;
    const expires = this.#clock.now() + request.ttl;
    return {
      isHeld: true,
      expires,
      renew: () => {},
      release: () => void this.told.push("released"),
      abandon: () =>
        void this.told.push(`abandoned after ${this.#clock.now()}`),
    };
  }
}

for (const outlasts of [false, true]) {
  const where = outlasts ? "with a relay above" : "where topics live";
  Deno.test(`The lease of a relay that is gone is given up after its own time, ${where}`, async () => {
    const clock = new FakeClock();
    const store = new NotingStore(clock);
    const leases = new HeldLeases(store, clock, outlasts);
    await leases.hold(REQUEST, 1, unheld);
    // The relay above waits for longer, as this one may be the one that is gone.
    assertEquals(store.request?.ttl, outlasts ? 15_000 : 5_000);
    for (let now = 0; now < 10_000; now += 1_000) {
      leases.look(true);
      await clock.advance(1_000);
    }
    leases.look(false);
    await clock.advance(3_900);
    leases.look(false);
    assertEquals(store.told, []);
    await clock.advance(100);
    leases.look(false);
    // It may be back before the next look.
    assertEquals([leases.size, store.told], [1, []]);
    leases.look(false);
    assertEquals([leases.size, store.told], [0, ["abandoned after 14000"]]);
  });
}

Deno.test("A relay that is back at the last moment has its lease", async () => {
  const clock = new FakeClock();
  const store = new NotingStore(clock);
  const leases = new HeldLeases(store, clock, false);
  await leases.hold(REQUEST, 1, unheld);
  await clock.advance(6_000);
  leases.look(false);
  await leases.hold(REQUEST, 2, unheld);
  leases.look(false);
  await clock.advance(4_000);
  leases.look(false);
  assertEquals(store.told, []);
  assertEquals([leases.get(1), leases.get(2) !== undefined], [undefined, true]);
});

Deno.test("A holder is told to stop over the link that it has now", async () => {
  const clock = new FakeClock();
  const store = new NotingStore(clock);
  const leases = new HeldLeases(store, clock, false);
  const told: string[] = [];
  const linkOf = (name: string) => (number: number, reason?: string) => {
    told.push(`${name} ${number} ${reason}`);
    return Promise.resolve(true);
  };
  await leases.hold(REQUEST, 1, linkOf("first"));
  await leases.hold(REQUEST, 2, linkOf("second"));
  await store.request?.onCancel("enough");
  assertEquals(told, ["second 2 enough"]);
});

/** Opens a store that relays share, with a log. */
async function openShared(clock: FakeClock): Promise<Store & { log: Log }> {
  const store = shareStore(new MemoryStore(UNBOUNDED, clock), { clock });
  await store.open();
  return Object.assign(store, { log: store.create("t", { isOpen: true }) });
}

Deno.test("A holder that comes by another relay takes its lease from the first", async () => {
  const clock = new FakeClock();
  await using store = await openShared(clock);
  const { log } = store;
  const { epoch } = log;
  const [first, second] = [1, 2].map(() =>
    new HeldLeases(store, clock, false)
  ) as [HeldLeases, HeldLeases];
  const request = { ...REQUEST, epoch };
  await first.hold(request, 1, unheld);
  const before = first.get(1)!; // it was taken
  const refused = await second.hold(request, 2, unheld).catch(({ code }) =>
    code
  );
  assertEquals(refused, "lease_held");
  await second.hold({ ...request, resumes: true }, 3, unheld);
  assertEquals([before.isHeld, second.get(3)?.isHeld], [false, true]);
  // An append by the first way that comes late is refused.
  const late = await Promise.try(() =>
    log.append([{ event: "message", data: "1", id: "" }], { lease: before })
  ).then(() => "taken", ({ code }) => code);
  assertEquals(late, "lease_lost");
  // Nobody else has it for that.
  const other = await Promise.try(() =>
    store.hold({
      ...{ ...request, holder: "other", resumes: true },
      onCancel: () => Promise.resolve(),
    })
  ).then(() => "taken", ({ code }) => code);
  assertEquals(other, "lease_held");
  // The first relay is gone, and its leases: the topic is not nobody's.
  for (let now = 0; now < 8_000; now += 500) {
    first.look(false);
    second.look(true);
    await clock.advance(500);
  }
  assertEquals([first.size, second.get(3)?.isHeld], [0, true]);
  const taken = await holdAsFiller(store, "t", log).catch(({ code }) => code);
  assertEquals(taken, "lease_held");
});
