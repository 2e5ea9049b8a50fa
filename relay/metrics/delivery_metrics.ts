import { Gauge, Histogram, type Registry } from "prom-client";
import type { Clock } from "../../src/fetch/clock.ts";
import { copiedCounter, DELAY_BUCKETS, type Observer } from "./instruments.ts";
import { DeliveryCounts } from "../delivery/delivery_counts.ts";
import type { LagDoor, Reader } from "./lag_sampler.ts";

/** The ways in which events leave a relay. */
export type DeliveryDoor = "websocket" | "sse";

/** The connections of each door that are open. */
export type OpenConnections = Readonly<
  Record<DeliveryDoor, Iterable<Reader> & { readonly size: number }>
>;

const DOORS: readonly DeliveryDoor[] = ["websocket", "sse"];

/** Most are written within a turn of the pump; up to where a client would have been cut off. */
const LATENCY_BUCKETS = [...DELAY_BUCKETS, 10, 30];

/** Up to as many events as a topic keeps by default, and ten times that. */
const LAG_BUCKETS = [0, 1, 10, 100, 512, 1_000, 5_000, 10_000, 100_000];

const LAG_TIME_BUCKETS = [0, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800];

/** The metrics of delivery. */
export class DeliveryMetrics {
  readonly #counts: Readonly<Record<DeliveryDoor, DeliveryCounts>>;
  readonly #connections: () => OpenConnections;
  readonly #lagEvents: Readonly<Record<DeliveryDoor, Observer>>;
  readonly #lagSeconds: Readonly<Record<DeliveryDoor, Observer>>;

  /**
   * Registers it.
   *
   * @param registry The registry of metrics.
   * @param connections Those that are open.
   * @param clock As logs have it that give events their time.
   */
  constructor(
    registry: Registry,
    connections: () => OpenConnections,
    clock: Clock,
  ) {
    this.#connections = connections;
    const latencies = histogramByDoor(registry, {
      name: "rivulet_append_to_write_seconds",
      help:
        "Time that events took from their log to a socket; one delivery in 31 is measured.",
      buckets: LATENCY_BUCKETS,
    });
    this.#counts = byDoor((door) =>
      new DeliveryCounts({ clock, latency: latencies[door] })
    );
    this.#lagEvents = histogramByDoor(registry, {
      name: "rivulet_lag_events",
      help:
        "Events that a subscription has not been sent yet, sampled every 10 s.",
      buckets: LAG_BUCKETS,
    });
    this.#lagSeconds = histogramByDoor(registry, {
      name: "rivulet_lag_seconds",
      help: "Age of the oldest of these events, sampled every 10 s.",
      buckets: LAG_TIME_BUCKETS,
    });
    this.#registerGauges(registry);
    this.#registerCounters(registry);
  }

  /** The counters of a door. */
  counts(door: DeliveryDoor): DeliveryCounts {
    return this.#counts[door];
  }

  /** The connections whose lag is measured, and the histograms that take it. */
  get lagDoors(): readonly LagDoor[] {
    const connections = this.#connections();
    return DOORS.map((door) => ({
      connections: connections[door],
      events: this.#lagEvents[door],
      seconds: this.#lagSeconds[door],
    }));
  }

  #registerGauges(registry: Registry): void {
    const connections = this.#connections;
    const counts = this.#counts;
    new Gauge({
      name: "rivulet_connections",
      help: "Connections that are open and get events.",
      labelNames: ["door"],
      registers: [registry],
      collect(): void {
        const open = connections();
        for (const door of DOORS) this.set({ door }, open[door].size);
      },
    });
    new Gauge({
      name: "rivulet_subscriptions",
      help: "Open subscriptions.",
      labelNames: ["door"],
      registers: [registry],
      collect(): void {
        for (const door of DOORS) {
          const { subscribed, unsubscribed } = counts[door];
          this.set({ door }, subscribed - unsubscribed);
        }
      },
    });
  }

  #registerCounters(registry: Registry): void {
    const counter = (
      name: string,
      help: string,
      read: (counts: DeliveryCounts) => number,
    ): void =>
      copiedCounter(registry, {
        name,
        help,
        labelNames: ["door"],
        read: () => DOORS.map((door) => [{ door }, read(this.#counts[door])]),
      });
    counter(
      "rivulet_connections_opened_total",
      "Connections that were opened to get events.",
      ({ opened }) => opened,
    );
    counter(
      "rivulet_subscriptions_begun_total",
      "Subscriptions that were begun.",
      ({ subscribed }) => subscribed,
    );
    counter(
      "rivulet_delivered_events_total",
      "Events that were written to subscribers.",
      ({ events }) => events,
    );
    counter(
      "rivulet_delivered_messages_total",
      "Messages that were written of subscriptions.",
      ({ messages }) => messages,
    );
    counter(
      "rivulet_delivered_bytes_total",
      "Bytes of these messages.",
      ({ bytes }) => bytes,
    );
    counter(
      "rivulet_slow_closes_total",
      "Connections that were closed as nothing was read for too long.",
      ({ slowCloses }) => slowCloses,
    );
    copiedCounter(registry, {
      name: "rivulet_gaps_total",
      help: "Gaps in what subscribers were sent.",
      labelNames: ["door", "reason"],
      read: () =>
        DOORS.flatMap((door) =>
          Object.entries(this.#counts[door].gaps).map((
            [reason, count],
          ) => [{ door, reason }, count] as const)
        ),
    });
  }
}

function byDoor<T>(make: (door: DeliveryDoor) => T): Record<DeliveryDoor, T> {
  return { websocket: make("websocket"), sse: make("sse") };
}

function histogramByDoor(
  registry: Registry,
  { name, help, buckets }: {
    readonly name: string;
    readonly help: string;
    readonly buckets: readonly number[];
  },
): Record<DeliveryDoor, Observer> {
  const histogram = new Histogram({
    name,
    help,
    labelNames: ["door"],
    buckets: [...buckets],
    registers: [registry],
  });
  return byDoor((door) => {
    histogram.zero({ door });
    return histogram.labels({ door });
  });
}
