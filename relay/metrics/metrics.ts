import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { type Clock, systemClock } from "../../src/fetch/clock.ts";
import type { DeliveryCounts } from "../delivery/delivery_counts.ts";
import type { CommitReport } from "../stores/slow_commits.ts";
import type { StoreCounts } from "../stores/store_counts.ts";
import {
  type DeliveryDoor,
  DeliveryMetrics,
  type OpenConnections,
} from "./delivery_metrics.ts";
import { DELAY_BUCKETS, type Figure } from "./instruments.ts";
import { LagSampler } from "./lag_sampler.ts";
import { LoopDelay } from "./loop_delay.ts";
import {
  type CutReason,
  type MeasuredMemory,
  MemoryMetrics,
} from "./memory_metrics.ts";
import { registerProcessMetrics } from "./process_metrics.ts";
import { StoreMetrics } from "./store_metrics.ts";
import {
  type MeasuredEnd,
  type MeasuredTopic,
  type PublishCounts,
  type PublishDoor,
  TopicMetrics,
} from "./topic_metrics.ts";
import type { RelayTotals } from "../status/relay_status.ts";
import { REFUSAL_REASONS, refusalReason } from "./refusal_reason.ts";
import {
  type ProviderOutcome,
  type RunOutcome,
  UpstreamMetrics,
  type UpstreamOutcome,
} from "./upstream_metrics.ts";

/** The readings that are taken when somebody asks, and not before. */
export interface MetricsReadings {
  /** The connections of each door that are open. */
  connections(): OpenConnections;
  /** Returns the number of connections of the server, whatever for. */
  tcpConnections(): number;
  /** Returns the number of readers of lists of topics. */
  lists(): number;
  /** The topics. */
  topics(): Iterable<MeasuredTopic>;
  /** Those of them that an upstream fills. */
  upstreams(): Iterable<MeasuredTopic>;
  /** Returns the number of requests to providers that are under way. */
  runs(): number;
  /** The memory of the process. */
  memory(): MeasuredMemory;
  /** The store; `undefined` where it is in memory. */
  store(): StoreCounts | undefined;
  /** Whether the store keeps nothing now. */
  isStoreFailing(): boolean;
  /**
   * Returns the time that events take from the relay where their topics live, in
   * milliseconds. Default: 0, as they live here.
   */
  storeLag?(): number;
}

function sum<T>(values: Iterable<T>, read: (value: T) => number): number {
  let sum = 0;
  for (const value of values) sum += read(value);
  return sum;
}

/** The options of a relay's metrics. */
export interface MetricsOptions {
  /** As logs have it that give events their time. */
  readonly clock: Clock;
  /** The version of the program. */
  readonly version: string;
}

/**
 * The metrics that a relay reports to Prometheus.
 *
 * Who counts is given a narrow piece of it. Labels have values from closed sets
 * only, none of which comes from a client.
 */
export class Metrics implements Disposable {
  readonly #registry = new Registry();
  readonly #delivery: DeliveryMetrics;
  readonly #topics: TopicMetrics;
  readonly #upstreams: UpstreamMetrics;
  readonly #refusals: Counter<"reason">;
  /** The same as numbers that can be read at once. */
  readonly #refused = new Map<string, number>();
  readonly #memory: MemoryMetrics;
  readonly #store: StoreMetrics;
  readonly #lag: LagSampler;
  readonly #loop: LoopDelay;

  /**
   * Begins to measure.
   *
   * @param readings The sources of values.
   * @param options The settings.
   */
  constructor(
    readings: MetricsReadings,
    { clock, version }: MetricsOptions,
  ) {
    const registry = this.#registry;
    const registers = [registry];
    new Gauge({
      name: "rivulet_build_info",
      help: "1, with the version of the program.",
      labelNames: ["version"],
      aggregator: "first",
      registers,
    }).set({ version }, 1);
    this.#delivery = new DeliveryMetrics(
      registry,
      () => readings.connections(),
      clock,
    );
    new Gauge({
      name: "rivulet_tcp_connections",
      help: "Connections of the server that are open, whatever for.",
      registers,
      collect(): void {
        this.set(readings.tcpConnections());
      },
    });
    new Gauge({
      name: "rivulet_list_streams",
      help: "Connections that follow a list of topics, as pages do.",
      registers,
      collect(): void {
        this.set(readings.lists());
      },
    });
    this.#topics = new TopicMetrics(registry, () => readings.topics());
    this.#upstreams = new UpstreamMetrics(
      registry,
      () => readings.upstreams(),
      () => readings.runs(),
    );
    this.#refusals = new Counter({
      name: "rivulet_refusals_total",
      help: "Refused requests and messages, by the code of the answer.",
      labelNames: ["reason"],
      registers,
    });
    this.#memory = new MemoryMetrics(registry, () => readings.memory());
    this.#store = new StoreMetrics(
      registry,
      () => readings.store(),
      () => readings.isStoreFailing(),
      () => readings.storeLag?.() ?? 0,
    );
    for (const reason of REFUSAL_REASONS) this.#refusals.inc({ reason }, 0);
    const loopDelay = new Histogram({
      name: "rivulet_event_loop_delay_seconds",
      help:
        "Delay with which the event loop runs a timer, sampled every 50 ms.",
      buckets: [...DELAY_BUCKETS],
      registers,
    });
    registerProcessMetrics(registry);
    this.#lag = new LagSampler(clock, () => this.#delivery.lagDoors);
    // The loop takes real time, whatever the relay is told.
    this.#loop = new LoopDelay(loopDelay, systemClock);
  }

  /** The type of {@linkcode Metrics.text}. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All of it, in Prometheus' text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** All of it, to be added to that of other processes. */
  figures(): Promise<readonly Figure[]> {
    return this.#registry.getMetricsAsJSON();
  }

  /** The totals since the start, of all doors together. */
  get totals(): RelayTotals {
    const published = [this.published("http"), this.published("websocket")];
    const delivered = [this.delivery("websocket"), this.delivery("sse")];
    return {
      publishedEvents: sum(published, ({ events }) => events),
      publishedBytes: sum(published, ({ bytes }) => bytes),
      deliveredEvents: sum(delivered, ({ events }) => events),
      deliveredMessages: sum(delivered, ({ messages }) => messages),
      deliveredBytes: sum(delivered, ({ bytes }) => bytes),
      connections: sum(delivered, ({ opened }) => opened),
      subscriptions: sum(delivered, ({ subscribed }) => subscribed),
      slowCloses: sum(delivered, ({ slowCloses }) => slowCloses),
      gaps: sum(
        delivered.flatMap(({ gaps }) => Object.values(gaps)),
        (count) => count,
      ),
      refusals: sum(this.#refused.values(), (count) => count),
    };
  }

  /** Refusals by the code that they were told with, `other` for what is not foreseen. */
  get refusals(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  /** Ends of topics by their status. */
  get ends(): ReadonlyMap<MeasuredEnd, number> {
    return this.#topics.ends;
  }

  /** The delays of the event loop in the last 10 s, in milliseconds. */
  get loopDelay(): LoopDelay["newest"] {
    return this.#loop.newest;
  }

  /** Returns the counters of events that leave through a door. */
  delivery(door: DeliveryDoor): DeliveryCounts {
    return this.#delivery.counts(door);
  }

  /** Returns the counters of events that are published through a door. */
  published(door: PublishDoor): PublishCounts {
    return this.#topics.published(door);
  }

  /** Counts the end of a topic. */
  readonly topicEnded = (status: MeasuredEnd): void => {
    this.#topics.ended(status);
  };

  /** Counts an attempt to connect to the upstream of a topic. */
  readonly upstreamAttempted = (outcome: UpstreamOutcome): void => {
    this.#upstreams.attempted(outcome);
  };

  /** Counts a request to a provider that is over. */
  readonly runEnded = (outcome: RunOutcome): void => {
    this.#upstreams.ran(outcome);
  };

  /** Counts an attempt to ask a provider. */
  readonly providerAsked = (outcome: ProviderOutcome): void => {
    this.#upstreams.asked(outcome);
  };

  /** Counts a refusal, by the code that it was told with. */
  readonly refused = (code: string): void => {
    const reason = refusalReason(code);
    this.#refusals.inc({ reason });
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  };

  /** Counts a connection that was cut as its client did not read. */
  readonly connectionCut = (reason: CutReason): void => {
    this.#memory.cut(reason);
  };

  /** Counts a transaction of the store. */
  readonly committed = (commit: CommitReport): void => {
    this.#store.committed(commit);
  };

  /** Measures no more. */
  [Symbol.dispose](): void {
    this.#lag[Symbol.dispose]();
    this.#loop[Symbol.dispose]();
  }
}
