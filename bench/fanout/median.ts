import type { Measurement } from "./load.ts";

/** The middle one; of an even number, the lower of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value))
    .sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? NaN;
}

/** Measurements of the same, each value the median of its kind; errors are added up. */
export function medianOf(
  measurements: readonly [Measurement, ...Measurement[]],
): Measurement {
  const [first] = measurements;
  const of = (name: keyof Measurement): number =>
    median(measurements.map((measurement) => measurement[name]));
  const sum = (name: keyof Measurement): number =>
    measurements.reduce((sum, measurement) => sum + measurement[name], 0);
  // The names are those of a measurement's values, all of them numbers.
  const names = Object.keys(first) as (keyof Measurement)[];
  const medians = Object.fromEntries(names.map((name) => [name, of(name)]));
  return {
    ...first,
    ...medians,
    missed: sum("missed"),
    errors: sum("errors"),
  };
}
