/**
 * Prometheus' text format, version 0.0.4, read by its rules: what breaks one of
 * them is an error.
 *
 * @module
 */

/** A line with a number. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples below one `TYPE`. */
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const COMMENT = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/;
const HELP = /^(?:[^\\]|\\[\\n])*$/;
const NUMBER =
  /^(?:NaN|[+-]Inf|[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)$/i;
const TYPES = new Set(["counter", "gauge", "histogram", "summary", "untyped"]);

/** A fault in a text. */
export class ExpositionError extends Error {}

function expect(holds: boolean, message: string): asserts holds {
  if (!holds) throw new ExpositionError(message);
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== "";) {
    const match = LABEL.exec(rest);
    expect(match !== null, `Expected a label: got '${rest}'`);
    const [whole, name = "", value = ""] = match;
    expect(!Object.hasOwn(labels, name), `The label '${name}' is there twice`);
    labels[name] = value.replace(
      /\\(.)/g,
      (_, char) => char === "n" ? "\n" : char,
    );
    rest = rest.slice(whole.length);
  }
  return labels;
}

function parseNumber(text: string): number {
  expect(NUMBER.test(text), `Expected a number: got '${text}'`);
  return Number(text.replace(/Inf$/i, "Infinity"));
}

function parseSample(line: string): Sample {
  const match = SAMPLE.exec(line);
  expect(match !== null, `Expected a sample: got '${line}'`);
  const [, name = "", labels = "", value = ""] = match;
  return { name, labels: parseLabels(labels), value: parseNumber(value) };
}

/** Returns the key that tells a series from others. */
function keyOf(
  { name, labels }: Sample,
  without?: string,
): string {
  const sorted = Object.entries(labels)
    .filter(([label]) => label !== without)
    .sort(([a], [b]) => a < b ? -1 : 1);
  return JSON.stringify([name, sorted]);
}

function checkHistogram({ name, samples }: Family): void {
  const groups = Map.groupBy(
    samples,
    ({ labels }) => keyOf({ name, labels, value: 0 }, "le"),
  );
  for (const [key, group] of groups) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const [sum, ...sums] = group
      .filter((sample) => sample.name === `${name}_sum`);
    const [count, ...counts] = group
      .filter((sample) => sample.name === `${name}_count`);
    expect(
      sum !== undefined && count !== undefined &&
        sums.length + counts.length === 0 &&
        group.length === buckets.length + 2,
      `${key}: expected buckets, one sum and one count`,
    );
    let below = -Infinity;
    let before = 0;
    for (const { labels: { le = "" }, value } of buckets) {
      const bound = parseNumber(le);
      expect(bound > below, `${key}: bucket ${le} is out of order`);
      expect(value >= before, `${key}: bucket ${le} is not cumulative`);
      below = bound;
      before = value;
    }
    expect(below === Infinity, `${key}: expected a bucket of +Inf`);
    expect(
      before === count.value,
      `${key}: the bucket of +Inf is not its count`,
    );
  }
}

function checkFamily(family: Family): void {
  const { name, type, samples } = family;
  const suffixes = type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
  for (const sample of samples) {
    expect(
      suffixes.some((suffix) => sample.name === name + suffix),
      `${sample.name} does not belong to ${name}`,
    );
  }
  if (type === "counter") {
    for (const { value } of samples) {
      expect(value >= 0, `${name}: expected a counter of 0 or more`);
    }
  }
  if (type === "histogram") checkHistogram(family);
}

/** A text in this format. */
export class Exposition {
  /** The families in it, by name. */
  readonly families: ReadonlyMap<string, Family>;
  readonly #samples = new Map<string, Sample>();

  /** Reads a text. */
  constructor(text: string) {
    expect(text.endsWith("\n"), "Expected a line end at the end");
    const families = new Map<string, Family & { samples: Sample[] }>();
    let help: { name: string; text: string } | undefined;
    let current: (Family & { samples: Sample[] }) | undefined;
    for (const line of text.slice(0, -1).split("\n")) {
      if (line === "") continue;
      if (!line.startsWith("#")) {
        const sample = parseSample(line);
        expect(current !== undefined, `There is no TYPE above '${line}'`);
        const key = keyOf(sample);
        expect(!this.#samples.has(key), `${key} is there twice`);
        this.#samples.set(key, sample);
        current.samples.push(sample);
        continue;
      }
      const match = COMMENT.exec(line);
      expect(match !== null, `Expected HELP or TYPE: got '${line}'`);
      const [, kind, name = "", rest = ""] = match;
      expect(!families.has(name), `${name} is there twice`);
      if (kind === "HELP") {
        expect(HELP.test(rest), `${name}: a HELP with a bad escape`);
        help = { name, text: rest };
        continue;
      }
      expect(TYPES.has(rest), `${name}: there is no type '${rest}'`);
      expect(help?.name === name, `${name}: expected a HELP above its TYPE`);
      current = { name, type: rest, help: help.text, samples: [] };
      families.set(name, current);
    }
    for (const family of families.values()) checkFamily(family);
    this.families = families;
  }

  /** The number with exactly these labels. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const sample = this.#samples.get(keyOf({ name, labels, value: 0 }));
    expect(
      sample !== undefined,
      `There is no ${name} with ${JSON.stringify(labels)}`,
    );
    return sample.value;
  }

  /** The numbers of one name, by the value of a label. */
  by(name: string, label: string): Record<string, number> {
    const samples = [...this.#samples.values()]
      .filter((sample) => sample.name === name);
    return Object.fromEntries(
      samples.map(({ labels, value }) => [labels[label], value]),
    );
  }

  /** Every value of every label. */
  get labelValues(): Set<string> {
    const samples = [...this.#samples.values()];
    return new Set(samples.flatMap(({ labels }) => Object.values(labels)));
  }
}
