import type { Comparison, Results } from "../comparison.ts";
import type { Load, Measurement } from "../load.ts";
import type { Options } from "../options.ts";
import type { Server } from "../servers/server.ts";
import { brief, count, percent } from "./numbers.ts";
import { isBehind, isDisturbed, isGeneratorBusy } from "./verdict.ts";

const COLUMNS = [
  "server",
  "delivered events/s",
  "CPU s per million",
  "p50 ms",
  "p99 ms",
  "max ms",
  "KB per connection",
  "MB at the end",
  "events per message",
  "lost",
  "errors",
  "server's CPU",
  "subscribers' CPU",
  "µs per read",
  "feed's CPU",
];

/** With fewer the memory is that of the server's own first steps. */
const LEAST_FOR_MEMORY = 1_000;

function table(columns: readonly string[], rows: readonly string[][]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = columns.map((_, index) => index === 0 ? "---" : "--:");
  return [line(columns), line(rule), ...rows.map(line)].join("\n");
}

/** A load in words. */
export function titleOf({ subscribers, size, rate }: Load): string {
  const pace = rate === 0 ? "full speed" : `${count(rate)} events/s`;
  const plural = subscribers === 1 ? "" : "s";
  return `${count(subscribers)} subscriber${plural}, ${size} bytes, ${pace}`;
}

function rowOf(title: string, load: Load, it: Measurement): string[] {
  const memory = load.subscribers >= LEAST_FOR_MEMORY;
  // At full speed an event waits in the sockets before the server for as long as
  // those are large: that says nothing of the server.
  const latency = (value: number) => load.rate === 0 ? "–" : brief(value);
  return [
    title,
    count(it.delivered) + (isBehind(load, it) ? " †" : ""),
    brief(it.cpuPerMillion),
    latency(it.p50),
    latency(it.p99),
    latency(it.max),
    memory ? (it.rssPerConnection / 1_000).toFixed(1) : "–",
    count(it.rss / 1e6),
    brief(it.eventsPerMessage),
    count(it.missed),
    count(it.errors),
    percent(it.serverShare) + (isDisturbed(it) ? " §" : ""),
    percent(it.generatorShare) + (isGeneratorBusy(it) ? " ‡" : ""),
    brief(it.cpuPerRead),
    percent(it.feedShare),
  ];
}

function comparisonTable(
  { load, outcomes }: Comparison,
  servers: readonly Server[],
): string {
  const rows = servers.map(({ name, title }) => {
    const outcome = outcomes.get(name);
    if (outcome?.kind === "measured") {
      return rowOf(title, load, outcome.measurement);
    }
    return [title, "failed", ...COLUMNS.slice(2).map(() => "–")];
  });
  return `## ${titleOf(load)}\n\n${table(COLUMNS, rows)}`;
}

const FOOTNOTES =
  `† It did not keep up with the rate: the latencies are those of
a queue that grew as long as it was measured, and would have grown further.
‡ The load generator's core was full: the server may have had more to give.
§ The server waited for its core more than a tenth of the time, because the machine
had other work: measure again when it is calm.`;

/** Everything as Markdown tables, with what their signs mean. */
export function tables(
  { comparisons, idle, replay }: Results,
  servers: readonly Server[],
  options: Options,
): string {
  const parts = comparisons.map((comparison) =>
    comparisonTable(comparison, servers)
  );
  if (options.idle > 0) {
    const rows = servers.map(({ name, title }) => [
      title,
      ((idle.get(name) ?? NaN) / 1_000).toFixed(1),
    ]);
    parts.push(
      `## ${count(options.idle)} idle subscribers\n\n` +
        table(["server", "KB per connection"], rows),
    );
  }
  if (replay) {
    parts.push(
      `## Replay of ${count(options.replay)} events to a new subscriber\n\n` +
        `${brief(replay.median)} ms from its connection to the last event; ` +
        `${brief(replay.first)} ms for the first who came.`,
    );
  }
  parts.push(FOOTNOTES);
  return parts.join("\n\n");
}
