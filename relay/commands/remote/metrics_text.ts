/** A sample of a metric. */
interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

/** The values of `/metrics` at one time. */
export class Metrics {
  readonly #samples: readonly Sample[];

  /**
   * Reads the format of Prometheus as relays write it.
   *
   * @param text The answer of `/metrics`.
   */
  constructor(text: string) {
    this.#samples = text.split("\n").flatMap((line) => {
      const [, name, labels = "", value] =
        /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return name === undefined ? [] : [{ name, labels, value: Number(value) }];
    });
  }

  /** Returns the sum of a metric over all its labels. */
  sum(name: string): number {
    return this.#samples.reduce(
      (sum, sample) => sample.name === name ? sum + sample.value : sum,
      0,
    );
  }

  /** Returns the buckets of a histogram over all its labels: how many are at most so large. */
  buckets(name: string): ReadonlyMap<number, number> {
    const buckets = new Map<number, number>();
    for (const sample of this.#samples) {
      if (sample.name !== `${name}_bucket`) continue;
      const [, bound = ""] = /(?:^|,)le="([^"]*)"/.exec(sample.labels) ?? [];
      const limit = bound === "+Inf" ? Infinity : Number(bound);
      buckets.set(limit, (buckets.get(limit) ?? 0) + sample.value);
    }
    return buckets;
  }
}

/**
 * Returns the bound below which a share of what a histogram counted lies, of what came
 * between two times.
 *
 * @returns `undefined` if nothing came.
 */
export function quantile(
  share: number,
  now: ReadonlyMap<number, number>,
  before: ReadonlyMap<number, number>,
): number | undefined {
  const bounds = [...now.keys()].sort((a, b) => a - b);
  const counts = bounds.map((bound) =>
    (now.get(bound) ?? 0) - (before.get(bound) ?? 0)
  );
  const all = counts.at(-1) ?? 0;
  if (all <= 0) return undefined;
  return bounds[counts.findIndex((count) => count >= share * all)];
}
