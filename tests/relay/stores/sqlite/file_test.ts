import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { SqliteStore } from "../../../../relay/stores/sqlite/sqlite_store.ts";
import { MIGRATIONS } from "../../../../relay/stores/sqlite/migrations.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import {
  SqliteWorld,
  TemporaryFolder,
} from "../../../support/relay/sqlite_world.ts";
import { passTime } from "../../../support/pass_time.ts";
import { LIMIT, until } from "../../../support/within.ts";
import {
  findLog,
  message,
  NO_FACTS,
  readData,
  UNBOUNDED,
} from "../../../../relay/testing/contract_world.ts";

/** Counts the rows of a table of an open store. */
function rowsIn(path: string, table: string): number {
  using db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  return Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n);
}

/** Lets time pass until something holds of the file. */
async function untilHolds(
  world: SqliteWorld,
  ask: () => boolean,
  what: string,
): Promise<void> {
  await passTime(
    world.clock,
    until(() => ask() || undefined, LIMIT, what),
  );
}

const BIG = message("x".repeat(20_000));

Deno.test("SqliteStore removes the rows that retention has passed", async () => {
  await using world = await SqliteWorld.open({
    retention: { ...UNBOUNDED, maxEvents: 10 },
  });
  using log = world.store.create("a", NO_FACTS);
  for (let index = 1; index <= 100; index++) {
    await log.append([message(`${index}`)]);
  }
  // After the topic has rested, these are one row.
  await untilHolds(world, () => rowsIn(world.path, "ranges") <= 10, "10 rows");
  assertEquals((await readData(log))[0], "91");
});

Deno.test("SqliteStore removes what has become too old of topics that nobody uses", async () => {
  await using world = await SqliteWorld.open({
    retention: { ...UNBOUNDED, maxAge: 5_000 },
  });
  {
    using log = world.store.create("a", NO_FACTS);
    await log.append([message("1"), message("2")]);
  }
  assertEquals(world.store.counts.logs, 0);
  await untilHolds(world, () => rowsIn(world.path, "ranges") === 0, "no row");
  using log = await findLog(world.store, "a");
  assertEquals([log.first, log.next, log.bytes], [3, 3, 0]);
});

Deno.test("SqliteStore removes the rows of a topic that was deleted, and makes the file smaller", async () => {
  await using world = await SqliteWorld.open();
  const { store } = world;
  for (const name of ["a", "b"]) {
    using log = store.create(name, NO_FACTS);
    for (let index = 0; index < 100; index++) {
      await log.append([BIG], { publication: { key: `${index}`, value: "" } });
    }
    await log.skip?.(1, "evicted");
    await log.append([message("last")]);
  }
  await world.reopen();
  const { size } = Deno.statSync(world.path);
  const { epoch } = await findLog(world.store, "a");
  await world.store.delete("a", epoch);
  await untilHolds(world, () => rowsIn(world.path, "graves") === 0, "graves");
  assert(rowsIn(world.path, "ranges") <= 101);
  assertEquals(rowsIn(world.path, "holes"), 1);
  assertEquals(rowsIn(world.path, "publications"), 100);
  await untilHolds(
    world,
    () => world.store.counts.fileBytes < size * 0.7,
    "a smaller file",
  );
  await world.reopen();
  assert(Deno.statSync(world.path).size < size * 0.7);
  assertEquals((await readData(await findLog(world.store, "b"))).length, 101);
});

Deno.test("SqliteStore removes values that have expired", async () => {
  await using world = await SqliteWorld.open();
  await world.store.put("b", "k", "v", world.clock.now() + 100);
  await world.store.put("b", "l", "v", world.clock.now() + 1_000_000);
  await untilHolds(world, () => rowsIn(world.path, "entries") === 1, "a row");
});

Deno.test("SqliteStore keeps the last thousand publications of a topic", async () => {
  await using world = await SqliteWorld.open();
  using log = world.store.create("a", NO_FACTS);
  await Promise.all(
    Array.from({ length: 1_200 }, (_, index) =>
      log.append([message("")], {
        publication: { key: `${index}`, value: `${index}` },
      })),
  );
  assertEquals(rowsIn(world.path, "publications"), 1_000);
  assertEquals(await log.publication("199"), undefined);
  assertEquals(await log.publication("200"), "200");
});

Deno.test("SqliteStore copies itself while it is written", async () => {
  await using world = await SqliteWorld.open();
  using log = world.store.create("a", NO_FACTS);
  using ended = world.store.create("ended", NO_FACTS);
  await ended.end({ status: "complete", isWhole: true, at: 0 });
  const copy = `${world.folder.path}/copy.db`;
  let count = 0;
  let isOver = false;
  const feed = (async () => {
    while (!isOver) await log.append([message(`${++count}`)]);
  })();
  await until(() => count > 50 || undefined, LIMIT, "some events");
  const { next } = log;
  await world.store.backup(copy);
  isOver = true;
  await feed;
  await using store = new SqliteStore({
    path: copy,
    sync: "full",
    retention: UNBOUNDED,
    clock: new FakeClock(),
  });
  await store.open();
  const found = await findLog(store, "a");
  assertNotEquals(found.epoch, log.epoch, "more was shown of it");
  assertEquals((await findLog(store, "ended")).epoch, ended.epoch);
  assertEquals((Deno.statSync(copy).mode ?? 0o600) & 0o777, 0o600);
  assert(found.next >= next);
  const data = await readData(found);
  assertEquals(data, data.map((_, index) => `${index + 1}`));
});

Deno.test("SqliteStore has no topic in memory that nobody uses", async () => {
  await using world = await SqliteWorld.open();
  for (let index = 0; index < 20; index++) {
    using log = world.store.create(`t${index}`, NO_FACTS);
    await log.append([BIG]);
  }
  await until(
    () => world.store.counts.logs === 0 || undefined,
    LIMIT,
    "no log in use",
  );
  assertEquals(world.store.counts.windowBytes, 0);
  assertEquals(world.store.size, 20);
});

Deno.test("SqliteStore holds no more of events in memory than it may", async () => {
  await using world = await SqliteWorld.open({ windowBytes: 200_000 });
  const logs = Array.from(
    { length: 30 },
    (_, index) => world.store.create(`t${index}`, NO_FACTS),
  );
  for (const log of logs) await log.append([BIG]);
  assert(world.store.counts.windowBytes < 200_000);
  for (const log of logs) {
    assertEquals(await readData(log), [BIG.data]);
    log[Symbol.dispose]();
  }
});

for (let version = 1; version <= MIGRATIONS.length; version++) {
  Deno.test(`SqliteStore opens a file of version ${version}`, async () => {
    await using folder = new TemporaryFolder();
    const path = `${folder.path}/store.db`;
    const fixture = new URL(
      `../../../../fixtures/stores/version_${version}.db`,
      import.meta.url,
    );
    Deno.copyFileSync(fixture, path);
    await using store = new SqliteStore({
      path,
      sync: "full",
      retention: UNBOUNDED,
      clock: new FakeClock(),
    });
    await store.open();
    assertEquals(store.size, 2);
    const open = await findLog(store, "open");
    assertEquals([open.epoch, open.first, open.next], ["Zml4dHVyZTAw", 1, 7]);
    assertEquals({ ...open.facts }, {
      source: "a fixture",
      owner: "owner",
      isOpen: true,
      filling: "{}",
    });
    assertEquals(await readData(open), ["1", "2", "6"]);
    assertEquals(open.holeAt?.(3), { from: 3, to: 5, reason: "evicted" });
    assertEquals(await open.publication("key"), "value");
    assertEquals(open.lastId, "6");
    const ended = await findLog(store, "ended");
    assertEquals({ ...ended.ended }, {
      status: "failed",
      reason: "Out of tokens",
      isWhole: true,
      at: 5,
    });
    assertEquals(store.get("bucket", "key"), "value");
    assertEquals((await open.append([message("7")])).first, 7);
  });
}
