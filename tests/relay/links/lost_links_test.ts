// Events that a relay has sent are kept once, at whatever moment its links are lost.
import { assert, assertEquals } from "@std/assert";
import { message, UNBOUNDED } from "../../../relay/testing/contract_world.ts";
import type { Store } from "../../../relay/topics/store.ts";
import { turns } from "../../../src/testing/turns.ts";
import {
  holdAsFiller,
  LinkedStores,
  ROOTS,
} from "../../support/links/linked_stores.ts";
import { LIMIT, until } from "../../support/within.ts";

/** Waits for something while the time of the relays goes on. */
async function passUntil<T>(
  { clock }: LinkedStores,
  promise: Promise<T>,
): Promise<T> {
  let isOver = false;
  const over = (): void => void (isOver = true);
  promise.then(over, over);
  await until(
    async () => {
      await clock.advance(50);
      return isOver || undefined;
    },
    LIMIT,
    "the links to be back",
  );
  return await promise;
}

async function dataOf(store: Store, name: string): Promise<string[]> {
  using log = store.find(name);
  assert(log);
  const { entries } = await log.read(1, { events: 1_000, bytes: 1e6 });
  return entries.map(({ event }) => event.data);
}

for (const root of ["memory", "SQLite"] as const) {
  Deno.test(`A filler's events are kept once if the links of two levels are lost with them (${root})`, async () => {
    await using world = await LinkedStores.open(ROOTS[root], UNBOUNDED, 2);
    const { store, middle } = world;
    using log = store.create("t", { isOpen: true });
    await log.settled();
    const lease = await passUntil(world, holdAsFiller(store, "t", log));
    const expected: string[] = [];
    for (let round = 0; round < 10; round++) {
      using between = middle.find("t");
      assert(between);
      world.cut(0);
      await until(
        () => middle.failure !== undefined || undefined,
        LIMIT,
        "the loss of the upper link",
      );
      const appended = ["a", "b"].map((data) => {
        expected.push(`${data} ${round}`);
        return log.append([message(`${data} ${round}`)], { lease });
      });
      // They are in the middle, which cannot pass them on.
      await until(
        () => between.settled() instanceof Promise || undefined,
        LIMIT,
        "the events to be in the middle",
      );
      world.cut(1);
      await passUntil(world, Promise.all(appended));
      await lease.renew();
    }
    assertEquals(await dataOf(world.root, "t"), expected);
    await lease.release();
  });

  Deno.test(`Events are kept once whenever the link is lost after they were sent (${root})`, async () => {
    await using world = await LinkedStores.open(ROOTS[root], UNBOUNDED);
    const { store } = world;
    using log = store.create("t", { isOpen: true });
    await log.settled();
    const lease = await passUntil(world, holdAsFiller(store, "t", log));
    const expected: string[] = [];
    for (let round = 0; round < 40; round++) {
      expected.push(`${round}`);
      const appended = log.append([message(`${round}`)], { lease });
      await turns(round % 10);
      world.cut();
      await passUntil(world, Promise.resolve(appended));
      await lease.renew();
    }
    assertEquals(await dataOf(world.root, "t"), expected);
    await lease.release();
  });

  Deno.test(`A topic and its first events are kept once whenever the link is lost after they were sent (${root})`, async () => {
    await using world = await LinkedStores.open(ROOTS[root], UNBOUNDED);
    const { store } = world;
    for (let round = 0; round < 30; round++) {
      using log = store.create(`t${round}`, { isOpen: true });
      const appended = ["1", "2"].map((data) => log.append([message(data)]));
      await turns(round % 10);
      world.cut();
      await passUntil(world, Promise.all(appended));
      assertEquals(await dataOf(world.root, `t${round}`), ["1", "2"]);
    }
  });
}
