import { assert, assertEquals, assertRejects } from "@std/assert";
import { TextLineStream } from "@std/streams/text-line-stream";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "../../../../src/fetch/clock.ts";
import { SqliteStore } from "../../../../relay/stores/sqlite/sqlite_store.ts";
import {
  StoreError,
  type StoreFailure,
} from "../../../../relay/topics/store.ts";
import {
  SqliteWorld,
  TemporaryFolder,
} from "../../../support/relay/sqlite_world.ts";
import { passTime } from "../../../support/pass_time.ts";
import {
  CANNOT_FAIL,
  FailingDisk,
} from "../../../support/relay/failing_disk.ts";
import { OWN_MOUNTS } from "../../../support/apart.ts";
import { CANNOT_MOUNT, SmallDisk } from "../../../support/relay/small_disk.ts";
import { LIMIT, until } from "../../../support/within.ts";
import {
  findLog,
  message,
  NO_FACTS,
  readData,
  UNBOUNDED,
} from "../../../../relay/testing/contract_world.ts";

function storeAt(path: string): SqliteStore {
  return new SqliteStore({
    path,
    sync: "full",
    retention: UNBOUNDED,
    clock: systemClock,
  });
}

async function assertRefused(
  path: string,
  failure: StoreFailure,
  text: RegExp,
): Promise<void> {
  const store = storeAt(path);
  const error = await assertRejects(() => store.open(), StoreError);
  assertEquals(error.failure, failure, error.message);
  assert(text.test(error.message), error.message);
  assert(error.message.includes(path), error.message);
}

/** Asserts that an attempt to open a file leaves it as it is. */
async function assertUntouched(
  path: string,
  failure: StoreFailure,
  text: RegExp,
): Promise<void> {
  const before = Deno.readFileSync(path);
  await assertRefused(path, failure, text);
  assertEquals(Deno.readFileSync(path), before);
}

Deno.test("SqliteStore leaves nothing beside what cannot be its file", async () => {
  await using folder = new TemporaryFolder();
  const inner = `${folder.path}/folder`;
  await Deno.mkdir(inner);
  await assertRefused(inner, "io", /it is a folder/);
  const text = `${folder.path}/text`;
  await Deno.writeTextFile(text, "to be or not to be\n".repeat(100));
  await assertRefused(text, "foreign", /another program/);
  const names = Array.from(Deno.readDirSync(folder.path), ({ name }) => name);
  assertEquals(names.sort(), ["folder", "text"]);
});

Deno.test("SqliteStore refuses a file that another store has open", async () => {
  await using world = await SqliteWorld.open();
  await assertRefused(world.path, "locked", /another process/);
  await world.store.create("a", NO_FACTS).append([message("a")]);
});

Deno.test("SqliteStore refuses a file that another process has open, until it is killed", async () => {
  await using folder = new TemporaryFolder();
  const path = `${folder.path}/store.db`;
  const program = new URL("store_program.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program, path],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await assertRefused(path, "locked", /another process/);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  await using store = storeAt(path);
  await store.open();
});

for (const sync of ["full", "normal"]) {
  Deno.test(`SqliteStore (${sync}) needs no permission but for its folder`, async () => {
    await using folder = new TemporaryFolder();
    const program = new URL("store_program.ts", import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-check",
        "--no-prompt",
        `--allow-read=${folder.path}`,
        `--allow-write=${folder.path}`,
        program,
        `${folder.path}/store.db`,
        sync,
        "1",
      ],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const lines = child.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    let count = 0;
    for await (const _line of lines) {
      if (++count === 50) child.kill("SIGKILL");
    }
    const errors = await new Response(child.stderr).text();
    await child.status;
    assert(count >= 50, errors);
  });
}

Deno.test("SqliteStore refuses a file that is not its own, and leaves it as it is", async () => {
  await using folder = new TemporaryFolder();
  const text = `${folder.path}/text`;
  Deno.writeTextFileSync(text, "Dear diary, ".repeat(1_000));
  await assertUntouched(text, "foreign", /not a database/);
  const other = `${folder.path}/other.db`;
  {
    using db = new DatabaseSync(other);
    db.exec("CREATE TABLE topics(a); PRAGMA application_id=7");
  }
  await assertUntouched(other, "foreign", /application id .*got 7/);
});

/** Makes a file with an event, and changes it while it is closed. */
async function spoil(
  folder: TemporaryFolder,
  change: (path: string) => void,
): Promise<string> {
  const path = `${folder.path}/store.db`;
  {
    await using store = storeAt(path);
    await store.open();
    const log = store.create("a", NO_FACTS);
    await log.append([message("x".repeat(10_000))]);
  }
  change(path);
  return path;
}

Deno.test("SqliteStore refuses a file of a later version", async () => {
  await using folder = new TemporaryFolder();
  const path = await spoil(folder, (path) => {
    using db = new DatabaseSync(path);
    db.exec("PRAGMA user_version=99");
    db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  });
  await assertUntouched(path, "newer", /got 99/);
});

Deno.test("SqliteStore refuses a file that is damaged", async () => {
  await using folder = new TemporaryFolder();
  const path = await spoil(folder, (path) => {
    const bytes = Deno.readFileSync(path);
    bytes.fill(0x5a, 100);
    Deno.writeFileSync(path, bytes);
  });
  await assertUntouched(path, "corrupt", /damaged/);
});

Deno.test("SqliteStore says that the folder is not there", async () => {
  await using folder = new TemporaryFolder();
  await assertRefused(`${folder.path}/none/store.db`, "io", /folder/);
});

Deno.test("SqliteStore lets nobody but its user read its files", {
  ignore: Deno.build.os === "windows",
}, async () => {
  await using world = await SqliteWorld.open();
  await world.store.create("a", NO_FACTS).append([message("a")]);
  const files = [...Deno.readDirSync(world.folder.path)].map(({ name }) => name)
    .sort();
  assertEquals(files, [
    "store.db",
    "store.db-shm",
    "store.db-wal",
    "store.db.lock",
  ]);
  for (const file of files) {
    const { mode } = Deno.statSync(`${world.folder.path}/${file}`);
    assertEquals((mode ?? 0) & 0o777, 0o600, file);
  }
});

const BIG = message("x".repeat(20_000));

/** Appends until the store has no more room. */
async function fill(store: SqliteStore, name: string): Promise<StoreError> {
  using log = store.find(name) ?? store.create(name, NO_FACTS);
  for (;;) {
    try {
      await log.append([BIG]);
    } catch (error) {
      assert(error instanceof StoreError, String(error));
      return error;
    }
  }
}

Deno.test("SqliteStore deletes the oldest ended topics when its file is as large as it may be", async () => {
  const evicted: string[] = [];
  await using world = await SqliteWorld.open({
    maxBytes: 1024 * 1024,
    onEvicted: (names) => void evicted.push(...names),
  });
  const { store } = world;
  for (const [at, name] of ["old", "young"].entries()) {
    using log = store.create(name, NO_FACTS);
    for (let index = 0; index < 10; index++) await log.append([BIG]);
    await log.end({ status: "complete", isWhole: true, at });
  }
  using log = store.create("open", NO_FACTS);
  for (let index = 0; index < 30; index++) await log.append([BIG]);
  assertEquals(evicted[0], "old");
  const error = await fill(store, "open");
  assertEquals(error.failure, "full");
  assertEquals(evicted, ["old", "young"]);
  assertEquals(store.size, 1);
  assertEquals(store.find("old"), undefined);
  assert(Deno.statSync(world.path).size <= 1024 * 1024);
});

Deno.test("SqliteStore refuses appends while it is full, and goes on when there is room", async () => {
  await using world = await SqliteWorld.open({ maxBytes: 1024 * 1024 });
  const { store, clock } = world;
  using kept = store.create("kept", NO_FACTS);
  await kept.append([message("1")]);
  const error = await fill(store, "large");
  assertEquals(error.failure, "full");
  assert(/room/.test(error.message), error.message);
  assertEquals(store.failure?.failure, "full");
  const refused = [
    kept.append([message("x")]),
    kept.append([message("y")]),
    store.put("bucket", "key", "value", Infinity),
  ];
  for (const call of refused) {
    await assertRejects(async () => await call, StoreError);
  }
  // A topic that is made now is there once there is room.
  using made = store.create("made", NO_FACTS);
  await assertRejects(async () => await made.settled(), StoreError);
  const { epoch } = await findLog(store, "large");
  await store.delete("large", epoch);
  await passTime(
    clock,
    until(() => store.failure ? undefined : true, LIMIT, "the store"),
  );
  assertEquals((await kept.append([message("2")])).first, 2);
  await made.append([message("made")]);
  await world.reopen();
  assertEquals(await readData(await findLog(world.store, "kept")), ["1", "2"]);
  assertEquals(await readData(await findLog(world.store, "made")), ["made"]);
  assertEquals(world.store.size, 2);
});

Deno.test("SqliteStore goes on when a disk that was full has room", {
  ignore: CANNOT_MOUNT,
}, async () => {
  await using world = await SqliteWorld.open();
  const folder = `${world.folder.path}/small`;
  Deno.mkdirSync(folder);
  using disk = SmallDisk.mount(folder, "size=2m");
  if (!disk) return;
  const { clock } = world;
  await using store = new SqliteStore({
    path: `${folder}/store.db`,
    sync: "full",
    retention: UNBOUNDED,
    clock,
  });
  await store.open();
  using log = store.create("a", NO_FACTS);
  await log.append([message("first")]);
  disk.fill();
  const error = await fill(store, "a");
  assertEquals(error.failure, "full", error.message);
  const { next } = log;
  disk.clear();
  await passTime(
    clock,
    until(() => store.failure ? undefined : true, LIMIT, "the store"),
  );
  assertEquals((await log.append([message("more")])).first, next);
  assertEquals((await readData(log)).length, next);
});

Deno.test("SqliteStore says that it may not write", {
  ignore: CANNOT_MOUNT,
}, async () => {
  await using folder = new TemporaryFolder();
  const path = `${folder.path}/small`;
  Deno.mkdirSync(path);
  using disk = SmallDisk.mount(path, "size=2m,ro");
  if (!disk) return;
  await assertRefused(`${path}/store.db`, "read_only", /right to write/);
});

Deno.test(
  "SqliteStore refuses appends once its disk can only be read, and keeps what it had",
  {
    ignore: CANNOT_FAIL,
  },
  async () => {
    await using folder = new TemporaryFolder();
    using disk = FailingDisk.mount(folder.path);
    if (!disk) return;
    // As another test does: a program with its own mounts starts while the disk is mounted.
    await using _apart = new Deno.Command("unshare", {
      args: [...OWN_MOUNTS, "sleep", "infinity"],
    }).spawn();
    const path = `${disk.path}/store.db`;
    {
      await using store = storeAt(path);
      await store.open();
      using log = store.create("a", NO_FACTS);
      await log.append([message("kept")]);
      disk.fail();
      const error = await assertRejects(
        async () => await log.append([message("lost")]),
        StoreError,
      );
      assertEquals(error.failure, "io", error.message);
      assertEquals(store.failure, error);
      assertEquals(await readData(log), ["kept"]);
    }
    disk.repair();
    await using store = storeAt(path);
    await store.open();
    using log = await findLog(store, "a");
    await log.append([message("more")]);
    assertEquals(await readData(log), ["kept", "more"]);
  },
);

Deno.test("SqliteStore refuses calls once it is closed", async () => {
  await using folder = new TemporaryFolder();
  const store = storeAt(`${folder.path}/store.db`);
  await store.open();
  using log = store.create("a", NO_FACTS);
  const append = log.append([message("a")]);
  await store[Symbol.asyncDispose]();
  await append;
  const error = await assertRejects(
    async () => await log.append([message("b")]),
    StoreError,
  );
  assertEquals(error.failure, "closed");
});
