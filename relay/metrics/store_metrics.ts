import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { copiedCounter, DELAY_BUCKETS } from "./instruments.ts";

/** A store in a file, as far as it is measured. */
export interface MeasuredStore {
  /** The operations that wait for their transaction. */
  readonly backlog: number;
  /** The bytes of the file. */
  readonly fileBytes: number;
  /** The bytes of the file that are free. */
  readonly freeBytes: number;
  /** The transactions that failed, and the attempts to write again that failed. */
  readonly failures: number;
  /** The ended topics that were deleted before their time. */
  readonly evicted: number;
}

/** A transaction that was committed. */
export interface MeasuredCommit {
  /** The duration, in milliseconds. */
  readonly duration: number;
  /** The number of operations. */
  readonly operations: number;
  /** The bytes of events. */
  readonly bytes: number;
}

/** Figures of a store that is in a file: all are 0 where topics live in memory. */
export class StoreMetrics {
  readonly #commits: Histogram;
  readonly #operations: Counter;
  readonly #bytes: Counter;

  /**
   * Registers them.
   *
   * @param registry The registry.
   * @param store Reads the store; `undefined` where it is in memory.
   * @param isFailing Whether the store keeps nothing now.
   * @param lag Returns the time from where the topics live to this relay, in
   * milliseconds.
   */
  constructor(
    registry: Registry,
    store: () => MeasuredStore | undefined,
    isFailing: () => boolean,
    lag: () => number,
  ) {
    const registers = [registry];
    this.#commits = new Histogram({
      name: "rivulet_store_commit_seconds",
      help: "How long transactions of the store took.",
      buckets: [...DELAY_BUCKETS],
      registers,
    });
    this.#operations = new Counter({
      name: "rivulet_store_operations_total",
      help: "Operations in these transactions: appends, ends and others.",
      registers,
    });
    this.#bytes = new Counter({
      name: "rivulet_store_bytes_total",
      help: "Bytes of events in these transactions.",
      registers,
    });
    const gauge = (
      name: string,
      help: string,
      read: () => number,
      aggregator: "sum" | "max" = "sum",
    ): void => {
      new Gauge({
        name,
        help,
        aggregator,
        registers,
        collect(): void {
          this.set(read());
        },
      });
    };
    gauge(
      "rivulet_store_backlog",
      "Operations that wait for their transaction.",
      () => store()?.backlog ?? 0,
    );
    gauge(
      "rivulet_store_file_bytes",
      "Bytes of the store's file.",
      () => store()?.fileBytes ?? 0,
    );
    gauge(
      "rivulet_store_free_bytes",
      "Bytes of the store's file that are free.",
      () => store()?.freeBytes ?? 0,
    );
    gauge(
      "rivulet_store_failed",
      "1 while the store keeps nothing.",
      () => isFailing() ? 1 : 0,
      "max",
    );
    gauge(
      "rivulet_store_lag_seconds",
      "How long an event takes from the relay where its topic lives, all levels.",
      () => lag() / 1_000,
      "max",
    );
    copiedCounter(registry, {
      name: "rivulet_store_failures_total",
      help: "Transactions and attempts to write again that failed.",
      labelNames: [],
      read: () => [[{}, store()?.failures ?? 0]],
    });
    copiedCounter(registry, {
      name: "rivulet_store_evicted_topics_total",
      help: "Ended topics that were deleted early for want of room.",
      labelNames: [],
      read: () => [[{}, store()?.evicted ?? 0]],
    });
  }

  /** Counts a transaction. */
  committed({ duration, operations, bytes }: MeasuredCommit): void {
    this.#commits.observe(duration / 1_000);
    this.#operations.inc(operations);
    this.#bytes.inc(bytes);
  }
}
