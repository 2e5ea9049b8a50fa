import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Hole } from "../../../relay/topics/log.ts";
import {
  History,
  type ReadLog,
  type SegmentSource,
} from "../../../relay/stores/history.ts";
import type { Segment } from "../../../relay/stores/segment.ts";
import { StoreError } from "../../../relay/topics/store.ts";
import { message } from "../../../relay/testing/contract_world.ts";

/** The bytes of each event, with its name. */
const SIZE = 1_007;

/** The most events of a row. */
const ROW = 32;

const DATA = "x".repeat(1_000);

/** A log of which nothing is in the window. */
class FileLog implements ReadLog {
  readonly name = "a";
  readonly next: number;
  readonly window = { at: () => undefined };
  isGone = false;
  reads = 0;

  constructor(count: number) {
    this.next = count + 1;
  }

  holeAt(): Hole | undefined {
    return undefined;
  }

  onRead(): void {
    this.reads++;
  }
}

/** Has events in rows, and answers when it is told to. */
class ScriptedSource implements SegmentSource<FileLog> {
  readonly name = "path";
  readonly asked: number[] = [];
  readonly #rows: readonly Segment[];
  readonly #answers: (() => void)[] = [];

  constructor(count: number) {
    const entries = Array.from(
      { length: count },
      () => ({ event: message(DATA), size: SIZE, time: 0 }),
    );
    this.#rows = Array.from({ length: Math.ceil(count / ROW) }, (_, row) => ({
      first: row * ROW + 1,
      entries: entries.slice(row * ROW, (row + 1) * ROW),
    }));
  }

  errorOf(error: unknown): StoreError {
    return new StoreError("io", "It went wrong", { cause: error });
  }

  load(
    _log: FileLog,
    from: number,
    bytes: number,
  ): Promise<readonly Segment[]> {
    this.asked.push(from);
    const rows: Segment[] = [];
    let left = bytes;
    for (const row of this.#rows) {
      const { first, entries: { length } } = row;
      if (first + length <= from || left <= 0) continue;
      rows.push(row);
      left -= length * SIZE;
    }
    return new Promise((resolve) =>
      void this.#answers.push(() => resolve(rows))
    );
  }

  /** Answers all that was asked. */
  async answer(): Promise<void> {
    for (const answer of this.#answers.splice(0)) answer();
    await new Promise((resolve) => setTimeout(resolve));
  }
}

const BUDGET = { events: 512, bytes: 32 * 1024 };

Deno.test("History fetches once what several readers wait for", async () => {
  const log = new FileLog(1_000);
  const source = new ScriptedSource(1_000);
  const history = new History(source);
  const reads = [1, 1, 1].map((from) => history.read(log, from, BUDGET));
  assertEquals(history.lowestRead(log), 1);
  assertEquals(source.asked, [1]);
  await source.answer();
  for (const read of reads) {
    const { offset, entries } = await read;
    assertEquals([offset, entries.length], [1, 32]);
  }
  assertEquals([history.lowestRead(log), log.reads], [undefined, 1]);
});

Deno.test("History has fetched the next events when a reader asks for them", async () => {
  const log = new FileLog(1_000);
  const source = new ScriptedSource(1_000);
  const history = new History(source);
  const first = history.read(log, 1, BUDGET);
  await source.answer();
  let next = 1 + (await first).entries.length;
  let waited = 0;
  while (next < log.next) {
    const read = history.read(log, next, BUDGET);
    if (read instanceof Promise) waited++;
    await source.answer();
    next += (await read).entries.length;
  }
  assertEquals(waited, 0);
  assert(source.asked.length < 1_000 * SIZE / BUDGET.bytes);
});

Deno.test("History asks again for what has failed, and says what is wrong", async () => {
  const log = new FileLog(10);
  let failures = 1;
  const rows = new ScriptedSource(10);
  const history = new History<FileLog>({
    name: "path",
    load: (...read) =>
      failures-- > 0
        ? Promise.reject(new Error("disk I/O error"))
        : rows.load(...read),
    errorOf: (error) => rows.errorOf(error),
  });
  const error = await assertRejects(
    async () => await history.read(log, 1, BUDGET),
    StoreError,
  );
  assertEquals(error.failure, "io");
  const read = history.read(log, 1, BUDGET);
  await rows.answer();
  assertEquals((await read).entries.length, 10);
});

Deno.test("History tells a reader of a topic that was deleted meanwhile", async () => {
  const log = new FileLog(10);
  const source: SegmentSource<FileLog> = {
    name: "path",
    load: () => Promise.resolve([]),
    errorOf: (cause) => new StoreError("io", "It went wrong", { cause }),
  };
  const history = new History(source);
  const read = history.read(log, 1, BUDGET);
  log.isGone = true;
  const error = await assertRejects(async () => await read, StoreError);
  assertEquals(error.failure, "closed");
});

Deno.test("History keeps a bounded number of rows", async () => {
  const log = new FileLog(30_000);
  const source = new ScriptedSource(30_000);
  const history = new History(source);
  for (let from = 1; from < log.next; from += 100) {
    const read = history.read(log, from, BUDGET);
    await source.answer();
    await read;
  }
  // 30 MB were read, and 16 MiB of rows are kept: the first are gone.
  assert(history.read(log, 1, BUDGET) instanceof Promise);
  assert(!(history.read(log, 29_901, BUDGET) instanceof Promise));
  await source.answer();
});
