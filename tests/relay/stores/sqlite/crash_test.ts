import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { DatabaseSync } from "node:sqlite";
import { copyFileSync, statSync, truncateSync } from "node:fs";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { SqliteStore } from "../../../../relay/stores/sqlite/sqlite_store.ts";
import type { Boot } from "../../../../relay/stores/sqlite/boot.ts";
import {
  SqliteWorld,
  TemporaryFolder,
} from "../../../support/relay/sqlite_world.ts";
import { LIMIT, within } from "../../../support/within.ts";
import { seedOf } from "../../../support/property.ts";
import {
  findLog,
  message,
  NO_FACTS,
  readAll,
  readData,
  UNBOUNDED,
} from "../../../../relay/testing/contract_world.ts";

/** The number of kills: `RIVULET_KILLS=300 deno task test ...`. */
const KILLS = Number(Deno.env.get("RIVULET_KILLS") ?? 10);

const BOOT: Boot = { kind: "id", id: "first" };
const OTHER_BOOT: Boot = { kind: "id", id: "second" };

async function openStore(
  path: string,
  sync: "full" | "normal",
  boot: Boot = BOOT,
): Promise<SqliteStore> {
  const store = new SqliteStore({
    path,
    sync,
    retention: UNBOUNDED,
    clock: new FakeClock(),
    findBoot: () => boot,
  });
  await store.open();
  return store;
}

/** The acknowledged state of a topic. */
interface Acknowledged {
  epoch: string;
  last: number;
}

/** Lets a program fill the store until it has said some lines, and kills it. */
async function fillAndKill(
  path: string,
  sync: string,
  lines: number,
  said: Map<string, Acknowledged>,
  ahead: number,
): Promise<void> {
  const program = new URL("store_program.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program, path, sync, "5", `${ahead}`],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let left = lines;
  // Everything printed before the kill counts.
  const output = child.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of output) {
    const [name = "", epoch = "", last = ""] = line.split(" ");
    const before = said.get(name);
    if (before) assertEquals(epoch, before.epoch, "an epoch stays");
    // The last line may be cut off.
    if (/^\d+$/.test(last) && epoch.length >= 8) {
      said.set(name, { epoch, last: Math.max(before?.last ?? 0, +last) });
    }
    if (--left === 0) child.kill("SIGKILL");
  }
  await child.status;
}

function largestRow(path: string): number {
  using db = new DatabaseSync(path);
  return Number(db.prepare("SELECT max(count) AS n FROM ranges").get()?.n);
}

for (const sync of ["full", "normal"] as const) {
  Deno.test(`SqliteStore (${sync}) keeps what it has acknowledged when its process is killed`, async () => {
    await using folder = new TemporaryFolder();
    const path = `${folder.path}/store.db`;
    const seed = seedOf(`kills (${sync})`);
    const said = new Map<string, Acknowledged>();
    for (let round = 0; round < KILLS; round++) {
      const lines = 6 + Math.abs(seed * (round + 1) * 7_919) % 600;
      await within(
        // To each program, the topics rest since the last one: it merges their rows.
        fillAndKill(path, sync, lines, said, round * 60_000),
        LIMIT,
        `round ${round}`,
      );
    }
    // Small rows were merged meanwhile.
    assert(largestRow(path) > 100, `${largestRow(path)} events in a row`);
    await using store = await openStore(path, sync);
    // The programs had the boot of this machine: in `normal` that is another.
    if (sync === "full") {
      for (const [name, { epoch }] of said) {
        assertEquals((await findLog(store, name)).epoch, epoch);
      }
    }
    assertEquals(store.size, 5);
    for (const [name, { last }] of said) {
      const log = await findLog(store, name);
      assert(log.next > last, `${name} has ${log.next}, and said ${last}`);
      assertEquals(log.first, 1);
      const all = await readAll(log);
      assertEquals(all.size, log.next - 1);
      for (const [offset, { event }] of all) {
        assertEquals(event.data, `${name}:${offset}`);
      }
    }
  });
}

/** Copies a store's files as they are while it writes, as a loss of power would leave them. */
async function tear(
  store: SqliteStore,
  path: string,
  copy: string,
  keep: number,
): Promise<void> {
  const log = store.create("a", NO_FACTS);
  const appends: Promise<unknown>[] = [];
  for (let index = 1; index <= 400; index++) {
    appends.push(Promise.resolve(log.append([message(`${index}`)])));
    if (index % 50 !== 0) continue;
    await Promise.all(appends);
  }
  using done = store.create("done", NO_FACTS);
  await done.end({ status: "complete", isWhole: true, at: 0 });
  appends.push(Promise.resolve(log.append([message("401")])));
  copyFileSync(path, copy);
  copyFileSync(`${path}-wal`, `${copy}-wal`);
  const { size } = statSync(`${copy}-wal`);
  truncateSync(`${copy}-wal`, Math.floor(size * keep));
  await Promise.all(appends);
}

Deno.test("SqliteStore opens a file whole of which the last page is torn", async () => {
  const seed = seedOf("tears");
  for (let round = 0; round < 5; round++) {
    await using world = await SqliteWorld.open();
    const copy = `${world.path}.copy`;
    const keep = 0.2 + (Math.abs(seed * (round + 3)) % 800) / 1_000;
    await tear(world.store, world.path, copy, keep);
    {
      using db = new DatabaseSync(copy);
      const [check] = db.prepare("PRAGMA integrity_check").all();
      assertEquals({ ...check }, { integrity_check: "ok" });
    }
    await using store = await openStore(copy, "full");
    const log = store.find("a");
    if (!log) continue;
    const data = await readData(log);
    assertEquals(data, data.map((_, index) => `${index + 1}`));
    assertEquals(log.next, data.length + 1);
    await log.append([message("more")]);
  }
});

Deno.test("SqliteStore (normal) gives logs that go on a new epoch after a loss of power", async () => {
  for (
    const [boot, isRenewed] of [[BOOT, false], [OTHER_BOOT, true]] as const
  ) {
    await using world = await SqliteWorld.open({
      sync: "normal",
      findBoot: () => BOOT,
    });
    const copy = `${world.path}.copy`;
    await tear(world.store, world.path, copy, isRenewed ? 0.9 : 1);
    await using store = await openStore(copy, "normal", boot);
    const log = await findLog(store, "a");
    const { epoch } = await findLog(world.store, "a");
    if (isRenewed) assertNotEquals(log.epoch, epoch);
    else assertEquals(log.epoch, epoch);
    const data = await readData(log);
    assertEquals(data, data.map((_, index) => `${index + 1}`));
    const done = store.find("done");
    if (!done?.ended) continue;
    assertEquals(done.epoch, (await findLog(world.store, "done")).epoch);
  }
});

Deno.test("SqliteStore (normal) keeps epochs over a restart of the machine after it was closed", async () => {
  await using folder = new TemporaryFolder();
  const path = `${folder.path}/store.db`;
  const open = (boot: Boot) => openStore(path, "normal", boot);
  let epoch: string;
  {
    await using store = await open(BOOT);
    const log = store.create("a", NO_FACTS);
    await log.append([message("a")]);
    epoch = log.epoch;
  }
  await using store = await open(OTHER_BOOT);
  assertEquals((await findLog(store, "a")).epoch, epoch);
});

Deno.test("SqliteStore (full) keeps epochs over a loss of power", async () => {
  await using world = await SqliteWorld.open({ findBoot: () => BOOT });
  const copy = `${world.path}.copy`;
  await tear(world.store, world.path, copy, 1);
  await using store = await openStore(copy, "full", OTHER_BOOT);
  const { epoch } = await findLog(world.store, "a");
  assertEquals((await findLog(store, "a")).epoch, epoch);
});
