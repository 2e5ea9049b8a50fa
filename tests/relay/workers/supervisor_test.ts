import { setImmediate } from "node:timers/promises";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { LogCapture } from "../../support/observing/log_capture.ts";
import { FakeWorker } from "../../support/workers/fake_worker.ts";
import { StoreFigures } from "../../../relay/workers/store_figures.ts";
import type {
  RelayStatus,
  RelayTotals,
} from "../../../relay/status/relay_status.ts";
import { Supervisor } from "../../../relay/workers/supervisor.ts";
import { WorkersError } from "../../../relay/workers/workers_error.ts";
import { LIMIT } from "../../support/within.ts";

const LISTENING = {
  kind: "listening",
  hostname: "127.0.0.1",
  port: 1,
  url: "http://127.0.0.1:1",
};

const BOUNDS = { maxEvents: 10, maxBytes: 1_000, maxAge: Infinity };

/** A supervisor of workers that are no processes. */
class World implements AsyncDisposable {
  readonly clock = new FakeClock(1_000_000);
  readonly workers: FakeWorker[] = [];
  readonly forgotten: string[] = [];
  readonly supervisor: Supervisor;
  readonly #store = new MemoryStore(BOUNDS, this.clock);

  constructor(
    count: number,
    reportOf: (pid: number) => unknown = (pid) => ({
      ...LISTENING,
      store: `store of ${pid}`,
    }),
  ) {
    const figures = new StoreFigures({
      store: this.#store,
      counts: () => undefined,
      running: () => this.supervisor.listening,
    });
    this.supervisor = new Supervisor({
      count,
      startProcess: () => {
        const pid = this.workers.length + 1;
        const worker = new FakeWorker(pid, reportOf(pid));
        this.workers.push(worker);
        return worker.process;
      },
      order: {
        config: "{}",
        port: 1,
        link: { path: "p", secret: "s", hasOthers: false },
        log: { kind: "json" },
      },
      figures,
      usage: () => ({ resident: 1_000, heap: 0.5, heapUsed: 500 }),
      store: () => ({ kind: "memory", isLasting: false, isShared: false }),
      storeFailure: () => undefined,
      forget: (store) => void this.forgotten.push(store),
      log() {},
      clock: this.clock,
    });
  }

  /** Moves time on until something is so. */
  async pass(is: () => boolean, what: string): Promise<void> {
    const end = performance.now() + LIMIT;
    while (!is()) {
      assert(performance.now() < end, `Waited in vain for ${what}`);
      await this.clock.advance(50);
      // Those at the other end have their turn.
      await setImmediate();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clock.run(this.supervisor.drain(0));
    await this.#store[Symbol.asyncDispose]();
  }
}

function counterFigure(name: string, value: number): unknown {
  return {
    name,
    help: "Help.",
    type: "counter",
    aggregator: "sum",
    values: [{ value, labels: {} }],
  };
}

Deno.test("Supervisor starts a worker again that ends, later each time, and forgets its store", async () => {
  await using capture = await LogCapture.start();
  await using world = new World(2);
  let first = 0;
  await world.supervisor.start(() => first++);
  assertEquals([first, world.supervisor.listening], [2, 2]);
  const before = await Promise.all(
    world.workers.map(async ({ order }) => await order),
  );
  assertEquals(
    before.map(({ worker, of, isAgain }) => [worker, of, isAgain]),
    [[1, 2, false], [2, 2, false]],
  );
  const delays: number[] = [];
  let current = world.workers[0]!; // of two
  for (let count = 0; count < 9; count++) {
    const started = world.workers.length;
    const at = world.clock.now();
    current.end("SIGKILL");
    await world.pass(() => world.workers.length > started, "another worker");
    delays.push(world.clock.now() - at);
    current = world.workers.at(-1)!; // it was just started
    await world.pass(() => world.supervisor.listening === 2, "two that listen");
  }
  const { worker, isAgain } = await current.order;
  assertEquals([worker, isAgain], [1, true]);
  // Time moves on in steps, some of which pass while nothing waits for them.
  for (
    const [index, least] of [100, 200, 400, 800, 1_600, 3_200, 6_400].entries()
  ) {
    assert(delays[index]! >= least, `${delays}`);
  }
  assert(delays.every((delay) => delay < 12_000), `${delays}`);
  assertEquals(world.forgotten[0], "store of 1");
  assertEquals(world.forgotten.length, 9);
  assert(capture.text.includes("Worker 1 has ended: SIGKILL"), capture.text);
});

Deno.test("Supervisor ends all and says why, if a worker cannot start", async () => {
  await using world = new World(
    2,
    (pid) =>
      pid === 2
        ? { kind: "failed", isLater: true, message: "The port is taken" }
        : { ...LISTENING, store: "s" },
  );
  const error = await assertRejects(
    () => world.supervisor.start(() => {}),
    WorkersError,
    "The port is taken",
  );
  assertEquals([error.isLater, world.supervisor.pids], [true, []]);
});

Deno.test("Supervisor sums figures, and counters do not go back when a worker ends", async () => {
  await using world = new World(2);
  await world.supervisor.start(() => {});
  const name = "rivulet_published_events_total";
  for (const [index, worker] of world.workers.entries()) {
    worker.answer = (method) =>
      method === "figures" ? [counterFigure(name, 10 * (index + 1))] : null;
  }
  const [one, two] = world.workers;
  const scrape = async (by: FakeWorker): Promise<number> => {
    const text = String(await by.peer.call("metrics"));
    const [, value] = new RegExp(`^${name} (\\S+)$`, "m").exec(text) ?? [];
    assert(text.includes("rivulet_workers 2"), text);
    return Number(value);
  };
  assertEquals([await scrape(one!), await scrape(two!)], [30, 30]);
  one!.end("SIGKILL");
  await world.pass(() => world.workers.length === 3, "another worker");
  await world.pass(() => world.supervisor.listening === 2, "two that listen");
  const third = world.workers[2]!; // it was just started
  third.answer = (method) =>
    method === "figures" ? [counterFigure(name, 1)] : null;
  assertEquals(await scrape(two!), 31);
});

/** Returns a status of which every figure is the number of a worker. */
function statusOf(worker: number): RelayStatus {
  const totals: RelayTotals = {
    publishedEvents: worker,
    publishedBytes: worker,
    deliveredEvents: worker,
    deliveredMessages: worker,
    deliveredBytes: worker,
    connections: worker,
    subscriptions: worker,
    slowCloses: worker,
    gaps: worker,
    refusals: worker,
  };
  return {
    version: "v",
    runtime: "r",
    time: 1_000,
    startedAt: 1_000 - worker,
    uptime: worker,
    workers: 2,
    ready: worker !== 2,
    ...(worker === 2 && { problem: { code: "draining", detail: "d" } }),
    ...(worker === 2 && { draining: { left: 5 } }),
    access: "tokens",
    store: { kind: "own", isLasting: true, isShared: true },
    connections: {
      tcp: worker,
      websocket: worker,
      sse: worker,
      lists: worker,
      max: 9,
    },
    subscriptions: { websocket: worker, sse: worker },
    topics: { pending: worker, open: worker, ended: worker },
    runs: worker,
    upstreams: worker,
    log: { events: worker, bytes: worker },
    lag: { max: worker, topic: `t-${worker}` },
    totals,
    rates: { ...totals, gaps: worker / 10 },
    refusals: { [`code_${worker}`]: worker, all: worker },
    ends: { complete: worker },
    memory: {
      rss: worker,
      heap: worker,
      max: 9,
      queued: worker,
      received: worker,
      isAtEdge: worker === 1,
    },
    loopDelay: { p50: worker, p99: worker, max: worker },
  };
}

Deno.test("Supervisor says how the workers are as one relay, with the counts of those that have ended", async () => {
  await using world = new World(2);
  await world.supervisor.start(() => {});
  const answers = (worker: FakeWorker, number: number): void => {
    worker.answer = (method) => method === "status" ? statusOf(number) : null;
  };
  const [one, two] = world.workers;
  answers(one!, 1);
  answers(two!, 2);
  const { totals, rates, ...status } = statusOf(2);
  const all = {
    ...status,
    ...{ startedAt: 998, ready: false, runs: 3, upstreams: 3 },
    store: { kind: "memory", isLasting: false, isShared: false },
    connections: { tcp: 3, websocket: 3, sse: 3, lists: 3, max: 9 },
    subscriptions: { websocket: 3, sse: 3 },
    // The store has no topics.
    ...{ topics: { pending: 0, open: 0, ended: 0 }, ends: {} },
    log: { events: 0, bytes: 0 },
    refusals: { code_1: 1, code_2: 2, all: 3 },
    memory: {
      ...{ rss: 1_003, heap: 503, max: 9, queued: 3, received: 3 },
      isAtEdge: true,
    },
    totals: mapped(totals, () => 3),
    rates: { ...mapped(rates, () => 3), gaps: 0.3 },
  };
  assertEquals(await one!.peer.call("status"), all);
  assertEquals(await two!.peer.call("status"), all);
  one!.end("SIGKILL");
  await world.pass(() => world.workers.length === 3, "another worker");
  await world.pass(() => world.supervisor.listening === 2, "two that listen");
  answers(world.workers[2]!, 10); // it was just started
  const later = await two!.peer.call("status") as RelayStatus;
  assertEquals(later.totals, mapped(totals, () => 13));
  assertEquals(later.refusals, { code_1: 1, code_2: 2, code_10: 10, all: 13 });
  assertEquals([later.rates.gaps, later.runs], [1.2, 12]);
});

function mapped<Name extends string>(
  counts: Readonly<Record<Name, number>>,
  map: (count: number) => number,
): Record<Name, number> {
  const entries = Object.entries<number>(counts);
  // They have the same names.
  return Object.fromEntries(
    entries.map(([name, count]) => [name, map(count)]),
  ) as Record<Name, number>;
}

Deno.test("Supervisor asks all workers whether they are ready, and whether they live", async () => {
  await using world = new World(2);
  await world.supervisor.start(() => {});
  const [one, two] = world.workers;
  assertEquals(await one!.peer.call("readiness", "sources"), null);
  const draining = {
    status: 503,
    code: "draining",
    detail: "d",
    facts: {},
    headers: { "Retry-After": "1" },
  };
  two!.answer = (method, body) =>
    method === "readiness" && body === "sources" ? draining : null;
  assertEquals(await one!.peer.call("readiness", "sources"), draining);
  assertEquals(await one!.peer.call("health"), null);
  // One that does nothing any more is not well, and is ended after a while.
  two!.answer = () => new Promise(() => {});
  const health = world.clock.run(one!.peer.call("health"));
  const { code } = await health as { code: string };
  assertEquals(code, "worker_unresponsive");
  await world.pass(() => world.workers.length === 3, "another worker");
  assertEquals((await world.workers[2]!.order).worker, 2);
});

Deno.test("Supervisor has workers count together, and forgets what a dead one has counted", async () => {
  await using world = new World(3);
  await world.supervisor.start(() => {});
  const [one, two, three] = world.workers;
  void one!.peer.note("counts", [
    ["connections", "", 3],
    ["published", "a", 7],
  ]);
  await world.pass(() => three!.counts.length === 2, "counts");
  assertEquals(three!.counts, [["connections", "", 3], ["published", "a", 7]]);
  assertEquals(one!.counts, []);
  one!.end("SIGKILL");
  await world.pass(() => two!.counts.length === 3, "counts");
  assertEquals(two!.counts.at(-1), ["connections", "", -3]);
  void two!.peer.note("counts", [["upstreams_of_client", "a", 2]]);
  await world.pass(() => world.workers.length === 4, "another worker");
  await world.pass(() => world.workers[3]!.counts.length === 1, "counts");
  assertEquals(world.workers[3]!.counts, [["upstreams_of_client", "a", 2]]);
  void two!.peer.note("usage", { resident: 50, heap: 0.1 });
  await world.pass(() => three!.others?.resident === 1_050, "usage");
  assertEquals(two!.others, { resident: 1_000, heap: 0.5 });
});

Deno.test("Supervisor drains all workers, and kills those that do not end", async () => {
  const world = new World(2);
  await world.supervisor.start(() => {});
  const [one, two] = world.workers;
  two!.answer = () => new Promise(() => {});
  const ended = Promise.withResolvers<void>();
  void two!.process.ended.then((how) => {
    assertEquals(how, "SIGKILL");
    ended.resolve();
  });
  const at = world.clock.now();
  await world.clock.run(world.supervisor.drain(5_000));
  await ended.promise;
  assertEquals(one!.calls, ["drain"]);
  assert(world.clock.now() - at >= 15_000);
  await world[Symbol.asyncDispose]();
});
