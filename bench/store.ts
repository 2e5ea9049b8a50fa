/**
 * The store bench: how many events a second a store keeps, and how long an append
 * waits for it.
 *
 * `deno run -A bench/store.ts [--parts floors,speed,latency,delivery,rows,start,ended,retention]
 * [--stores memory,normal,full] [--topics 1,100,1000] [--rates 10000,50000]
 * [--seconds 3] [--rounds 3] [--ended 1000000] [--live 10000] [--folder PATH]`
 *
 * @module
 */
import { parseArgs } from "node:util";
import process from "node:process";
import { systemClock } from "../src/fetch/clock.ts";
import type { ServerSentEvent } from "../src/sse/event.ts";
import { MemoryLog } from "../relay/stores/memory_log.ts";
import { SqliteStore } from "../relay/stores/sqlite/sqlite_store.ts";
import type { Log, Retention } from "../relay/topics/log.ts";
import { TopicRegistry } from "../relay/topics/registry.ts";
import { median } from "./fanout/median.ts";
import { measureDelivery } from "./store_delivery.ts";
import { measureCommit, measureFloors } from "./store_floors.ts";
import { measureRows } from "./store_rows.ts";

/** An event is about what a provider's token is, with what is around it. */
const EVENT_BYTES = 250;

/** The appends of one topic that are under way at full speed, of one event each. */
const IN_FLIGHT = 512;

const RETENTION: Retention = {
  maxEvents: 10_000,
  maxBytes: 16 * 1024 * 1024,
  maxAge: Infinity,
};

/** The size of a follower's reads. */
const BUDGET = { events: 512, bytes: 32 * 1024 };

const { values } = parseArgs({
  options: {
    parts: {
      type: "string",
      default: "floors,speed,latency,delivery,rows,start,ended,retention",
    },
    stores: { type: "string", default: "memory,normal,full" },
    topics: { type: "string", default: "1,100,1000" },
    rates: { type: "string", default: "10000,50000" },
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "3" },
    ended: { type: "string", default: "1000000" },
    live: { type: "string", default: "10000" },
    file: { type: "string", default: "" },
    folder: { type: "string", default: Deno.makeTempDirSync() },
  },
});
const parts = values.parts.split(",");
const stores = values.stores.split(",");
const topics = values.topics.split(",").map(Number);
const rates = values.rates.split(",").map(Number);
const duration = Number(values.seconds) * 1_000;
const rounds = Number(values.rounds);

const event: ServerSentEvent = {
  event: "response.output_text.delta",
  data: `{"type":"response.output_text.delta","delta":" word","n":`.padEnd(
    EVENT_BYTES - "response.output_text.delta".length - 1,
    "x",
  ) + "}",
  id: "",
};

let files = 0;

/** Logs to append to. */
interface Setup extends AsyncDisposable {
  readonly logs: readonly Log[];
  readonly counts: string;
}

async function setUp(store: string, count: number): Promise<Setup> {
  if (store === "memory") {
    return {
      logs: Array.from(
        { length: count },
        () => new MemoryLog(RETENTION, systemClock),
      ),
      counts: "",
      async [Symbol.asyncDispose]() {},
    };
  }
  const sqlite = new SqliteStore({
    path: `${values.folder}/bench-${++files}.db`,
    sync: store === "full" ? "full" : "normal",
    retention: RETENTION,
    clock: systemClock,
  });
  await sqlite.open();
  const logs = Array.from(
    { length: count },
    (_, index) => sqlite.create(`t${index}`, { isOpen: true }),
  );
  await Promise.all(logs.map((log) => log.settled()));
  return {
    logs,
    get counts() {
      const { commits, operations } = sqlite.counts;
      return `${(operations / commits).toFixed(0)} operations a commit`;
    },
    [Symbol.asyncDispose]: () => sqlite[Symbol.asyncDispose](),
  };
}

/** The user and system time of all threads, in microseconds. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Returns events a second, and the CPU of an event in microseconds. */
async function speed(
  store: string,
  count: number,
): Promise<{ rate: number; cpu: number; counts: string }> {
  await using setup = await setUp(store, count);
  let appended = 0;
  let isOver = false;
  const each = Math.max(Math.floor(IN_FLIGHT * 8 / count), 8);
  const feed = async (log: Log): Promise<void> => {
    while (!isOver) {
      const appends: unknown[] = [];
      for (let index = 0; index < Math.min(each, IN_FLIGHT); index++) {
        appends.push(log.append([event]));
      }
      await Promise.all(appends);
      appended += appends.length;
      if (store === "memory") await new Promise((done) => setImmediate(done));
    }
  };
  const feeds = setup.logs.map(feed);
  const measure = async (time: number) => {
    const [start, before, used] = [performance.now(), appended, cpu()];
    await new Promise((done) => setTimeout(done, time));
    const events = appended - before;
    return {
      rate: events / (performance.now() - start) * 1_000,
      cpu: (cpu() - used) / events,
    };
  };
  await measure(500);
  const result = await measure(duration);
  isOver = true;
  await Promise.all(feeds);
  return { ...result, counts: setup.counts };
}

/** The delays of events at a rate, in milliseconds. */
interface Delays {
  /** From the call of `append` to its answer. */
  readonly p50: number;
  readonly p99: number;
  /** From the call of `append` to a follower that has read the event. */
  readonly followed50: number;
  readonly followed99: number;
  /** The longest turn of the loop. */
  readonly late: number;
}

/**
 * The most that `full` should add, from publisher to follower: p50 and p99 by
 * rate.
 */
const TARGETS: Readonly<Record<number, string>> = {
  10_000: "1 / 5",
  50_000: "2 / 20",
};

async function latency(
  store: string,
  count: number,
  rate: number,
): Promise<Delays> {
  await using setup = await setUp(store, count);
  const times: number[] = [];
  const followed: number[] = [];
  const start = performance.now();
  let sent = 0;
  let late = 0;
  let last = start;
  const waits: Promise<void>[] = [];
  const begins: number[][] = setup.logs.map(() => []);
  const over = new AbortController();
  const follow = async (log: Log, index: number): Promise<void> => {
    let from = 1;
    try {
      for await (const _ of log.follow(1, over.signal)) {
        while (from < log.next) {
          // Retention may be ahead of a follower that falls behind.
          from = Math.max(from, log.first);
          const { entries } = await log.read(from, BUDGET);
          const now = performance.now();
          for (const _ of entries) {
            const begun = begins[index]![from++ - 1]!; // it was appended
            if (begun - start > 500) followed.push(now - begun);
          }
        }
      }
    } catch (error) {
      if (!over.signal.aborted) throw error;
    }
  };
  const follows = setup.logs.map(follow);
  const send = async (log: Log, begun: number): Promise<void> => {
    await log.append([event]);
    if (begun - start > 500) times.push(performance.now() - begun);
  };
  while (performance.now() - start < duration + 500) {
    await new Promise((done) => setTimeout(done, 0));
    const now = performance.now();
    late = Math.max(late, now - last);
    last = now;
    const due = (now - start) / 1_000 * rate;
    for (; sent < due; sent++) {
      const begun = performance.now();
      begins[sent % count]!.push(begun);
      waits.push(send(setup.logs[sent % count]!, begun));
    }
  }
  await Promise.all(waits);
  await new Promise((done) => setTimeout(done, 0));
  over.abort();
  await Promise.all(follows);
  const at = (all: number[], share: number): number => {
    all.sort((a, b) => a - b);
    return all[Math.floor(all.length * share)] ?? NaN;
  };
  return {
    p50: at(times, 0.5),
    p99: at(times, 0.99),
    followed50: at(followed, 0.5),
    followed99: at(followed, 0.99),
    late,
  };
}

if (parts.includes("floors")) await measureFloors(values.folder, event.data);
if (parts.includes("speed")) {
  console.log("events/s at full speed (CPU us an event, of all threads)");
  for (const count of topics) {
    const results = new Map<
      string,
      { rate: number; cpu: number; counts: string }[]
    >();
    for (let round = 0; round < rounds; round++) {
      for (const store of stores) {
        const list = results.get(store) ?? [];
        results.set(store, list);
        list.push(await speed(store, count));
      }
    }
    for (const [store, list] of results) {
      console.log(
        `${count} topics, ${store}: ${
          Math.round(median(list.map(({ rate }) => rate)))
        } (${median(list.map(({ cpu }) => cpu)).toFixed(1)}) ${
          list[0]?.counts
        }`,
      );
    }
  }
}
if (parts.includes("latency")) {
  console.log(
    "p50 / p99 in ms: until an append is answered; until a follower has read the event (longest turn of the loop)",
  );
  for (const rate of rates) {
    for (const count of topics) {
      const all = new Map<string, Delays[]>();
      for (let round = 0; round < rounds; round++) {
        for (const store of stores) {
          const delays = await latency(store, count, rate);
          all.set(store, [...all.get(store) ?? [], delays]);
        }
      }
      for (const [store, list] of all) {
        const middle = (key: keyof Delays): string =>
          median(list.map((result) => result[key])).toFixed(2);
        const target = store === "full" ? TARGETS[rate] : undefined;
        console.log(
          `${rate}/s, ${count} topics, ${store}: ${middle("p50")} / ${
            middle("p99")
          }; ${middle("followed50")} / ${middle("followed99")} (${
            middle("late")
          })${target === undefined ? "" : `; target: ${target}`}`,
        );
      }
      const rows = Math.min(count, 100);
      const path = `${values.folder}/floor-${rate}-${count}.db`;
      await measureCommit(path, "full", rows, event.data);
    }
  }
}
if (parts.includes("delivery")) {
  await measureDelivery(values.folder, stores, {
    seconds: duration / 1_000,
    rounds,
  });
}

/** Fills a file with topics of events, and returns its path. */
async function fillFile(
  count: number,
  events: number,
  isEnded: boolean,
  path = `${values.folder}/bench-${++files}.db`,
): Promise<string> {
  await using store = new SqliteStore({
    path,
    sync: "normal",
    retention: RETENTION,
    clock: systemClock,
  });
  await store.open();
  const fill = async (name: string): Promise<void> => {
    using log = store.create(name, { isOpen: true });
    if (events > 0) {
      await log.append(Array.from({ length: events }, () => event));
    }
    if (isEnded) await log.end({ status: "complete", isWhole: true, at: 1 });
    else await log.settled();
  };
  for (let index = 0; index < count;) {
    const fills: Promise<void>[] = [];
    for (; index < count && fills.length < 4_000; index++) {
      fills.push(fill(`${isEnded ? "t" : "live"}${index}`));
    }
    await Promise.all(fills);
  }
  return path;
}

function storeAt(path: string): SqliteStore {
  return new SqliteStore({
    path,
    sync: "full",
    retention: RETENTION,
    clock: systemClock,
  });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MiB`;
}

if (parts.includes("rows")) {
  await measureRows(values.folder, event, 100, 2_000);
}
if (parts.includes("start")) {
  const path = await fillFile(10_000, 100, false);
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await using store = storeAt(path);
    await store.open();
    const opened = performance.now();
    const query = { after: "", prefix: "", limit: 1_000_000 };
    const { length } = await store.listUnended(query);
    const listed = performance.now();
    const log = store.find("live5000");
    await log?.read(1, { events: 512, bytes: 32 * 1024 });
    const read = performance.now();
    console.log(
      `start with 1 M events in ${length} topics: open ${
        (opened - start).toFixed(0)
      } ms, list ${(listed - opened).toFixed(0)} ms, first read ${
        (read - listed).toFixed(0)
      } ms`,
    );
  }
}
if (parts.includes("ended")) {
  const path = await fillFile(Number(values.ended), 0, true);
  await fillFile(Number(values.live), 10, false, path);
  // Of a process that has filled the file, the memory says nothing.
  await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", new URL(import.meta.url).pathname],
      ...["--parts", "opened", "--file", path, "--ended", values.ended],
    ],
    stdout: "inherit",
    stderr: "inherit",
  }).output();
}
// A part of `ended`: opens the file that it has filled.
if (parts.includes("opened")) {
  const path = values.file;
  const count = Number(values.ended);
  const before = Deno.memoryUsage().rss;
  const start = performance.now();
  await using store = storeAt(path);
  await store.open();
  const opened = performance.now();
  using registry = new TopicRegistry({
    store,
    endedTtl: Infinity,
    awaitedTtl: Infinity,
    clock: systemClock,
  });
  const live = await registry.restore();
  const restored = performance.now();
  console.log(
    `start with ${count} ended and ${live.length} live topics: open ${
      (opened - start).toFixed(0)
    } ms, take the live ones up ${(restored - opened).toFixed(0)} ms, RSS ${
      megabytes(before)
    } before and ${megabytes(Deno.memoryUsage().rss)} after`,
  );
  const finds = 10_000;
  for (let index = 0; index < finds; index++) {
    using log = store.find(`t${(index * 7_919) % count}`);
    if (!log) throw new Error("Expected the topic");
  }
  const found = performance.now();
  console.log(
    `${finds} of ${store.size} topics looked for: ${
      ((found - restored) / finds * 1_000).toFixed(0)
    } us each, RSS ${megabytes(Deno.memoryUsage().rss)}, file ${
      megabytes(Deno.statSync(path).size)
    }`,
  );
}
if (parts.includes("retention")) {
  const path = await fillFile(10_000, 100, true);
  const full = Deno.statSync(path).size;
  await using store = storeAt(path);
  await store.open();
  const start = performance.now();
  let late = 0;
  let last = start;
  const watch = setInterval(() => {
    late = Math.max(late, performance.now() - last - 1);
    last = performance.now();
  }, 1);
  await store.deleteEnded(Date.now());
  const over = performance.now();
  await new Promise<void>((done) => {
    const look = setInterval(() => {
      const { fileBytes } = store.counts;
      if (fileBytes > full * 0.2) return;
      clearInterval(look);
      done();
    }, 10);
  });
  clearInterval(watch);
  console.log(
    `10000 topics deleted in ${
      (over - start).toFixed(0)
    } ms, the file went from ${megabytes(full)} to ${
      megabytes(store.counts.fileBytes)
    } in ${
      (performance.now() - over).toFixed(0)
    } ms more, the loop stood still for ${late.toFixed(0)} ms at most`,
  );
}
await Deno.remove(values.folder, { recursive: true });
