import fc from "fast-check";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import type {
  Operation,
  PackedRange,
  Stepped,
} from "../../../../relay/stores/sqlite/messages.ts";
import { openFile } from "../../../../relay/stores/sqlite/open_file.ts";
import {
  packRanges,
  ROW,
  unpackRange,
} from "../../../../relay/stores/sqlite/pack.ts";
import {
  Writer,
  type WriterSettings,
} from "../../../../relay/stores/sqlite/writer.ts";
import { WRITER_PARTS } from "../../../../relay/stores/sqlite/writer_thread.ts";
import { type LogEntry, sizeOf } from "../../../../relay/topics/log.ts";
import {
  message,
  UNBOUNDED,
} from "../../../../relay/testing/contract_world.ts";
import { propertyParameters } from "../../../support/property.ts";
import { TemporaryFolder } from "../../../support/relay/sqlite_world.ts";

/** The time of the first events, in milliseconds since the epoch. */
const START = 1_000_000;

/** The time after which each topic rests. */
const LATER = START + 60_000_000;

/** A file, and the writer of it. */
class MergedFile implements Disposable {
  #settings: WriterSettings;
  readonly #db: DatabaseSync;
  #writer: Writer;
  #time = START;
  next = 1;

  constructor(path: string, settings: Partial<WriterSettings> = {}) {
    this.#settings = {
      path,
      sync: "normal",
      ...UNBOUNDED,
      maxFileBytes: Infinity,
      maxPublications: 1_000,
      rowEvents: ROW.events,
      rowBytes: ROW.bytes,
      ...settings,
    };
    openFile(path, { sync: "normal", boot: undefined });
    this.#writer = this.#open();
    this.#db = new DatabaseSync(path, { timeout: 5_000 });
    this.commit(["create", 1, "a", "epoch", 0, "{}", null]);
  }

  /** Opens the file anew, as another process would. */
  reopen(settings: Partial<WriterSettings> = {}): void {
    this.#writer.close();
    this.#settings = { ...this.#settings, ...settings };
    this.#writer = this.#open();
  }

  commit(...operations: Operation[]): void {
    this.#writer.handle({ kind: "commit", now: this.#time, operations });
  }

  /** Appends rows. */
  append(rows: readonly (readonly string[])[], time: number): void {
    this.#time = Math.max(this.#time, time);
    const operations = rows.map((data): Operation => {
      const entries: LogEntry[] = data.map((text) => {
        const event = message(text);
        return { event, size: sizeOf(event), time };
      });
      const first = this.next;
      this.next += data.length;
      return ["append", 1, first, packRanges({ first, entries }), "", []];
    });
    this.commit(...operations);
  }

  /** Appends rows of one event. */
  fill(count: number, data = "x"): void {
    const rows = Array.from(
      { length: count },
      (_, index) => [`${this.next + index}:${data}`],
    );
    this.append(rows, START);
  }

  skip(count: number): void {
    this.commit(["skip", 1, this.next, count, "evicted"]);
    this.next += count;
  }

  end(): void {
    this.commit(["end", 1, this.next, "complete", null, true, this.#time]);
  }

  /** Does what there is to do; returns the number of steps. */
  tidy(now: number): number {
    for (let steps = 1;; steps++) {
      const { more } = this.step(now);
      if (!more) return steps;
      assert(steps < 1_000, "it never ends");
    }
  }

  step(now: number): Stepped {
    // The answer to a step.
    return this.#writer.handle({
      kind: "step",
      now,
      purges: [],
      held: [],
      limit: 500,
    }) as Stepped;
  }

  get rows(): readonly PackedRange[] {
    return this.#db.prepare(
      "SELECT first, count, bytes, time, times, sizes, events FROM ranges WHERE topic = 1 ORDER BY first",
    ).all() as unknown as PackedRange[]; // the columns that are selected
  }

  /** The readable events, each with its offset and time. */
  get events(): readonly string[] {
    return this.rows.flatMap((row) => {
      const { first, entries } = unpackRange(row);
      return entries.map(({ event, time }, index) =>
        `${first + index} ${event.data} ${time}`
      );
    });
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  get fileBytes(): number {
    const row = this.#db.prepare(
      "SELECT page_count * page_size AS n FROM pragma_page_count, pragma_page_size",
    ).get();
    return Number(row?.n);
  }

  /** The topics whose rows are still to be merged. */
  get unmerged(): number {
    const row = this.#db.prepare("SELECT count(*) AS n FROM unmerged").get();
    return Number(row?.n);
  }

  [Symbol.dispose](): void {
    this.#writer.close();
    this.#db.close();
  }

  #open(): Writer {
    return new Writer(DatabaseSync, this.#settings, WRITER_PARTS);
  }
}

const action = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      does: fc.constant("append" as const),
      count: fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: 1, max: 4 }) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 600 }) },
      ),
      size: fc.constantFrom(0, 5, 200, 9_000),
      later: fc.constantFrom(0, 0, 1),
      repeat: fc.integer({ min: 1, max: 30 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("skip" as const) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("tidy" as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("rest" as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("reopen" as const) }) },
);

Deno.test("RowMerger changes no event, and makes rows as large as they may be", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 1, maxLength: 25, size: "max" }),
      fc.boolean(),
      async (actions, ends) => {
        await using folder = new TemporaryFolder();
        using file = new MergedFile(`${folder.path}/store.db`);
        const expected: string[] = [];
        let time = START;
        for (const act of actions) {
          if (act.does === "skip") file.skip(3);
          if (act.does === "tidy") file.tidy(time);
          if (act.does === "rest") file.tidy(time += 20_000);
          if (act.does === "reopen") file.reopen();
          if (act.does !== "append") continue;
          time += act.later;
          let next = file.next;
          const length = Math.min(act.count, Math.ceil(60_000 / act.size));
          const rows = Array.from(
            { length: act.repeat },
            () =>
              Array.from({ length }, () => {
                const text = `${next}"\ud800,`.padEnd(act.size, "x");
                expected.push(`${next++} ${text} ${time}`);
                return text;
              }),
          );
          file.append(rows, time);
        }
        if (ends) file.end();
        if (ends) file.reopen();
        file.tidy(LATER);
        assertEquals(file.events, expected);
        assertEquals(file.unmerged, 0);
        for (const { count, bytes, sizes, events } of file.rows) {
          assert(count <= ROW.events);
          assert(bytes <= ROW.bytes || count === 1);
          const each: number[] = sizes === null ? [bytes] : JSON.parse(sizes);
          assertEquals(each.length, count);
          assertEquals(each.reduce((sum, size) => sum + size, 0), bytes);
          assertEquals(JSON.parse(events).length, 3 * count);
        }
        // Each process may leave some rows for ever that are not worth a note in the file.
        if (actions.some(({ does }) => does === "reopen")) return;
        const { rows } = file;
        for (let at = 3; at < rows.length; at++) {
          const four = rows.slice(at - 3, at + 1);
          const isOne = four.slice(1).every(({ first }, index) =>
            first === four[index]!.first + four[index]!.count
          );
          const counts = four.reduce((sum, { count }) => sum + count, 0);
          const sizes = four.reduce((sum, { bytes }) => sum + bytes, 0);
          const fits = counts <= ROW.events / 4 && sizes <= ROW.bytes / 4;
          assert(!(isOne && fits), `rows from ${four[0]!.first}`);
        }
      },
    ),
    propertyParameters(10),
  );
});

Deno.test("RowMerger merges rows that fill one while their topic is open, each once", async () => {
  await using folder = new TemporaryFolder();
  using file = new MergedFile(`${folder.path}/store.db`);
  file.fill(500);
  file.tidy(START);
  assertEquals(file.rows.length, 500);
  file.fill(600);
  file.tidy(START);
  assertEquals(file.rows.slice(0, 3).map(({ count }) => count), [512, 512, 1]);
  assertEquals(file.rows.length, 2 + 1_100 - 1_024);
  // Others are rewritten when those behind them fill a row.
  file.exec(
    "CREATE TRIGGER once BEFORE DELETE ON ranges WHEN old.count > 1 BEGIN SELECT RAISE(ABORT, 'twice'); END",
  );
  file.fill(1_000);
  file.tidy(START);
  assertEquals(file.rows.length, 4 + 2_100 - 4 * 512);
});

Deno.test("RowMerger merges the rest when the topic has ended, or rests", async () => {
  await using folder = new TemporaryFolder();
  using file = new MergedFile(`${folder.path}/store.db`);
  file.fill(100);
  file.tidy(START + 9_000);
  assertEquals(file.rows.length, 100);
  file.tidy(START + 11_000);
  assertEquals(file.rows.map(({ count }) => count), [100]);
  file.fill(2);
  file.tidy(START + 30_000);
  assertEquals(file.rows.length, 3);
  file.fill(100);
  file.end();
  file.tidy(START + 30_000);
  assertEquals(file.rows.map(({ count }) => count), [202]);
  assertEquals(file.unmerged, 0);
});

Deno.test("RowMerger does a little in each step, and goes on in another process", async () => {
  await using folder = new TemporaryFolder();
  using file = new MergedFile(`${folder.path}/store.db`);
  file.fill(3_000, "x".repeat(1_000));
  const { events } = file;
  file.step(START);
  const merged = file.rows.filter(({ count }) => count > 1).length;
  assert(merged > 0 && merged <= 9, `${merged} rows were merged in one step`);
  file.reopen();
  file.end();
  const steps = file.tidy(START);
  assert(steps > 5, `${steps} steps`);
  assertEquals(file.events, events);
  assert(file.rows.length < 110, `${file.rows.length} rows are left`);
});

Deno.test("RowMerger leaves the file as it was if it is interrupted", async () => {
  await using folder = new TemporaryFolder();
  using file = new MergedFile(`${folder.path}/store.db`);
  file.fill(1_500);
  for (const when of ["BEFORE INSERT", "AFTER INSERT", "AFTER DELETE"]) {
    file.fill(1);
    const { rows } = file;
    const row = when === "AFTER DELETE" ? "old.first = 300" : "new.count > 1";
    file.exec(
      `CREATE TRIGGER fails ${when} ON ranges WHEN ${row} BEGIN SELECT RAISE(ABORT, 'interrupted'); END`,
    );
    assertThrows(() => file.step(START), Error, "interrupted");
    assertEquals(file.rows, rows);
    file.exec("DROP TRIGGER fails");
  }
  file.end();
  file.tidy(LATER);
  assertEquals(file.rows.map(({ count }) => count), [512, 512, 479]);
});

Deno.test("RowMerger leaves the rows of a file alone that is almost as large as it may be", async () => {
  await using folder = new TemporaryFolder();
  using file = new MergedFile(`${folder.path}/store.db`);
  file.fill(180, "x".repeat(800));
  const maxFileBytes = file.fileBytes * 1.05;
  file.reopen({ maxFileBytes });
  file.tidy(LATER);
  assertEquals(file.rows.length, 180);
  file.reopen({ maxFileBytes: 2 * maxFileBytes });
  file.tidy(LATER);
  assert(file.rows.length < 10);
});

Deno.test("RowMerger forgets topics that are deleted", async () => {
  await using folder = new TemporaryFolder();
  using file = new MergedFile(`${folder.path}/store.db`);
  file.fill(600);
  assertEquals(file.unmerged, 1);
  file.commit(["delete", 1, null]);
  assertEquals(file.unmerged, 0);
  file.tidy(LATER);
  assertEquals(file.rows, []);
});

Deno.test("Writer trims a topic whose rows were merged meanwhile", async () => {
  await using folder = new TemporaryFolder();
  using file = new MergedFile(`${folder.path}/store.db`, { maxEvents: 700 });
  for (let round = 0; round < 5; round++) {
    file.fill(300);
    file.tidy(START);
    file.tidy(LATER);
  }
  file.append([["last"]], START);
  const kept = file.events.slice(-700);
  assertEquals(kept[0], `802 802:x ${START}`);
  assertEquals(kept.at(-1), `1501 last ${START}`);
});
