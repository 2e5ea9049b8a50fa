import { Registry } from "prom-client";
import type { Figure } from "../metrics/instruments.ts";
import { registerProcessMetrics } from "../metrics/process_metrics.ts";
import { StoreMetrics } from "../metrics/store_metrics.ts";
import { type MeasuredTopic, TopicMetrics } from "../metrics/topic_metrics.ts";
import type { MeasuredProcess } from "../metrics/worker_metrics.ts";
import { WorkerMetrics } from "../metrics/worker_metrics.ts";
import type { StoreCounts } from "../stores/store_counts.ts";
import type { RelayStatus } from "../status/relay_status.ts";
import type { Store, StoredTopic } from "../topics/store.ts";

/** The most topics that are read at a time. */
const PAGE = 1_000;

/** The metrics of all topics, which only the store knows: workers know those in use there. */
const OF_STORE: ReadonlySet<string> = new Set([
  "rivulet_topics",
  "rivulet_log_events",
  "rivulet_log_bytes",
  "rivulet_topic_ends_total",
]);

/** The store that workers share, as far as it is measured. */
export interface MeasuredShare {
  /** The store. */
  readonly store: Pick<Store, "list" | "watch" | "failure">;
  /** Returns its figures, if it has any. */
  counts(): StoreCounts | undefined;
  /** Returns the number of workers that listen. */
  running(): number;
}

/** The figures of the process that keeps the store of workers. */
export class StoreFigures {
  /** Counts what the store does. */
  readonly commits: StoreMetrics;
  /** Counts workers. */
  readonly workers: WorkerMetrics;
  readonly #registry = new Registry();
  readonly #topics: TopicMetrics;
  readonly #share: MeasuredShare;
  #listed: readonly MeasuredTopic[] = [];
  readonly #ends = new Map<string, number>();

  /** Begins to count. */
  constructor(share: MeasuredShare) {
    this.#share = share;
    const registry = this.#registry;
    registerProcessMetrics(registry);
    this.commits = new StoreMetrics(
      registry,
      () => share.counts(),
      () => share.store.failure !== undefined,
      // That of a worker has the way of this process to its parent in it.
      () => 0,
    );
    this.#topics = new TopicMetrics(registry, () => this.#listed);
    this.workers = new WorkerMetrics(registry, () => share.running());
  }

  /** Counts the ends of topics, until the signal aborts. */
  async countEnds(signal: AbortSignal): Promise<void> {
    try {
      const query = { prefix: "", limit: PAGE };
      for await (const news of this.#share.store.watch(query, signal)) {
        if (news.kind !== "ended") continue;
        if (!news.topic.end) continue;
        const { status } = news.topic.end;
        this.#topics.ended(status);
        this.#ends.set(status, (this.#ends.get(status) ?? 0) + 1);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /**
   * Returns the figures of this process, with those of each worker beside them.
   *
   * @param workers The workers.
   */
  async read(workers: readonly MeasuredProcess[]): Promise<readonly Figure[]> {
    this.#listed = await this.#list();
    this.workers.processes = [
      ...workers,
      { name: "store", figures: await this.#own() },
    ];
    return await this.#registry.getMetricsAsJSON();
  }

  /** Counts the topics of the store, and the ends since its start. */
  async status(): Promise<Pick<RelayStatus, "topics" | "log" | "ends">> {
    const topics = { pending: 0, open: 0, ended: 0 };
    const retained = { events: 0, bytes: 0 };
    for (const { state, log: { first, next, bytes } } of await this.#list()) {
      topics[state.kind]++;
      retained.events += next - first;
      retained.bytes += bytes;
    }
    return { topics, log: retained, ends: Object.fromEntries(this.#ends) };
  }

  async #own(): Promise<readonly Figure[]> {
    this.workers.processes = [];
    return await this.#registry.getMetricsAsJSON();
  }

  async #list(): Promise<readonly MeasuredTopic[]> {
    const topics: MeasuredTopic[] = [];
    for (let after = "";;) {
      const query = { after, prefix: "", limit: PAGE };
      const page = await this.#share.store.list(query);
      topics.push(...page.map(measured));
      const last = page.at(-1);
      if (!last || page.length < PAGE) return topics;
      after = last.name;
    }
  }
}

/** Returns the figures of a worker that count for the relay. */
export function figuresOfWorker(
  figures: readonly Figure[],
): readonly Figure[] {
  return figures.filter(({ name }) => !OF_STORE.has(name));
}

function measured(
  { facts, first, next, bytes, end }: StoredTopic,
): MeasuredTopic {
  const kind = end ? "ended" : facts.isOpen || next > 1 ? "open" : "pending";
  return { state: { kind }, upstream: undefined, log: { first, next, bytes } };
}
