/**
 * The cost of small rows: the speed of reading the history of topics that were
 * written an event at a time, before and after their rows were merged, and the
 * cost of merging to others.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { type Clock, systemClock } from "../src/fetch/clock.ts";
import type { ServerSentEvent } from "../src/sse/event.ts";
import type { Operation } from "../relay/stores/sqlite/messages.ts";
import { openFile } from "../relay/stores/sqlite/open_file.ts";
import { packRanges, ROW } from "../relay/stores/sqlite/pack.ts";
import { SqliteStore } from "../relay/stores/sqlite/sqlite_store.ts";
import { Writer } from "../relay/stores/sqlite/writer.ts";
import { WRITER_PARTS } from "../relay/stores/sqlite/writer_thread.ts";
import { sizeOf } from "../relay/topics/log.ts";

const UNBOUNDED = {
  maxEvents: Infinity,
  maxBytes: Infinity,
  maxAge: Infinity,
};

/** Topics that were written an event at a time, in turn, and go on. */
function fill(
  path: string,
  topics: number,
  events: number,
  event: ServerSentEvent,
): void {
  openFile(path, { sync: "normal", boot: undefined });
  const writer = new Writer(DatabaseSync, {
    path,
    sync: "normal",
    ...UNBOUNDED,
    maxFileBytes: Infinity,
    maxPublications: 1_000,
    rowEvents: ROW.events,
    rowBytes: ROW.bytes,
  }, WRITER_PARTS);
  const now = Date.now();
  const entries = [{ event, size: sizeOf(event), time: now }];
  const ids = Array.from({ length: topics }, (_, index) => index + 1);
  const commit = (operations: readonly Operation[]) =>
    writer.handle({ kind: "commit", now, operations });
  commit(
    ids.map((
      id,
    ) => ["create", id, `t${id}`, `epoch-${id}`, now, '{"isOpen":true}', null]),
  );
  for (let first = 1; first <= events; first++) {
    commit(
      ids.map((
        id,
      ) => ["append", id, first, packRanges({ first, entries }), "", []]),
    );
  }
  writer.close();
}

/** Reads all events; returns how many a second. */
async function readAll(store: SqliteStore, topics: number): Promise<number> {
  const start = performance.now();
  let read = 0;
  for (let id = 1; id <= topics; id++) {
    using log = store.find(`t${id}`);
    for (let from = 1; log && from < log.next;) {
      const { entries } = await log.read(from, {
        events: 512,
        bytes: 128 * 1024,
      });
      from += entries.length;
      read += entries.length;
    }
  }
  return read / (performance.now() - start) * 1_000;
}

/** Appends to a topic of its own until something is done; returns how long it waits. */
async function waitsOf(
  store: SqliteStore,
  event: ServerSentEvent,
  isDone: () => boolean,
): Promise<string> {
  const name = `beside-${performance.now().toFixed(0)}`;
  using log = store.create(name, { isOpen: true });
  await log.settled();
  const times: number[] = [];
  while (!isDone()) {
    const start = performance.now();
    await log.append([event]);
    times.push(performance.now() - start);
    await new Promise((done) => setTimeout(done, 1));
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string =>
    (times[Math.floor(times.length * share)] ?? NaN).toFixed(1);
  return `${at(0.5)} / ${at(0.99)} ms`;
}

/** Measures, and prints. */
export async function measureRows(
  folder: string,
  event: ServerSentEvent,
  topics: number,
  events: number,
): Promise<void> {
  const path = `${folder}/rows.db`;
  fill(path, topics, events, event);
  // Nothing is merged while the topics do not rest, as far as the store knows.
  let ahead = 0;
  const clock: Clock = {
    now: () => systemClock.now() + ahead,
    setTimeout: (act, delay) => systemClock.setTimeout(act, delay),
  };
  await using store = new SqliteStore({
    path,
    sync: "normal",
    retention: UNBOUNDED,
    clock,
    windowBytes: 0,
  });
  await store.open();
  using db = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  const count = (sql: string): number => Number(db.prepare(sql).get()?.n);
  const tell = async (when: string): Promise<void> => {
    const rows = count(
      "SELECT count(*) AS n FROM ranges WHERE topic <= 1000000",
    );
    const pages = count("SELECT page_count AS n FROM pragma_page_count");
    const free = count("SELECT freelist_count AS n FROM pragma_freelist_count");
    const speed = await readAll(store, topics);
    console.log(
      `${when}: ${rows} rows, ${
        ((pages - free) * 4_096 / 1024 / 1024).toFixed(0)
      } MiB in use of ${(pages * 4_096 / 1024 / 1024).toFixed(0)}, read at ${
        Math.round(speed)
      } events/s`,
    );
  };
  console.log(`${topics} topics, ${events} events each, written one at a time`);
  await tell("before");
  const calm = performance.now();
  const alone = await waitsOf(
    store,
    event,
    () => performance.now() - calm > 1_000,
  );
  const start = performance.now();
  ahead = 60_000;
  const isMerged = () =>
    count("SELECT count(*) AS n FROM unmerged WHERE topic <= " + topics) === 0;
  const beside = await waitsOf(store, event, isMerged);
  const seconds = (performance.now() - start) / 1_000;
  console.log(
    `merged in ${seconds.toFixed(1)} s (${
      Math.round(topics * events / seconds)
    } events/s); an append waited ${beside} meanwhile, ${alone} before`,
  );
  await tell("after");
}
