import { Counter, Gauge, type Registry } from "prom-client";
import { copiedCounter, type Figure } from "./instruments.ts";

/** A process of a relay with workers. */
export interface MeasuredProcess {
  /** The number of the worker; `store` for the process that has the store. */
  readonly name: string;
  /** The figures of the process. */
  readonly figures: readonly Figure[];
}

/** Figures of each process, beside those of all. */
const EACH = [
  {
    name: "rivulet_worker_cpu_seconds_total",
    of: "process_cpu_seconds_total",
    help: "Processor time that each process has used.",
  },
  {
    name: "rivulet_worker_resident_memory_bytes",
    of: "process_resident_memory_bytes",
    help: "Memory of the machine that each process occupies.",
  },
  {
    name: "rivulet_worker_tcp_connections",
    of: "rivulet_tcp_connections",
    help: "Connections of each worker that are open.",
  },
] as const;

/** Figures of the workers of a relay. */
export class WorkerMetrics {
  /** The processes, as they are told with the next figures. */
  processes: readonly MeasuredProcess[] = [];
  readonly #restarts: Counter;

  /**
   * Registers them.
   *
   * @param registry The registry.
   * @param running Returns the number of workers that run.
   */
  constructor(registry: Registry, running: () => number) {
    const registers = [registry];
    new Gauge({
      name: "rivulet_workers",
      help: "Workers that listen.",
      registers,
      collect(): void {
        this.set(running());
      },
    });
    this.#restarts = new Counter({
      name: "rivulet_worker_restarts_total",
      help: "Workers that have ended and were started again.",
      registers,
    });
    for (const { name, of, help } of EACH) {
      const read = () => this.#valuesOf(of);
      const labelNames = ["worker"] as const;
      if (name.endsWith("_total")) {
        copiedCounter(registry, { name, help, labelNames, read });
        continue;
      }
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect(): void {
          this.reset();
          for (const [labels, value] of read()) this.set(labels, value);
        },
      });
    }
  }

  /** Counts a worker that was started again. */
  restarted(): void {
    this.#restarts.inc();
  }

  #valuesOf(
    name: string,
  ): readonly (readonly [{ readonly worker: string }, number])[] {
    return this.processes.flatMap((process) => {
      const [value] = process.figures.find((figure) =>
        figure.name === name
      )?.values ?? [];
      return value ? [[{ worker: process.name }, value.value] as const] : [];
    });
  }
}
