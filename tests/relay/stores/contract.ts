import { assert, assertEquals, assertRejects } from "@std/assert";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { FakeClock } from "../../../src/testing/fake_clock.ts";
import type { StoredEnd } from "../../../relay/topics/end.ts";
import type {
  Log,
  LogEntry,
  ReadBudget,
  Retention,
  TopicFacts,
} from "../../../relay/topics/log.ts";
import {
  StaleWriterError,
  type Store,
  type StoredTopic,
} from "../../../relay/topics/store.ts";
import { LIMIT, until } from "../../support/within.ts";

/** A store to test, which is open. */
export interface ContractWorld extends AsyncDisposable {
  /** The store. */
  readonly store: Store;
  /** The clock of the store. */
  readonly clock: FakeClock;
  /** Closes the store and opens what it has left. Not there if it leaves nothing. */
  reopen?(): Promise<void>;
}

/** What is tested, and with what. */
export interface ContractOptions {
  /** The name of the store's class: the names of the tests begin with it. */
  readonly name: string;
  /** Registers a test. */
  readonly test: (name: string, run: () => Promise<void>) => void;
  /** Makes an empty store. */
  readonly open: (retention: Retention) => Promise<ContractWorld>;
}

/** Retention that gives nothing up. */
export const UNBOUNDED: Retention = {
  maxEvents: Infinity,
  maxBytes: Infinity,
  maxAge: Infinity,
};

/** Reads all that there is. */
const ALL: ReadBudget = { events: Infinity, bytes: Infinity };

/** The facts of a topic that is pending, and of which nothing is known. */
export const NO_FACTS: TopicFacts = { isOpen: false };

const EVERYTHING = { after: "", prefix: "", limit: 1_000 };

/** Makes an event with no more than its data. */
export function message(data: string): ServerSentEvent {
  return { event: "message", data, id: "" };
}

/** Finds the log of a topic that has to be there. */
export async function findLog(store: Store, name: string): Promise<Log> {
  const log = await store.find(name);
  assert(log, `expected topic '${name}'`);
  return log;
}

/** Reads all events that are kept, by offset; holes are left out. */
export async function readAll(
  log: Log,
  budget: ReadBudget = ALL,
): Promise<Map<number, LogEntry>> {
  const all = new Map<number, LogEntry>();
  for (let offset = log.first; offset < log.next;) {
    const hole = log.holeAt?.(offset);
    if (hole) {
      offset = hole.to + 1;
      continue;
    }
    const range = await log.read(offset, budget);
    assertEquals(range.offset, offset);
    assert(range.entries.length > 0, "a range has an event");
    assert(range.entries.length <= budget.events);
    for (const entry of range.entries) all.set(offset++, entry);
  }
  return all;
}

/** Reads the data of all events that are kept. */
export async function readData(log: Log): Promise<string[]> {
  return [...(await readAll(log)).values()].map(({ event }) => event.data);
}

function namesOf(topics: readonly StoredTopic[]): string[] {
  return topics.map(({ name }) => name);
}

/** Registers the tests that every store has to pass. */
export function testStore({ name, test, open }: ContractOptions): void {
  /** Runs a test, and the end of it with the store opened again where it can be. */
  function both(
    what: string,
    run: (world: ContractWorld) => Promise<(store: Store) => Promise<void>>,
    retention = UNBOUNDED,
  ): void {
    test(`${name} ${what}`, async () => {
      await using world = await open(retention);
      const check = await run(world);
      await check(world.store);
      if (!world.reopen) return;
      await world.reopen();
      await check(world.store);
    });
  }

  both("counts offsets from 1, without gaps", async ({ store }) => {
    using log = store.create("a", NO_FACTS);
    assertEquals([log.first, log.next, log.bytes], [1, 1, 0]);
    assertEquals(await log.append([message("a"), message("bc")]), {
      first: 1,
      count: 2,
      bytes: 2 * "message".length + 3,
    });
    assertEquals((await log.append([message("d")])).first, 3);
    const { epoch } = log;
    return async (store) => {
      using log = await findLog(store, "a");
      assertEquals([log.epoch, log.first, log.next], [epoch, 1, 4]);
      assertEquals(log.bytes, 3 * "message".length + 4);
      assertEquals(await readData(log), ["a", "bc", "d"]);
      const { offset, entries } = await log.read(2, ALL);
      assertEquals(offset, 2);
      assertEquals(entries[0]?.event.data, "bc");
    };
  });

  both("keeps events as they came, with size and time", async (world) => {
    const { store, clock } = world;
    const events = [
      message('a"\n\u2028\0'),
      { event: "x", data: "", id: "" },
      { event: "message", data: "é", id: "7" },
      { event: "𝄞", data: "\ud800", id: "\udfff" },
      message("x".repeat(100_000)),
    ];
    using log = store.create("a", NO_FACTS);
    const start = clock.now();
    await log.append(events.slice(0, 2));
    await clock.advance(7);
    await log.append(events.slice(2));
    return async (store) => {
      using log = await findLog(store, "a");
      const entries = [...(await readAll(log)).values()];
      assertEquals(entries.map(({ event }) => event), events);
      assertEquals(
        entries.map(({ size }) => size),
        [14, 1, 10, 10, 100_007],
      );
      assertEquals(
        entries.map(({ time }) => time - start),
        [0, 0, 7, 7, 7],
      );
    };
  });

  both("reads at most its budget, and one event at least", async (world) => {
    using log = world.store.create("a", NO_FACTS);
    const sized = message("x".repeat(93)); // 100 bytes
    await log.append(Array.from({ length: 10 }, () => sized));
    return async (store) => {
      using log = await findLog(store, "a");
      const count = async (events: number, bytes: number): Promise<number> =>
        (await log.read(3, { events, bytes })).entries.length;
      assertEquals(await count(3, Infinity), 3);
      assertEquals(await count(100, 299), 2);
      assertEquals(await count(100, 300), 3);
      assertEquals(await count(100, 1), 1);
      assertEquals(await count(100, Infinity), 8);
    };
  });

  both("keeps many appends under way in their order", async ({ store }) => {
    using log = store.create("a", NO_FACTS);
    let shown = 0;
    const appends = Array.from({ length: 100 }, async (_, index) => {
      const { first } = await log.append([message(`${index}`)]);
      assertEquals(first, index + 1);
      assertEquals(++shown, index + 1, "in the order of the calls");
      assert(log.next > first, "what is acknowledged is there");
    });
    await Promise.all(appends);
    return async (store) => {
      using log = await findLog(store, "a");
      assertEquals(
        await readData(log),
        Array.from({ length: 100 }, (_, index) => `${index}`),
      );
    };
  });

  both("ends a log after all that was appended before", async (world) => {
    const { store, clock } = world;
    using log = store.create("a", NO_FACTS);
    const at = clock.now();
    const end: StoredEnd = {
      status: "failed",
      reason: "Out of tokens",
      isWhole: true,
      at,
    };
    const append = log.append([message("a"), message("b")]);
    const ending = log.end(end);
    await Promise.all([append, ending]);
    assertEquals(log.ended, end);
    await log.end({ status: "complete", isWhole: false, at: at + 1 });
    return async (store) => {
      using log = await findLog(store, "a");
      assertEquals({ ...log.ended }, { ...end }, "the first end stands");
      assertEquals(await readData(log), ["a", "b"]);
      assertEquals(await store.listUnended(EVERYTHING), []);
      const error = await assertRejects(
        async () => await log.append([message("late")]),
        StaleWriterError,
      );
      assertEquals(error.next, undefined);
      assertEquals(log.next, 3);
    };
  });

  both("refuses an append that came second", async ({ store }) => {
    using first = store.create("a", NO_FACTS);
    await first.settled();
    using second = await findLog(store, "a");
    await first.append([message("a"), message("b")], { expected: 1 });
    const error = await assertRejects(
      async () => await second.append([message("x")], { expected: 1 }),
      StaleWriterError,
    );
    assertEquals([error.topic, error.expected, error.next], ["a", 1, 3]);
    using third = await findLog(store, "a");
    await third.append([message("c")], { expected: 3 });
    return async (store) => {
      using log = await findLog(store, "a");
      assertEquals(await readData(log), ["a", "b", "c"]);
    };
  });

  test(`${name} refuses what comes after an append that was refused`, async () => {
    await using world = await open(UNBOUNDED);
    using log = world.store.create("a", NO_FACTS);
    await log.append([message("a")]);
    const end = { status: "complete", isWhole: true, at: 0 } as const;
    let refused: unknown[];
    try {
      refused = [log.append([message("x")], { expected: 1 })];
    } catch (error) {
      // The writer knows before it can say anything else.
      assert(error instanceof StaleWriterError);
      return;
    }
    refused.push(log.append([message("y")]), log.end(end));
    for (const result of refused) {
      await assertRejects(async () => await result, StaleWriterError);
    }
    using again = await findLog(world.store, "a");
    assertEquals(again.ended, undefined);
    assertEquals((await again.append([message("b")])).first, 2);
    assertEquals(await readData(again), ["a", "b"]);
  });

  both("keeps and changes facts", async ({ store }) => {
    const facts: TopicFacts = {
      source: "s",
      from: "now",
      owner: "o",
      isOpen: false,
    };
    using log = store.create("a", facts);
    await log.settled();
    assertEquals({ ...log.facts }, facts);
    const changed: TopicFacts = { ...facts, isOpen: true, filling: "{}" };
    await log.update(changed);
    assertEquals({ ...log.facts }, changed);
    const { createdAt, epoch } = log;
    return async (store) => {
      using log = await findLog(store, "a");
      assertEquals({ ...log.facts }, changed);
      assertEquals(log.createdAt, createdAt);
      const [topic] = await store.list(EVERYTHING);
      assertEquals({ ...topic?.facts }, changed);
      assertEquals([topic?.epoch, topic?.createdAt], [epoch, createdAt]);
    };
  });

  both("keeps publications with their events", async ({ store }) => {
    using log = store.create("a", NO_FACTS);
    const publish = (key: string, value: string) =>
      log.append([message(value)], { publication: { key, value } });
    await Promise.all([publish("k", "1"), publish("l", "2")]);
    assertEquals(await log.publication("k"), "1");
    await publish("k", "3");
    return async (store) => {
      using log = await findLog(store, "a");
      assertEquals(await log.publication("k"), "3");
      assertEquals(await log.publication("l"), "2");
      assertEquals(await log.publication("m"), undefined);
    };
  });

  both("keeps the id of the last event", async ({ store }) => {
    using log = store.create("a", NO_FACTS);
    assertEquals(log.lastId, "");
    await log.append([{ ...message("a"), id: "7" }, {
      ...message("b"),
      id: "8",
    }]);
    return async (store) => {
      using log = await findLog(store, "a");
      assertEquals(log.lastId, "8");
    };
  });

  both("keeps holes, and reads none of them", async ({ store }) => {
    using log = store.create("a", NO_FACTS);
    if (!log.skip || !log.holeAt) return async () => {};
    await log.skip(2, "evicted");
    await log.append([message("3"), message("4")]);
    await Promise.all([
      log.skip(3, "evicted"),
      log.skip(1, "slow"),
      log.append([message("9")]),
    ]);
    return async (store) => {
      using log = await findLog(store, "a");
      assertEquals([log.first, log.next], [3, 10]);
      assertEquals([...(await readAll(log)).keys()], [3, 4, 9]);
      assertEquals((await log.read(3, ALL)).entries.length, 2);
      assertEquals(log.holeAt?.(4), undefined);
      assertEquals(log.holeAt?.(5), { from: 5, to: 8, reason: "slow" });
      assertEquals(log.holeAt?.(7), { from: 7, to: 8, reason: "slow" });
      assertEquals(log.holeAt?.(9), undefined);
    };
  });

  both(
    "gives up events by count",
    async ({ store }) => {
      using log = store.create("a", NO_FACTS);
      for (const data of ["1", "2", "3", "4", "5", "6"]) {
        await log.append([message(data)]);
      }
      return async (store) => {
        using log = await findLog(store, "a");
        assertEquals([log.first, log.next], [3, 7]);
        assertEquals(await readData(log), ["3", "4", "5", "6"]);
      };
    },
    { ...UNBOUNDED, maxEvents: 4 },
  );

  both(
    "gives up events by bytes, but not the newest",
    async ({ store }) => {
      const sized = (size: number) =>
        message("x".repeat(size - "message".length));
      using log = store.create("a", NO_FACTS);
      await log.append([sized(50), sized(50), sized(50)]);
      assertEquals([log.first, log.bytes], [1, 150]);
      await log.append([sized(250)]);
      assertEquals([log.first, log.bytes], [2, 350]);
      await log.append([sized(1_000)]);
      return async (store) => {
        using log = await findLog(store, "a");
        assertEquals([log.first, log.next, log.bytes], [5, 6, 1_000]);
        assertEquals((await readAll(log)).size, 1);
      };
    },
    { ...UNBOUNDED, maxBytes: 350 },
  );

  both(
    "gives up events by age, the newest too",
    async ({ store, clock }) => {
      using log = store.create("a", NO_FACTS);
      await log.append([message("1"), message("2")]);
      await clock.advance(600);
      await log.append([message("3")]);
      await clock.advance(400);
      await log.append([message("4")]);
      assertEquals([log.first, log.next], [1, 5], "no older than they may be");
      await clock.advance(1);
      log.trim();
      await log.settled();
      assertEquals([log.first, log.next], [3, 5]);
      await clock.advance(1_000);
      log.trim();
      await log.settled();
      return async (store) => {
        using log = await findLog(store, "a");
        assertEquals([log.first, log.next, log.bytes], [5, 5, 0]);
      };
    },
    { ...UNBOUNDED, maxAge: 1_000 },
  );

  both("lists topics in the order of their names", async ({ store }) => {
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

  both("deletes a topic, and no other of its name", async ({ store }) => {
    using old = store.create("a", NO_FACTS);
    await old.append([message("old")]);
    await store.delete("a", "another");
    assert(await store.find("a"));
    await store.delete("a", old.epoch);
    assertEquals(await store.find("a"), undefined);
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
  });

  both("deletes what has ended before a time", async ({ store }) => {
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
    await until(
      async () => {
        await store.deleteEnded(15);
        return (await remaining()).length === 2 || undefined;
      },
      LIMIT,
      "two topics to be forgotten",
    );
    return async (store) => {
      assertEquals(namesOf(await store.list(EVERYTHING)), ["a", "open"]);
      assertEquals(await store.find("b"), undefined);
    };
  });

  both(
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
        using former = await store.find("a", epochs[0]);
        assert(former);
        assertEquals(await readData(former), ["old"]);
        assertEquals(former.ended?.status, "failed");
        using same = await store.find("a", epochs[1]);
        assertEquals(same?.epoch, epochs[1]);
        const list = await store.list(EVERYTHING);
        assertEquals(list.map(({ epoch }) => epoch), [epochs[1]]);
        const unended = await store.listUnended(EVERYTHING);
        assertEquals(unended.map(({ epoch }) => epoch), [epochs[1]]);
      };
    },
  );

  both(
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

  both("forgets a former log alone", async ({ store, clock }) => {
    using first = store.create("a", NO_FACTS);
    await first.end({ status: "complete", isWhole: true, at: clock.now() });
    using second = store.create("a", { isOpen: false, follows: first.epoch });
    await second.settled();
    await store.delete("a", first.epoch);
    await store.delete("a", "no-such-epoch");
    const epochs = [first.epoch, second.epoch] as const;
    return async (store) => {
      assertEquals(await store.find("a", epochs[0]), undefined);
      assertEquals((await findLog(store, "a")).epoch, epochs[1]);
    };
  });

  both("keeps values until they expire", async ({ store, clock }) => {
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

  both("keeps a topic that nothing was appended to", async ({ store }) => {
    using log = store.create("a", { isOpen: true });
    await log.settled();
    return async (store) => {
      using log = await findLog(store, "a");
      assertEquals([log.first, log.next, log.ended], [1, 1, undefined]);
      assertEquals(log.facts.isOpen, true);
      assertEquals(namesOf(await store.listUnended(EVERYTHING)), ["a"]);
    };
  });

  both("reads more than fits into memory", async ({ store }) => {
    using log = store.create("a", NO_FACTS);
    const count = 3_000;
    const data = (index: number): string => `${index}`.padEnd(400, "x");
    for (let index = 0; index < count; index += 50) {
      await log.append(
        Array.from({ length: 50 }, (_, at) => message(data(index + at))),
      );
    }
    return async (store) => {
      using log = await findLog(store, "a");
      const budget = { events: 512, bytes: 32 * 1024 };
      const readers = [1, 1, 700, 2_999].map(async (from) => {
        for (let offset = from; offset < log.next;) {
          const { entries } = await log.read(offset, budget);
          for (const { event } of entries) {
            assertEquals(event.data, data(offset++ - 1));
          }
        }
      });
      await Promise.all(readers);
    };
  });
}
