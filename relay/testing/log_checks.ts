import { deepEqual as assertEquals, ok as assert } from "node:assert/strict";
import type { StoredEnd } from "../topics/end.ts";
import type { TopicFacts } from "../topics/log.ts";
import { StaleWriterError } from "../topics/store.ts";
import {
  ALL,
  assertRejects,
  type Checks,
  EVERYTHING,
  findLog,
  message,
  NO_FACTS,
  readAll,
  readData,
  UNBOUNDED,
} from "./contract_world.ts";

/** Adds the checks of what a log keeps. */
export function addLogChecks(checks: Checks): void {
  checks.both("counts offsets from 1, without gaps", async ({ store }) => {
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

  checks.both(
    "keeps events as they came, with size and time",
    async (world) => {
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
    },
  );

  checks.both(
    "reads at most its budget, and one event at least",
    async (world) => {
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
    },
  );

  checks.both(
    "keeps many appends under way in their order",
    async ({ store }) => {
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
    },
  );

  checks.both(
    "ends a log after all that was appended before",
    async (world) => {
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
    },
  );

  checks.both("refuses an append that came second", async ({ store }) => {
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

  checks.each(
    "refuses what comes after an append that was refused",
    async (world) => {
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
    },
  );

  checks.both("keeps and changes facts", async ({ store }) => {
    const facts: TopicFacts = {
      source: "s",
      from: "now",
      owner: "o",
      filledBy: { kind: "run", provider: "p", endpoint: "responses" },
      run: {
        askedAt: 1_000,
        attempts: 2,
        retries: [{ at: 1_500, reason: "reset" }],
        usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 },
        caller: "left",
      },
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

  checks.both("keeps publications with their events", async ({ store }) => {
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

  checks.both(
    "adds a publication once that two writers have",
    async ({ store }) => {
      using log = store.create("a", NO_FACTS);
      const publish = async (value: string, before?: string) =>
        await log.append([message(value)], {
          publication: { key: "k", value, before: { value: before } },
        });
      const [first, second] = await Promise.allSettled([
        publish("1"),
        publish("2"),
      ]);
      assertEquals(first.status, "fulfilled");
      assert(second.status === "rejected");
      assert(second.reason instanceof StaleWriterError);
      await assertRejects(() => publish("3"), StaleWriterError);
      await publish("4", "1");
      return async (store) => {
        using log = await findLog(store, "a");
        assertEquals(await log.publication("k"), "4");
        assertEquals(log.next, 3);
        await assertRejects(async () => {
          const before = { value: "1" };
          const publication = { key: "k", value: "5", before };
          await log.append([message("5")], { publication });
        }, StaleWriterError);
      };
    },
  );

  checks.both("keeps the id of the last event", async ({ store }) => {
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

  checks.both("keeps holes, and reads none of them", async ({ store }) => {
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

  checks.both(
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

  checks.both(
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

  checks.both(
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

  checks.both("reads more than fits into memory", async ({ store }) => {
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
