import type { Missing } from "../../fanout/servers/server.ts";
import { markdownTable } from "../../fanout/report/markdown_table.ts";
import { brief, count, percent } from "../../fanout/report/numbers.ts";
import type { Candidate } from "../../proxies/candidates.ts";
import {
  measureInTurn,
  medianOf,
  type Row,
  sumOf,
} from "../../proxies/rounds.ts";
import { measureShort, type ShortMeasurement } from "./measure.ts";
import { SHORT_REQUESTS } from "./requests.ts";

/** The loads of short requests. */
export interface ShortOptions {
  /** The number of requests at a time. */
  readonly short: readonly number[];
  readonly rounds: number;
  /** In seconds, before each measurement. */
  readonly warmUp: number;
  /** In seconds. */
  readonly seconds: number;
}

/** A kind of request, and how many there are at a time. */
interface ShortLoad {
  readonly kind: string;
  readonly callers: number;
}

/** More of the time than this, and the machine was not calm. */
const DISTURBED = 0.1;

/** More of its core than this, and the generator may be what is measured. */
const BUSY = 0.9;

const COLUMNS = [
  "request",
  "at a time",
  "by",
  "requests/s",
  "p50",
  "p99",
  "µs a request",
  "CPU",
  "waited for its core",
  "generator CPU",
  "errors",
];

const NOTES =
  `The relay or the proxy has one core; the provider and the callers are one process
on another. "µs a request" is the processor time of the relay or the proxy, with that
of V8's compiler, which has much to do in the first 20 s.
§ It waited for its core more than a tenth of the time, because the machine had
other work: read the processor time, or measure again when it is calm.
‡ The generator's core was full: there are no more requests than it makes.`;

function cells(row: Row<ShortLoad, ShortMeasurement>): string[] {
  const { load, candidate, measurements, failure } = row;
  const begin = [load.kind, count(load.callers), candidate.name];
  if (measurements.length === 0) {
    return [...begin, failure ?? "not measured"];
  }
  const of = (name: keyof ShortMeasurement) => medianOf(row, name);
  const waited = of("waited");
  const generator = of("generatorShare");
  return [
    ...begin,
    count(of("requests")),
    brief(of("p50")),
    brief(of("p99")),
    brief(of("cpuPerRequest")),
    percent(of("share")),
    percent(waited) + (waited > DISTURBED ? " §" : ""),
    percent(generator) + (generator > BUSY ? " ‡" : ""),
    count(sumOf(row, "errors")),
  ];
}

/** Measures short requests by all candidates in turn; returns a Markdown table. */
export async function compareShort(
  candidates: readonly (Candidate | Missing)[],
  { short, rounds, warmUp, seconds }: ShortOptions,
  onProgress: (what: string) => void,
): Promise<string> {
  const pairings = Object.keys(SHORT_REQUESTS).flatMap((kind) =>
    short.flatMap((callers) =>
      candidates.map((candidate) => ({ load: { kind, callers }, candidate }))
    )
  );
  const rows = await measureInTurn(
    pairings,
    rounds,
    (candidate, load) => measureShort(candidate, { ...load, warmUp, seconds }),
    ({ kind, callers }) => `short requests: ${kind}, ${callers} at a time`,
    onProgress,
  );
  return [markdownTable([COLUMNS, ...rows.map(cells)]), NOTES].join("\n\n");
}
