import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import { wait } from "../../src/fetch/retry.ts";
import type { Figure } from "../metrics/instruments.ts";
import { remainsOf, sumFigures } from "../metrics/sum_figures.ts";
import { type Problem, unresponsiveWorker } from "../problem.ts";
import type { StartedProcess } from "../runtime.ts";
import type { RelayStatus } from "../status/relay_status.ts";
import {
  type StatusRemains,
  sumRemains,
  sumStatuses,
} from "../status/sum_statuses.ts";
import { CountLedger } from "./count_ledger.ts";
import type { StartOrder, StartReport, Usage } from "./messages.ts";
import { figuresOfWorker, type StoreFigures } from "./store_figures.ts";
import { WorkerProcess } from "./worker_process.ts";
import { WorkersError } from "./workers_error.ts";

/** The time until a worker that has ended is started again, in milliseconds; it doubles. */
const BACKOFF = { first: 100, most: 10_000 };

/** The time after which a worker that ends has not ended for the reason of the last one. */
const STEADY = 60_000;

/** The interval at which workers are asked for a sign of life, in milliseconds. */
const LOOK = 5_000;

/** The time after which a worker that does not answer is ended, in milliseconds. */
const STUCK = 30_000;

/** The time in which a worker answers that is well, in milliseconds. */
const WELL = 2_000;

/** The time that a worker has to end beyond that of a drain, in milliseconds. */
const GRACE = 10_000;

/** The interval at which workers are told what the others occupy, in milliseconds. */
const TELL = 250;

/** Where the workers of a relay listen. */
export type WorkersAddress = Extract<StartReport, { kind: "listening" }>;

/** The parts of a supervisor. */
export interface SupervisorOptions {
  /** The number of workers. */
  readonly count: number;
  /** Starts a process for a worker. */
  startProcess(): StartedProcess;
  /** The order to each worker. */
  readonly order: Omit<StartOrder, "worker" | "of" | "isAgain">;
  /** The figures of this process. */
  readonly figures: StoreFigures;
  /** Returns what this process occupies, and the bytes of its objects. */
  usage(): Usage & { readonly heapUsed: number };
  /** Describes the store. */
  store(): RelayStatus["store"];
  /** Returns why the store keeps nothing now, if it does not. */
  storeFailure(): Problem | undefined;
  /** Takes note that the relay with a store of this id is dead. */
  forget(store: string): void;
  /** Writes a line of a worker's log. */
  log(line: string): void;
  /** The source of time. */
  readonly clock: Clock;
}

const logger = getLogger(["rivulet", "relay", "workers"]);

/** Starts the workers of a relay, starts those again that end, and speaks for all. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #ledger = new CountLedger();
  /** Those that listen. */
  readonly #listening = new Set<WorkerProcess>();
  /** Those that have not ended. */
  readonly #running = new Set<WorkerProcess>();
  readonly #stopping = new AbortController();
  /** The counts of workers that have ended, as their status had them. */
  #statusRemains: StatusRemains | undefined;
  /** The same as figures. */
  #remains: Promise<readonly Figure[]> = Promise.resolve([]);
  #slots: readonly Promise<void>[] = [];
  #cancelKill: () => void = () => {};

  /** Starts nothing yet. */
  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** The number of workers that listen. */
  get listening(): number {
    return this.#listening.size;
  }

  /** The numbers that the system has given the processes of the workers. */
  get pids(): readonly number[] {
    return [...this.#running].map(({ pid }) => pid);
  }

  /**
   * Starts the workers.
   *
   * @param onFirst Called when the first of them listens.
   * @returns Where they listen. Rejects with a {@linkcode WorkersError}.
   */
  async start(onFirst: () => void): Promise<WorkersAddress> {
    const { count } = this.#options;
    const starts = Array.from({ length: count }, (_, index) => {
      const worker = index + 1;
      const first = Promise.withResolvers<WorkersAddress>();
      first.promise.then(onFirst, () => {});
      return { worker, first };
    });
    this.#slots = starts.map(({ worker, first }) => this.#keep(worker, first));
    void this.#watch();
    void this.#tellUsage();
    try {
      const [address] = await Promise.all(
        starts.map(({ first }) => first.promise),
      );
      return address!; // there is one worker at least
    } catch (error) {
      this.#stopping.abort();
      for (const worker of this.#running) worker.kill();
      await this.#ended();
      throw error;
    }
  }

  /** Drains all workers; resolves when they have ended. */
  async drain(duration: number): Promise<void> {
    this.#stopping.abort();
    for (const worker of this.#running) void worker.drain(duration);
    this.#killAfter(duration + GRACE);
    await this.#ended();
    this.#cancelKill();
  }

  /** Cuts a drain short. */
  close(): void {
    for (const worker of this.#running) worker.close();
    this.#killAfter(GRACE);
  }

  #killAfter(duration: number): void {
    this.#cancelKill();
    this.#cancelKill = this.#options.clock.setTimeout(() => {
      for (const worker of this.#running) worker.kill();
    }, duration);
  }

  async #ended(): Promise<void> {
    await Promise.all(this.#slots);
  }

  /** Has one worker run, and another in its place when it ends. */
  async #keep(
    worker: number,
    first: PromiseWithResolvers<WorkersAddress>,
  ): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    let delay = BACKOFF.first;
    for (let isAgain = false; !signal.aborted; isAgain = true) {
      const began = clock.now();
      let hasListened = isAgain;
      const how = await this.#runOnce(worker, isAgain, (address) => {
        hasListened = true;
        first.resolve(address);
      });
      if (!hasListened) return first.reject(how);
      if (signal.aborted) return;
      if (clock.now() - began > STEADY) delay = BACKOFF.first;
      logger.error(
        "Starting worker {worker} again in {delay} ms: {reason}",
        { worker, delay, reason: how.message },
      );
      this.#options.figures.workers.restarted();
      if (!await passes(delay, clock, signal)) return;
      delay = Math.min(delay * 2, BACKOFF.most);
    }
  }

  /** Runs a worker until it ends; returns how, or why it could not be started. */
  async #runOnce(
    number: number,
    isAgain: boolean,
    onListening: (address: WorkersAddress) => void,
  ): Promise<WorkersError> {
    const { startProcess, order, count, forget, clock } = this.#options;
    let process: StartedProcess;
    try {
      process = startProcess();
    } catch (cause) {
      return new WorkersError(
        `Cannot start worker ${number}: ${messageOf(cause)}`,
        true,
        { cause },
      );
    }
    const worker = new WorkerProcess(number, process, this.#listener, clock);
    this.#running.add(worker);
    this.#ledger.join(worker);
    try {
      // A call is refused when the process ends, which says more by how it ends.
      const report = await worker
        .start({ ...order, worker: number, of: count, isAgain })
        .catch(() => undefined);
      if (report?.kind === "failed") {
        return new WorkersError(report.message, report.isLater);
      }
      if (report) {
        this.#listening.add(worker);
        onListening(report);
        await worker.ended;
      }
      worker.kill();
      return new WorkersError(
        `Worker ${number} has ended: ${await worker.ended}`,
        true,
      );
    } finally {
      worker.kill();
      await worker.ended;
      this.#running.delete(worker);
      this.#listening.delete(worker);
      this.#ledger.leave(worker);
      this.#remains = this.#remains.then((remains) =>
        sumFigures([remains, remainsOf(worker.lastFigures)]).figures()
      );
      this.#statusRemains = sumRemains(
        [this.#statusRemains, worker.lastStatus],
      );
      if (worker.store !== undefined) forget(worker.store);
    }
  }

  readonly #listener = {
    metrics: (): Promise<string> => this.#metrics(),
    idleFor: async (topic: string): Promise<number> =>
      Math.min(
        ...await Promise.all(
          [...this.#listening].map((worker) => worker.idleFor(topic)),
        ),
      ),
    readiness: (query: string): Promise<Problem | undefined> =>
      this.#readiness(query),
    status: (worker: WorkerProcess): Promise<RelayStatus> =>
      this.#status(worker),
    health: (): Promise<Problem | undefined> => this.#health(),
    counted: (...changes: Parameters<CountLedger["changed"]>): void =>
      this.#ledger.changed(...changes),
    logged: (line: string): void => this.#options.log(line),
    said: ({ number: worker }: WorkerProcess, line: string): void => {
      if (line.trim() === "") return;
      logger.warn("Worker {worker} wrote: {line}", { worker, line });
    },
  };

  async #metrics(): Promise<string> {
    const workers = await Promise.all(
      [...this.#listening].map(async (worker) => ({
        name: String(worker.number),
        figures: await worker.figures(),
      })),
    );
    workers.sort((a, b) => Number(a.name) - Number(b.name));
    const own = await this.#options.figures.read(workers);
    return await sumFigures([
      own,
      ...workers.map(({ figures }) => figuresOfWorker(figures)),
      figuresOfWorker(await this.#remains),
    ]).text();
  }

  async #status(asked: WorkerProcess): Promise<RelayStatus> {
    const { figures, store, usage } = this.#options;
    const others = [...this.#listening].filter((worker) => worker !== asked);
    const [own, ofStore, ...ofOthers] = await Promise.all([
      asked.status(),
      figures.status(),
      ...others.map((worker) => worker.status()),
    ]);
    if (!own) {
      throw new WorkersError("Expected the worker to say how it is", true);
    }
    const { resident: rss, heapUsed: heap } = usage();
    return sumStatuses(
      [own, ...ofOthers.filter((status) => status !== undefined)],
      this.#statusRemains,
      { ...ofStore, store: store() },
      { rss, heap },
    );
  }

  async #readiness(query: string): Promise<Problem | undefined> {
    const problems = await Promise.all([
      this.#options.storeFailure(),
      ...[...this.#listening].map((worker) => worker.readiness(query)),
    ]);
    return problems.find((problem) => problem !== undefined);
  }

  async #health(): Promise<Problem | undefined> {
    const problems = await Promise.all(
      [...this.#listening].map(async (worker) =>
        await worker.isAlive(WELL)
          ? undefined
          : unresponsiveWorker(worker.number)
      ),
    );
    return problems.find((problem) => problem !== undefined);
  }

  /** Ends workers that do not answer. */
  async #watch(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    const looked = new Set<WorkerProcess>();
    while (await passes(LOOK, clock, signal)) {
      for (const worker of this.#listening) {
        if (looked.has(worker)) continue;
        looked.add(worker);
        void this.#look(worker).finally(() => looked.delete(worker));
      }
    }
  }

  async #look(worker: WorkerProcess): Promise<void> {
    if (await worker.isAlive(STUCK) || !this.#listening.has(worker)) return;
    logger.error(
      "Worker {worker} has not answered for {seconds} s: killing it",
      { worker: worker.number, seconds: STUCK / 1_000 },
    );
    worker.kill();
  }

  /** Tells each worker what all others occupy. */
  async #tellUsage(): Promise<void> {
    const { clock } = this.#options;
    while (await passes(TELL, clock, this.#stopping.signal)) {
      const own = this.#options.usage();
      const workers = [...this.#running];
      const resident = workers.reduce(
        (sum, { usage }) => sum + usage.resident,
        own.resident,
      );
      for (const worker of this.#listening) {
        worker.tellUsage({
          heap: own.heap,
          resident: resident - worker.usage.resident,
        });
      }
    }
  }
}

/** Waits; returns whether that was not cut short. */
async function passes(
  duration: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await wait(duration, clock, signal);
    return true;
  } catch {
    return false;
  }
}
