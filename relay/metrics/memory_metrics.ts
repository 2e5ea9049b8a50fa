import { Counter, Gauge, type Registry } from "prom-client";

/** The reason for which a connection is cut. */
export type CutReason = "memory" | "queued" | "queued_of_client" | "slow";

const REASONS: readonly CutReason[] = [
  "memory",
  "queued",
  "queued_of_client",
  "slow",
];

/** The memory of the process, as far as it is measured. */
export interface MeasuredMemory {
  /** The memory that the process may use, in bytes. */
  readonly maxMemory: number;
  /** Whether new work is refused, as the memory is nearly used up. */
  readonly isAtEdge: boolean;
  /** The bytes that clients were sent and have not read. */
  readonly queued: number;
  /** The bytes that clients have sent and that the relay holds. */
  readonly received: number;
}

/** Figures of memory, and of connections that were cut for it. */
export class MemoryMetrics {
  readonly #cuts: Counter<"reason">;

  /**
   * Registers them.
   *
   * @param registry The registry.
   * @param memory Reads the memory.
   */
  constructor(registry: Registry, memory: () => MeasuredMemory) {
    const registers = [registry];
    this.#cuts = new Counter({
      name: "rivulet_connections_cut_total",
      help: "Connections that were cut as their clients did not read.",
      labelNames: ["reason"],
      registers,
    });
    for (const reason of REASONS) this.#cuts.inc({ reason }, 0);
    new Gauge({
      name: "rivulet_queued_bytes",
      help: "Bytes that clients were sent and have not read.",
      registers,
      collect(): void {
        this.set(memory().queued);
      },
    });
    new Gauge({
      name: "rivulet_received_bytes",
      help: "Bytes that peers have sent and that the relay holds.",
      registers,
      collect(): void {
        this.set(memory().received);
      },
    });
    new Gauge({
      name: "rivulet_memory_limit_bytes",
      help: "Memory that the process may use.",
      aggregator: "max",
      registers,
      collect(): void {
        this.set(memory().maxMemory);
      },
    });
    new Gauge({
      name: "rivulet_out_of_memory",
      help: "1 while new work is refused as the memory is nearly used up.",
      aggregator: "max",
      registers,
      collect(): void {
        this.set(memory().isAtEdge ? 1 : 0);
      },
    });
  }

  /** Counts a connection that was cut. */
  cut(reason: CutReason): void {
    this.#cuts.inc({ reason });
  }
}
