import { assert, assertEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { openFile } from "../../../../relay/stores/sqlite/open_file.ts";
import { WriterFile } from "../../../../relay/stores/sqlite/writer_file.ts";
import { TemporaryFolder } from "../../../support/relay/sqlite_world.ts";

/** As `PRAGMA synchronous` has them. */
const NORMAL = 1;
const FULL = 2;

/** Opens a file whose commits wait for the disk. */
function openFull(path: string): WriterFile {
  openFile(path, { sync: "full", boot: undefined });
  return new WriterFile(DatabaseSync, {
    path,
    sync: "full",
    maxFileBytes: Infinity,
  });
}

function syncOf(file: WriterFile): number {
  return Number(file.prepare("PRAGMA synchronous").get()?.synchronous);
}

Deno.test("WriterFile waits for the disk again after work that need not", async () => {
  await using folder = new TemporaryFolder();
  const file = openFull(`${folder.path}/store.db`);
  assertEquals(syncOf(file), FULL);
  assertEquals(file.withoutSync(() => syncOf(file)), NORMAL);
  assertEquals(syncOf(file), FULL);
  const fail = () =>
    file.withoutSync(() => {
      throw new Error("no more of it");
    });
  assertThrows(fail, Error, "no more of it");
  assertEquals(syncOf(file), FULL);
  file.close();
  assertEquals(syncOf(file), FULL, "it is opened anew");
  file.close();
});

Deno.test("WriterFile does all work of a transaction, or nothing", async () => {
  await using folder = new TemporaryFolder();
  const file = openFull(`${folder.path}/store.db`);
  const keys = () =>
    file.prepare("SELECT key FROM meta ORDER BY key").all().map(({ key }) =>
      String(key)
    );
  const put = (key: string) =>
    file.run("INSERT INTO meta(key, value) VALUES(?, 1)", key);
  assertEquals(file.transaction(() => put("a")), 1);
  const fail = () =>
    file.transaction(() => {
      put("b");
      throw new Error("no more of it");
    });
  assertThrows(fail, Error, "no more of it");
  assert(keys().includes("a") && !keys().includes("b"));
  file.close();
});
