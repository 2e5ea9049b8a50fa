// A parent that is there, while its own parent is away.
import { assert, assertEquals } from "@std/assert";
import type { ParentStore } from "../../../relay/stores/parent/parent_store.ts";
import { UNBOUNDED } from "../../../relay/testing/contract_world.ts";
import type { Log } from "../../../relay/topics/log.ts";
import { type Store, StoreError } from "../../../relay/topics/store.ts";
import {
  holdAsFiller,
  LinkedStores,
  ROOTS,
} from "../../support/links/linked_stores.ts";
import { LIMIT, until } from "../../support/within.ts";

function eventOf(data: string) {
  return { event: "message", data, id: "" };
}

async function append(store: Store, data: string): Promise<void> {
  using log = store.find("t");
  assert(log);
  await log.append([eventOf(data)]);
}

async function readAll(log: Log): Promise<string[]> {
  const found: string[] = [];
  while (found.length + 1 < log.next) {
    const from = found.length + 1;
    const { entries } = await log.read(from, { events: 10, bytes: 1e6 });
    found.push(...entries.map(({ event }) => event.data));
  }
  return found;
}

/** A store two levels below a root, which comes back to its parent while the root is away. */
async function comeBackTooEarly(world: LinkedStores): Promise<void> {
  const store = world.store as ParentStore; // what the world makes
  const middle = world.middle;
  await world.stopRoot();
  const isAway = (store: ParentStore) => store.failure !== undefined;
  await until(() => isAway(middle) || undefined, LIMIT, "the loss above");
  world.cut(1);
  await until(() => isAway(store) || undefined, LIMIT, "the loss");
  await until(() => !isAway(store) || undefined, LIMIT, "the link");
  // The answer comes behind those to all that was asked before.
  await store.call("any", "").catch(() => {});
}

/** Until something is so, while the time of the stores goes on. */
async function untilLater(
  world: LinkedStores,
  isSo: () => unknown,
  what: string,
): Promise<void> {
  await until(
    async () => {
      await world.clock.advance(100);
      return await isSo() || undefined;
    },
    LIMIT,
    what,
  );
}

Deno.test("A topic whose parent could say nothing of it, as its own was away, comes back", async () => {
  await using world = await LinkedStores.open(ROOTS.SQLite, UNBOUNDED, 2);
  using log = world.store.create("t", { isOpen: true });
  await log.append([eventOf("1")]);
  await comeBackTooEarly(world);
  assertEquals(log.upstream, { state: "retrying" });
  await world.startRoot();
  await append(world.root, "2");
  await untilLater(world, () => log.next === 3, "the event");
  assertEquals(log.upstream, { state: "open" });
  assertEquals(await readAll(log), ["1", "2"]);
});

Deno.test("A lease that a parent could say nothing of, as its own was away, is kept, and writes go on under it", async () => {
  await using world = await LinkedStores.open(ROOTS.SQLite, UNBOUNDED, 2);
  const { store } = world;
  using log = store.create("t", { isOpen: true });
  await log.append([eventOf("1")]);
  const lease = await holdAsFiller(store, "t", log);
  await log.append([eventOf("2")], { lease });
  await comeBackTooEarly(world);
  let appended: unknown;
  void Promise.resolve(log.append([eventOf("3")], { lease })).then(
    (result) => appended = result,
    (error) => appended = error,
  );
  await world.startRoot();
  await untilLater(
    world,
    async () => {
      await lease.renew();
      return appended;
    },
    "the append",
  );
  assertEquals(appended, { first: 3, count: 1, bytes: 8 });
  assertEquals(await readAll(log), ["1", "2", "3"]);
  await lease.release();
});

Deno.test("A topic that is made while the root is away is made when it is back", async () => {
  await using world = await LinkedStores.open(ROOTS.SQLite, UNBOUNDED, 2);
  const { store } = world;
  await comeBackTooEarly(world);
  using log = store.create("t", { isOpen: true });
  await world.startRoot();
  await untilLater(world, () => world.root.find("t"), "the topic");
  await append(world.root, "1");
  await untilLater(world, () => log.next === 2, "the event");
  assertEquals(await readAll(log), ["1"]);
});

Deno.test("An edge is told that a topic is gone, though it could not be looked up at first", async () => {
  await using world = await LinkedStores.open(ROOTS.memory, UNBOUNDED);
  const { root, store } = world;
  using log = store.create("t", { isOpen: true });
  await log.settled();
  let asked = 0;
  root.prepare = () =>
    asked++ < 2
      ? Promise.reject(new StoreError("away", "The store is away"))
      : undefined;
  await root.delete("t", log.epoch);
  const progress: string[] = [];
  const followed = (async () => {
    const { signal } = new AbortController();
    for await (const { kind } of log.follow(log.next, signal)) {
      progress.push(kind);
    }
  })();
  await untilLater(world, () => progress.at(-1) === "deleted", "the deletion");
  await followed;
  assertEquals(asked, 3);
});
