/**
 * The floors that no store can be faster than on this machine, at this moment:
 * the disk, a message to a thread and back, and SQLite by itself.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { DatabaseSync } from "node:sqlite";

/** The time for which each floor is measured, in milliseconds. */
const DURATION = 1_000;

/** The bytes that a commit of some appends writes to the log of SQLite. */
const COMMIT_BYTES = 40_000;

async function measure(
  name: string,
  act: (round: number) => void | Promise<void>,
): Promise<void> {
  const times: number[] = [];
  const end = performance.now() + DURATION;
  for (let round = 0; performance.now() < end; round++) {
    const start = performance.now();
    await act(round);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string =>
    times[Math.floor(times.length * share)]!.toFixed(3); // there are some
  console.log(`${name}: ${at(0.5)} / ${at(0.99)}`);
}

async function measureThread(): Promise<void> {
  const source = `import { parentPort } from "node:worker_threads";
parentPort.on("message", (message) => parentPort.postMessage(message));`;
  const worker = new Worker(
    new URL(`data:text/javascript,${encodeURIComponent(source)}`),
  );
  let heard = (): void => {};
  worker.on("message", () => heard());
  const ask = () =>
    new Promise<void>((resolve) => {
      heard = resolve;
      worker.postMessage({ id: 1 });
    });
  await ask(); // it has started
  await measure("a message to a thread and back", ask);
  await worker.terminate();
}

/**
 * Measures transactions of `node:sqlite` that write a row for each of some topics, and
 * prints how long they take: no store can answer an append sooner.
 */
export async function measureCommit(
  path: string,
  sync: "normal" | "full",
  rows: number,
  data: string,
): Promise<void> {
  const db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=${sync};
CREATE TABLE ranges(id INTEGER PRIMARY KEY, topic INTEGER, first INTEGER, events TEXT);
CREATE UNIQUE INDEX places ON ranges(topic, first)`);
  const insert = db.prepare(
    "INSERT INTO ranges(topic, first, events) VALUES(?, ?, ?)",
  );
  await measure(
    `floor: node:sqlite, ${sync}, a transaction of ${rows} rows`,
    (round) => {
      db.exec("BEGIN IMMEDIATE");
      for (let topic = 0; topic < rows; topic++) insert.run(topic, round, data);
      db.exec("COMMIT");
    },
  );
  db.close();
}

/**
 * Measures the floors, and prints them.
 *
 * @param folder A folder on the disk.
 * @param data The data of an event.
 */
export async function measureFloors(
  folder: string,
  data: string,
): Promise<void> {
  console.log("floors, p50 / p99 ms");
  const bytes = new Uint8Array(COMMIT_BYTES);
  using file = Deno.openSync(`${folder}/floor.bin`, {
    create: true,
    write: true,
  });
  await measure("40 kB and fdatasync", (round) => {
    if (round % 500 === 0) file.seekSync(0, Deno.SeekMode.Start);
    file.writeSync(bytes);
    file.syncDataSync();
  });
  await measureThread();
  for (const sync of ["normal", "full"] as const) {
    for (const rows of [10, 100]) {
      const path = `${folder}/floor-${sync}-${rows}.db`;
      await measureCommit(path, sync, rows, data);
    }
  }
}
