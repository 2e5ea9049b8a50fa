/**
 * The workers bench: what one relay does with one process, and with several.
 *
 * `deno task bench:workers --help` says what can be asked for. Needs Linux.
 *
 * @module
 */
import { readOptions } from "./command_line.ts";
import { median } from "./fanout/median.ts";
import { runAndKill } from "./fanout/process.ts";
import { machine } from "./fanout/report/machine.ts";
import { markdownTable } from "./fanout/report/markdown_table.ts";
import { brief, count, percent } from "./fanout/report/numbers.ts";
import { canMeasure, measure, type Measurement } from "./workers/measure.ts";
import {
  type Kind,
  type Options,
  parseOptions,
  type Shape,
  USAGE,
} from "./workers/options.ts";

const COLUMNS = [
  "of",
  "processes",
  "a second",
  "times",
  "µs each",
  "CPU of each process",
  "store: CPU",
  "store: µs an event",
  "generator: CPU",
  "missed",
  "errors",
];

/** The measurements of one kind, with one shape. */
interface Row {
  readonly kind: Kind;
  readonly shape: Shape;
  readonly measurements: Measurement[];
}

function cells(row: Row, rows: readonly Row[]): string[] {
  const of = (name: keyof Measurement, { measurements }: Row = row): number =>
    median(measurements.map((measurement) => measurement[name]));
  const first = rows.find(({ kind }) => kind === row.kind) ?? row;
  const store = of("storeShare");
  return [
    row.kind,
    row.shape,
    count(of("rate")),
    brief(of("rate") / of("rate", first)),
    brief(of("cpuEach")),
    percent(of("workerShare")),
    Number.isNaN(store) ? "" : percent(store),
    Number.isNaN(store) ? "" : brief(of("storeEach")),
    percent(of("generatorShare")),
    ...(["missed", "errors"] as const).map((name) =>
      count(row.measurements.reduce((sum, each) => sum + each[name], 0))
    ),
  ];
}

async function run(options: Options): Promise<void> {
  const { kinds, shapes, share, rounds, seconds, warmUp } = options;
  const rows: Row[] = kinds.flatMap((kind) =>
    shapes.filter((shape) => canMeasure(kind, shape))
      .map((shape) => ({ kind, shape, measurements: [] }))
  );
  for (let round = 1; round <= rounds; round++) {
    for (const { kind, shape, measurements } of rows) {
      console.error(`${kind}, ${shape}, round ${round} of ${rounds}`);
      measurements.push(await measure(kind, shape, options));
    }
  }
  const day = new Date().toISOString().slice(0, 10);
  console.log([
    "# Workers",
    `${
      machine(day)
    }. ${options.count} relays, edges or workers, each of them bound to a core${
      share < 1 ? `, with ${percent(share)} of it` : ""
    }. ${seconds} s each, after ${warmUp} s of warming up; medians of ${rounds}.`,
    markdownTable([COLUMNS, ...rows.map((row) => cells(row, rows))]),
    `"a second": events delivered, runs of 22 events ended, or events delivered of those
that were published. "µs each" is the processor time of all processes with connections
for each of these, and tells what several processes cost where the cores are not enough
for them, the generator and the store. "relays" share nothing but the port: their figure
is the floor. "missed" are events that subscribers were told to have missed.`,
  ].join("\n\n"));
}

const options = readOptions(parseOptions, USAGE);
await runAndKill(() => run(options));
