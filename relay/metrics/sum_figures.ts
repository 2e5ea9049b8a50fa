import { AggregatorRegistry, type Registry } from "prom-client";
import type { Figure } from "./instruments.ts";

/**
 * Makes the figures of one relay of those of its processes: sums, and of what no sum can
 * be made of what its `aggregator` says.
 *
 * @param processes The figures of each process.
 * @returns `text` writes all of it in Prometheus' text format.
 */
export function sumFigures(processes: readonly (readonly Figure[])[]): {
  text(): Promise<string>;
  figures(): Promise<readonly Figure[]>;
} {
  const sum: Registry = AggregatorRegistry.aggregate(
    processes.map((figures) => [...figures]),
  );
  return { text: () => sum.metrics(), figures: () => sum.getMetricsAsJSON() };
}

/**
 * Returns what remains of a process that has ended: a counter that went back would be
 * taken for one that was counted anew.
 *
 * @param figures The last figures of the process.
 */
export function remainsOf(figures: readonly Figure[]): readonly Figure[] {
  // The types know numbers here; the values are these words.
  const lasting: ReadonlySet<unknown> = new Set(["counter", "histogram"]);
  return figures.filter(({ type }) => lasting.has(type));
}
