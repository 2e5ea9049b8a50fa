import process from "node:process";
import { type Clock, wallTime } from "../../src/fetch/clock.ts";
import { VERSION } from "../../src/version.ts";
import { RUNTIME } from "../runtime.ts";
import { RateSampler } from "./rate_sampler.ts";
import type {
  RelayLoopDelay,
  RelayStatus,
  RelayTotals,
} from "./relay_status.ts";

/** A topic, as far as it is counted. */
interface CountedTopic {
  readonly name: string;
  readonly state: { readonly kind: "pending" | "open" | "ended" };
  readonly lag: number | undefined;
  readonly log: {
    readonly first: number;
    readonly next: number;
    readonly bytes: number;
  };
}

/** The sources of a report. They are read only when somebody asks for one. */
export interface StatusReadings {
  /** The values that are counted anyway. */
  readonly metrics: {
    /** The totals since the start. */
    readonly totals: RelayTotals;
    /** Refusals by their codes. */
    readonly refusals: ReadonlyMap<string, number>;
    /** Ends of topics by their status. */
    readonly ends: ReadonlyMap<string, number>;
    /** The delays of the event loop. */
    readonly loopDelay: RelayLoopDelay;
  };
  /** Returns the topics in memory. */
  topics(): Iterable<CountedTopic>;
  /** Returns the time when the relay began to listen. */
  startedAt(): number | undefined;
  /** Returns the number of processes that serve the relay's port. */
  workers(): number;
  /** Returns the time that is left of draining, in milliseconds; `undefined` if it has not begun. */
  draining(): number | undefined;
  /** Returns why the relay is not ready. */
  problem(): { readonly code: string; readonly detail: string } | undefined;
  /** Returns what the doors have. */
  doors(): Pick<RelayStatus, "connections" | "subscriptions">;
  /** Returns how many runs and upstreams there are. */
  upstreams(): Pick<RelayStatus, "runs" | "upstreams">;
  /** Returns what the memory is used for. */
  memory(): Omit<RelayStatus["memory"], "rss" | "heap">;
  /** Returns the store. */
  store(): RelayStatus["store"];
}

/** Says how a relay is. */
export class StatusReport implements Disposable {
  readonly #readings: StatusReadings;
  readonly #access: RelayStatus["access"];
  readonly #clock: Clock;
  readonly #rates: RateSampler;

  /**
   * Makes a report.
   *
   * @param readings The sources of the report.
   * @param access The access that the relay gives.
   * @param clock The source of time.
   */
  constructor(
    readings: StatusReadings,
    access: RelayStatus["access"],
    clock: Clock,
  ) {
    this.#readings = readings;
    this.#access = access;
    this.#clock = clock;
    this.#rates = new RateSampler(() => readings.metrics.totals, clock);
  }

  /** Says how the relay is now. */
  read(): RelayStatus {
    const readings = this.#readings;
    const { metrics } = readings;
    const now = this.#clock.now();
    const startedAt = readings.startedAt() ?? now;
    const uptime = Math.floor(now - startedAt);
    const time = Math.floor(wallTime(this.#clock));
    const left = readings.draining();
    const problem = readings.problem();
    const { rss, heapUsed } = process.memoryUsage();
    return {
      version: VERSION,
      runtime: RUNTIME,
      time,
      startedAt: time - uptime,
      uptime,
      workers: readings.workers(),
      ...(left !== undefined && { draining: { left: Math.floor(left) } }),
      ready: problem === undefined,
      ...(problem && {
        problem: { code: problem.code, detail: problem.detail },
      }),
      access: this.#access,
      store: readings.store(),
      ...readings.doors(),
      ...count(readings.topics()),
      ...readings.upstreams(),
      ...this.#rates.figures,
      refusals: Object.fromEntries(metrics.refusals),
      ends: Object.fromEntries(metrics.ends),
      memory: { rss, heap: heapUsed, ...readings.memory() },
      loopDelay: metrics.loopDelay,
    };
  }

  /** Measures no more. */
  [Symbol.dispose](): void {
    this.#rates[Symbol.dispose]();
  }
}

function count(
  topics: Iterable<CountedTopic>,
): Pick<RelayStatus, "topics" | "log" | "lag"> {
  const states = { pending: 0, open: 0, ended: 0 };
  let events = 0;
  let bytes = 0;
  let max = 0;
  let slowest: string | undefined;
  for (const { name, state, lag = 0, log } of topics) {
    states[state.kind]++;
    events += log.next - log.first;
    bytes += log.bytes;
    if (lag <= max) continue;
    max = lag;
    slowest = name;
  }
  return {
    topics: states,
    log: { events, bytes },
    lag: { max, ...(slowest !== undefined && { topic: slowest }) },
  };
}
