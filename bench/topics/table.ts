import { markdownTable } from "../fanout/report/markdown_table.ts";
import { brief, count, percent } from "../fanout/report/numbers.ts";
import { medianOf, type Row, sumOf } from "../proxies/rounds.ts";
import { type Load, loadText } from "./load.ts";
import type { Measurement } from "./measure.ts";

/** More of the time than this, and the machine was not calm. */
const DISTURBED = 0.1;

/** More of its core than this, and the generator may be what is measured. */
const BUSY = 0.9;

const MIB = 2 ** 20;

const COLUMNS = [
  "load",
  "by",
  "events/s",
  "caller p50",
  "p99",
  "follower p50",
  "p99",
  "late",
  "errors",
  "usable",
  "µs an event",
  "µs a delivery",
  "CPU",
  "waited for its core",
  "RSS, MiB",
  "peak",
  "generator CPU",
];

function isUsable(bound: number): (measurement: Measurement) => boolean {
  // NaN where there are no callers, or no followers.
  return ({ late, errors, callerP99, followerP99 }) =>
    late === 0 && errors === 0 && !(callerP99 > bound) &&
    !(followerP99 > bound);
}

function cells(row: Row<Load, Measurement>, bound: number): string[] {
  const { load, candidate, measurements, failure } = row;
  const begin = [loadText(load), candidate.name];
  if (measurements.length === 0) {
    return [...begin, failure ?? "not measured"];
  }
  const of = (name: keyof Measurement) => medianOf(row, name);
  const usable = measurements.filter(isUsable(bound)).length;
  const generator = of("generatorShare");
  const waited = of("waited");
  return [
    ...begin,
    count(of("sent")),
    brief(of("callerP50")),
    brief(of("callerP99")),
    brief(of("followerP50")),
    brief(of("followerP99")),
    count(sumOf(row, "late")),
    count(sumOf(row, "errors")),
    `${usable} of ${measurements.length}`,
    brief(of("cpuPerEvent")),
    brief(of("cpuPerDelivery")),
    percent(of("share")),
    percent(waited) + (waited > DISTURBED ? " §" : ""),
    count(of("rss") / MIB),
    count(of("peak") / MIB),
    percent(generator) + (generator > BUSY ? " ‡" : ""),
  ];
}

function notes(bound: number): string {
  return `Times are in milliseconds, counted from the moment at which the provider or the
publisher sends an event. "Late" are events that did not come within 10 s of the
last one; "usable" are rounds in which all came, and p99 was ${bound} ms at most.
"µs an event" is the processor time of the relay for each event that was sent,
"a delivery" for each that a caller or a follower got. "bare" is the floor: the runtime
reads the same bytes and writes them to the same sockets, and parses and keeps nothing.
§ The relay waited for its core more than a tenth of the time, because the machine
had other work: measure again when it is calm.
‡ The generator's core was full: that may be what is measured.`;
}

/** Everything as a Markdown table, with what it means. */
export function table(
  rows: readonly Row<Load, Measurement>[],
  bound: number,
): string {
  const lines = [COLUMNS, ...rows.map((row) => cells(row, bound))];
  return [markdownTable(lines), notes(bound)].join("\n\n");
}
