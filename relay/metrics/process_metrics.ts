import process from "node:process";
import { Counter, Gauge, type Registry } from "prom-client";

/**
 * Registers what the process takes of its machine, under the names that
 * Prometheus asks all programs to use.
 *
 * Those that `prom-client` brings itself need to read `/proc`, which the relay
 * otherwise has no use for: without that permission they would say 0.
 */
export function registerProcessMetrics(registry: Registry): void {
  const registers = [registry];
  new Counter({
    name: "process_cpu_seconds_total",
    help: "Processor time that the process has used.",
    registers,
    collect(): void {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1_000_000);
    },
  });
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Memory of the machine that the process occupies.",
    registers,
    collect(): void {
      this.set(process.memoryUsage().rss);
    },
  });
  new Gauge({
    name: "process_start_time_seconds",
    help: "Time at which the process was started, since the epoch.",
    aggregator: "min",
    registers,
  }).set(performance.timeOrigin / 1_000);
  new Gauge({
    name: "rivulet_heap_used_bytes",
    help: "Memory that the program's objects occupy, garbage among them.",
    registers,
    collect(): void {
      this.set(process.memoryUsage().heapUsed);
    },
  });
}
