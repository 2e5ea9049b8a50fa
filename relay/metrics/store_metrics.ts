import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { CommitReport } from "../stores/slow_commits.ts";
import type { StoreCounts } from "../stores/store_counts.ts";
import { copiedCounter, DELAY_BUCKETS } from "./instruments.ts";

/** Figures of a store: all are 0 where topics live in memory. */
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
    store: () => StoreCounts | undefined,
    isFailing: () => boolean,
    lag: () => number,
  ) {
    const registers = [registry];
    this.#commits = new Histogram({
      name: "rivulet_store_commit_seconds",
      help: "Duration of transactions of the store, or of messages to NATS.",
      buckets: [...DELAY_BUCKETS],
      registers,
    });
    this.#operations = new Counter({
      name: "rivulet_store_operations_total",
      help: "Operations in these: appends, ends and others.",
      registers,
    });
    this.#bytes = new Counter({
      name: "rivulet_store_bytes_total",
      help: "Bytes of events in these.",
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
      "Operations that wait to be kept.",
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
      "Time that an event takes from the relay where its topic lives, over all levels.",
      () => (store()?.nats?.lag ?? lag()) / 1_000,
      "max",
    );
    gauge(
      "rivulet_nats_connected",
      "1 while NATS is connected.",
      () => store()?.nats?.isConnected ? 1 : 0,
      "max",
    );
    gauge(
      "rivulet_nats_followed_logs",
      "Logs that the relay follows.",
      () => store()?.nats?.followed ?? 0,
    );
    gauge(
      "rivulet_nats_window_bytes",
      "Memory of the newest events of logs in NATS.",
      () => store()?.nats?.windowBytes ?? 0,
    );
    copiedCounter(registry, {
      name: "rivulet_nats_retries_total",
      help: "Requests that were sent to NATS again.",
      labelNames: [],
      read: () => [[{}, store()?.nats?.retries ?? 0]],
    });
    copiedCounter(registry, {
      name: "rivulet_nats_missed_total",
      help: "Times that messages of a log were missed, and read.",
      labelNames: [],
      read: () => [[{}, store()?.nats?.missed ?? 0]],
    });
    copiedCounter(registry, {
      name: "rivulet_store_failures_total",
      help: "Transactions, messages and attempts to write again that failed.",
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

  /** Counts a transaction or a message. */
  committed({ duration, operations, bytes }: CommitReport): void {
    this.#commits.observe(duration / 1_000);
    this.#operations.inc(operations);
    this.#bytes.inc(bytes);
  }
}
