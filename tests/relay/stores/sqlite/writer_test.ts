import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import type {
  Committed,
  Operation,
} from "../../../../relay/stores/sqlite/messages.ts";
import { openFile } from "../../../../relay/stores/sqlite/open_file.ts";
import { packRanges, ROW } from "../../../../relay/stores/sqlite/pack.ts";
import { Writer } from "../../../../relay/stores/sqlite/writer.ts";
import { WRITER_PARTS } from "../../../../relay/stores/sqlite/writer_thread.ts";
import { TemporaryFolder } from "../../../support/relay/sqlite_world.ts";
import {
  message,
  UNBOUNDED,
} from "../../../../relay/testing/contract_world.ts";

function append(id: number, expected: number, count: number): Operation {
  const entry = { event: message("a"), size: 8, time: 0 };
  const entries = Array.from({ length: count }, () => entry);
  return [
    "append",
    id,
    expected,
    packRanges({ first: expected, entries }),
    "",
    [],
  ];
}

/** Commits operations to an empty file. */
function commit(path: string, operations: readonly Operation[]): Committed {
  openFile(path, { sync: "full", boot: undefined });
  const writer = new Writer(DatabaseSync, {
    path,
    sync: "full",
    ...UNBOUNDED,
    maxFileBytes: Infinity,
    maxPublications: 1_000,
    rowEvents: ROW.events,
    rowBytes: ROW.bytes,
  }, WRITER_PARTS);
  try {
    // The answer to a commit.
    return writer.handle({ kind: "commit", now: 0, operations }) as Committed;
  } finally {
    writer.close();
  }
}

Deno.test("Writer keeps nothing in a log that goes on elsewhere than its writer expects", async () => {
  await using folder = new TemporaryFolder();
  const { stale, standings } = commit(`${folder.path}/store.db`, [
    ["create", 1, "a", "epoch", 0, "{}", null],
    append(1, 1, 2),
    append(1, 1, 5),
    ["skip", 1, 7, 1, "evicted"],
    ["end", 1, 7, "complete", null, true, 0],
    append(1, 3, 1),
    ["end", 1, 4, "complete", null, true, 0],
    append(1, 4, 1),
    append(2, 1, 1),
  ]);
  assertEquals(
    stale.map((each) => [...each]),
    [[2, 3], [3, 3], [4, 3], [7, null], [8, null]],
  );
  assertEquals(
    standings.map(({ id, first, next, bytes }) => [id, first, next, bytes]),
    [[1, 1, 4, 24]],
  );
});
