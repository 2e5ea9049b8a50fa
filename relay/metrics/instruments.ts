import { Counter, type Registry } from "prom-client";

/** Buckets, in seconds, for delays that are to be short. */
export const DELAY_BUCKETS: readonly number[] = [
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
];

/** A metric of a registry, with its values. */
export type Figure = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>[number];

/** Takes what was measured. */
export interface Observer {
  /** Takes one value. */
  observe(value: number): void;
}

/** A counter, and where it has its numbers from. */
export interface CopiedCounterOptions<Label extends string> {
  /** Its name. */
  readonly name: string;
  /** The help text. */
  readonly help: string;
  /** The names of the labels. */
  readonly labelNames: readonly Label[];
  /** Each number, with the labels it has. */
  read(): Iterable<readonly [Readonly<Record<Label, string>>, number]>;
}

/** Registers a counter whose numbers are counted elsewhere, and copied when somebody asks. */
export function copiedCounter<Label extends string>(
  registry: Registry,
  { name, help, labelNames, read }: CopiedCounterOptions<Label>,
): void {
  new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect(): void {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    },
  });
}
