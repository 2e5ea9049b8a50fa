import { Buffer } from "node:buffer";
import { Counter, Gauge, type Registry } from "prom-client";
import { copiedCounter } from "./instruments.ts";

/** The end statuses of a topic (PROTOCOL.md, section 1). */
const END_STATUSES = [
  "complete",
  "failed",
  "truncated",
  "cancelled",
  "expired",
] as const;

/** The ways in which a topic may end. */
export type MeasuredEnd = typeof END_STATUSES[number];

/** A topic, as far as it is measured. */
export interface MeasuredTopic {
  /** The state of the topic. */
  readonly state: { readonly kind: "pending" | "open" | "ended" };
  /** The state of its upstream, as far as that was told. */
  readonly upstream:
    | { readonly state: "connecting" | "open" | "retrying" | "lost" }
    | undefined;
  /** Its events. */
  readonly log: {
    readonly first: number;
    readonly next: number;
    readonly bytes: number;
  };
}

/** The ways in which events are published. */
export type PublishDoor = "http" | "websocket";

/** The metrics of topics, and of publications. */
export class TopicMetrics {
  /** The numbers of topics that have ended, by status. */
  readonly ends = new Map<MeasuredEnd, number>();
  readonly #ends: Counter<"status">;
  readonly #published: Readonly<Record<PublishDoor, PublishCounts>> = {
    http: new PublishCounts(),
    websocket: new PublishCounts(),
  };

  /**
   * Registers it.
   *
   * @param registry The registry of metrics.
   * @param topics Those that there are.
   */
  constructor(registry: Registry, topics: () => Iterable<MeasuredTopic>) {
    const registers = [registry];
    new Gauge({
      name: "rivulet_topics",
      help: "Topics, by state.",
      labelNames: ["state"],
      registers,
      collect(): void {
        const counts = { pending: 0, open: 0, ended: 0 };
        for (const { state } of topics()) counts[state.kind]++;
        for (const [state, count] of Object.entries(counts)) {
          this.set({ state }, count);
        }
      },
    });
    new Gauge({
      name: "rivulet_log_events",
      help: "Events that topics retain.",
      registers,
      collect(): void {
        let events = 0;
        for (const { log } of topics()) events += log.next - log.first;
        this.set(events);
      },
    });
    new Gauge({
      name: "rivulet_log_bytes",
      help: "Bytes of the events that topics retain.",
      registers,
      collect(): void {
        let bytes = 0;
        for (const { log } of topics()) bytes += log.bytes;
        this.set(bytes);
      },
    });
    this.#ends = new Counter({
      name: "rivulet_topic_ends_total",
      help: "Topics that have ended.",
      labelNames: ["status"],
      registers,
    });
    for (const status of END_STATUSES) this.#ends.inc({ status }, 0);
    this.#registerPublished(
      registry,
      "rivulet_published_events_total",
      "Events that clients have published.",
      ({ events }) => events,
    );
    this.#registerPublished(
      registry,
      "rivulet_published_bytes_total",
      "Bytes of their data.",
      ({ bytes }) => bytes,
    );
  }

  /** The counters of a door. */
  published(door: PublishDoor): PublishCounts {
    return this.#published[door];
  }

  /** Counts an end. */
  ended(status: MeasuredEnd): void {
    this.#ends.inc({ status });
    this.ends.set(status, (this.ends.get(status) ?? 0) + 1);
  }

  #registerPublished(
    registry: Registry,
    name: string,
    help: string,
    read: (counts: PublishCounts) => number,
  ): void {
    const { http, websocket } = this.#published;
    copiedCounter(registry, {
      name,
      help,
      labelNames: ["door"],
      read: () => [
        [{ door: "http" }, read(http)],
        [{ door: "websocket" }, read(websocket)],
      ],
    });
  }
}

/** Counts the events published through a door. */
export class PublishCounts {
  /** Events that were added to a topic. */
  events = 0;
  /** The bytes of their data, in UTF-8. */
  bytes = 0;

  /** Counts events that were just added. */
  add(events: readonly { readonly data: string }[]): void {
    this.events += events.length;
    for (const { data } of events) this.bytes += Buffer.byteLength(data);
  }
}
