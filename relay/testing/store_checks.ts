import { deepEqual as assertEquals, ok as assert } from "node:assert/strict";
import { StaleWriterError, type StoredTopic } from "../topics/store.ts";
import {
  assertRejects,
  type Checks,
  EVERYTHING,
  find,
  findLog,
  message,
  NO_FACTS,
  readData,
  until,
} from "./contract_world.ts";

function namesOf(topics: readonly StoredTopic[]): string[] {
  return topics.map(({ name }) => name);
}

/** Adds the checks of what a store keeps besides logs. */
export function addStoreChecks(checks: Checks): void {
  checks.both("lists topics in the order of their names", async ({ store }) => {
    for (const name of ["b", "a", "c:2", "c:1", "c:3", "d"]) {
      using log = store.create(name, NO_FACTS);
      if (name === "c:2") {
        await log.append([message("x")]);
        await log.end({ status: "complete", isWhole: true, at: 5 });
      }
      await log.settled();
    }
    return async (store) => {
      const list = async (query: Partial<typeof EVERYTHING>) =>
        namesOf(await store.list({ ...EVERYTHING, ...query }));
      assertEquals(await list({}), ["a", "b", "c:1", "c:2", "c:3", "d"]);
      assertEquals(await list({ prefix: "c:" }), ["c:1", "c:2", "c:3"]);
      assertEquals(await list({ prefix: "c:", after: "c:1", limit: 1 }), [
        "c:2",
      ]);
      assertEquals(await list({ after: "c:3" }), ["d"]);
      assertEquals(
        namesOf(await store.listUnended({ ...EVERYTHING, prefix: "c" })),
        ["c:1", "c:3"],
      );
      const [ended] = await store.list({ ...EVERYTHING, prefix: "c:2" });
      assertEquals([ended?.first, ended?.next, ended?.bytes], [1, 2, 8]);
      assertEquals(ended?.end?.status, "complete");
      assertEquals(ended?.end?.reason, undefined);
    };
  });

  checks.both(
    "deletes a topic, and no other of its name",
    async ({ store }) => {
      using old = store.create("a", NO_FACTS);
      await old.append([message("old")]);
      await store.delete("a", "another");
      assert(await find(store, "a"));
      await store.delete("a", old.epoch);
      assertEquals(await find(store, "a"), undefined);
      using log = store.create("a", NO_FACTS);
      assert(log.epoch !== old.epoch);
      await store.delete("a", old.epoch);
      await log.append([message("new")]);
      if (store.isLasting) {
        await assertRejects(
          async () => await old.append([message("x")]),
          StaleWriterError,
        );
      }
      await store.delete("b", "none");
      return async (store) => {
        using log = await findLog(store, "a");
        assertEquals(await readData(log), ["new"]);
      };
    },
  );

  checks.both("deletes what has ended before a time", async ({ store }) => {
    for (const [at, name] of ["c", "b", "a", "open"].entries()) {
      using log = store.create(name, NO_FACTS);
      await log.append([message(name)]);
      if (name === "open") continue;
      await log.end({ status: "complete", isWhole: true, at: at * 10 });
    }
    const remaining = async () => namesOf(await store.list(EVERYTHING));
    await store.deleteEnded(-1);
    assertEquals(await remaining(), ["a", "b", "c", "open"]);
    // A store may forget some at a time.
    await until(async () => {
      await store.deleteEnded(15);
      return (await remaining()).length === 2;
    }, "two topics to be forgotten");
    return async (store) => {
      assertEquals(namesOf(await store.list(EVERYTHING)), ["a", "open"]);
      assertEquals(await find(store, "b"), undefined);
    };
  });

  checks.both(
    "gives the name of an ended log to the one that follows it",
    async (world) => {
      const { store, clock } = world;
      using first = store.create("a", NO_FACTS);
      await first.append([message("old")]);
      await first.end({ status: "failed", isWhole: false, at: clock.now() });
      using second = store.create("a", { isOpen: false, follows: first.epoch });
      await second.append([message("new")]);
      const epochs = [first.epoch, second.epoch] as const;
      return async (store) => {
        using current = await findLog(store, "a");
        assertEquals(current.epoch, epochs[1]);
        assertEquals(current.facts.follows, epochs[0]);
        assertEquals(await readData(current), ["new"]);
        using former = await find(store, "a", epochs[0]);
        assert(former);
        assertEquals(await readData(former), ["old"]);
        assertEquals(former.ended?.status, "failed");
        using same = await find(store, "a", epochs[1]);
        assertEquals(same?.epoch, epochs[1]);
        const list = await store.list(EVERYTHING);
        assertEquals(list.map(({ epoch }) => epoch), [epochs[1]]);
        const unended = await store.listUnended(EVERYTHING);
        assertEquals(unended.map(({ epoch }) => epoch), [epochs[1]]);
      };
    },
  );

  checks.both(
    "gives the name back when the log that follows is deleted",
    async (world) => {
      const { store, clock } = world;
      let epoch: string;
      {
        using first = store.create("a", NO_FACTS);
        epoch = first.epoch;
        await first.append([message("old")]);
        await first.end({ status: "complete", isWhole: true, at: clock.now() });
      }
      using second = store.create("a", { isOpen: false, follows: epoch });
      await second.settled();
      const deleted = store.delete("a", second.epoch);
      // At once: nobody is told that there is no such topic.
      assertEquals((await findLog(store, "a")).epoch, epoch);
      // So a topic that follows it may come before that is done.
      using third = store.create("a", { isOpen: false, follows: epoch });
      await third.settled();
      await deleted;
      await store.delete("a", third.epoch);
      return async (store) => {
        using log = await findLog(store, "a");
        assertEquals(log.epoch, epoch);
        assertEquals(await readData(log), ["old"]);
        assertEquals(namesOf(await store.list(EVERYTHING)), ["a"]);
      };
    },
  );

  checks.both("forgets a former log alone", async ({ store, clock }) => {
    using first = store.create("a", NO_FACTS);
    await first.end({ status: "complete", isWhole: true, at: clock.now() });
    using second = store.create("a", { isOpen: false, follows: first.epoch });
    await second.settled();
    await store.delete("a", first.epoch);
    await store.delete("a", "no-such-epoch");
    const epochs = [first.epoch, second.epoch] as const;
    return async (store) => {
      assertEquals(await find(store, "a", epochs[0]), undefined);
      assertEquals((await findLog(store, "a")).epoch, epochs[1]);
    };
  });

  checks.both("keeps values until they expire", async ({ store, clock }) => {
    const now = clock.now();
    await store.put("one", "k", "1", now + 100);
    await store.put("two", "k", "2", now + 1_000);
    await store.put("one", "l", "3", now + 1_000);
    await store.put("one", "l", "4", now + 1_000);
    assertEquals(await store.get("one", "k"), "1");
    await clock.advance(100);
    return async (store) => {
      assertEquals(await store.get("one", "k"), undefined);
      assertEquals(await store.get("two", "k"), "2");
      assertEquals(await store.get("one", "l"), "4");
      assertEquals(await store.get("three", "k"), undefined);
    };
  });

  checks.both(
    "keeps a topic that nothing was appended to",
    async ({ store }) => {
      using log = store.create("a", { isOpen: true });
      await log.settled();
      return async (store) => {
        using log = await findLog(store, "a");
        assertEquals([log.first, log.next, log.ended], [1, 1, undefined]);
        assertEquals(log.facts.isOpen, true);
        assertEquals(namesOf(await store.listUnended(EVERYTHING)), ["a"]);
      };
    },
  );
}
