import { markdownTable } from "../fanout/report/markdown_table.ts";
import { brief, count, percent } from "../fanout/report/numbers.ts";
import type { Comparison } from "./comparison.ts";
import type { Measurement } from "./measure.ts";

/** The most that the relay should add to a direct call, in milliseconds. */
const TARGET = { p50: 1, p99: 5 };

/** More of the time than this, and the machine was not calm. */
const DISTURBED = 0.1;

/** More of its core than this, and the load itself may be what is measured. */
const BUSY = 0.9;

const COLUMNS = [
  "runs",
  "followers each",
  "direct p50",
  "p99",
  "max",
  "relay p50",
  "p99",
  "max",
  "**added p50**",
  "**added p99**",
  "follower p50",
  "p99",
  "head direct p50",
  "relay p50",
  "p99",
  "events/s",
  "relay CPU",
  "waited for its core",
  "load CPU",
  "errors",
];

function row(comparison: Comparison): string[] {
  const { load: { runs, followers }, of, added, errors } = comparison;
  const direct = (name: keyof Measurement) => of(({ direct }) => direct[name]);
  const relay = (name: keyof Measurement) => of(({ relay }) => relay[name]);
  return [
    count(runs),
    count(followers),
    ...(["p50", "p99", "max"] as const).map((name) => brief(direct(name))),
    ...(["p50", "p99", "max"] as const).map((name) => brief(relay(name))),
    `**${brief(added("p50"))}**`,
    `**${brief(added("p99"))}**`,
    brief(relay("followerP50")),
    brief(relay("followerP99")),
    brief(direct("head")),
    brief(relay("head")),
    brief(relay("headP99")),
    count(relay("delivered")),
    percent(relay("relayShare")),
    percent(relay("relayWaited")) +
    (isDisturbed(comparison) ? " §" : ""),
    percent(relay("loadShare")) + (relay("loadShare") > BUSY ? " ‡" : ""),
    count(errors),
  ];
}

function isDisturbed({ of }: Comparison): boolean {
  return of(({ relay }) => relay.relayWaited) > DISTURBED;
}

function verdict(comparisons: readonly Comparison[]): string {
  const calm = comparisons.filter((comparison) => !isDisturbed(comparison));
  const left = comparisons.length - calm.length;
  const without = left === 0 ? "" : ` Without ${left} of the loads: §.`;
  if (calm.length === 0) return `What the relay adds cannot be said.${without}`;
  const reached = (["p50", "p99"] as const).map((name) => {
    const most = Math.max(...calm.map(({ added }) => added(name)));
    const is = most < TARGET[name] ? "reached" : "not reached";
    return `${name} ${brief(most)} ms at most (under ${TARGET[name]}: ${is})`;
  });
  return `The relay adds: ${reached.join(", ")}.${without}`;
}

const NOTES =
  `Times are in milliseconds. An event's are counted from the moment at
which the provider writes it, "head" from the request to the head of its answer.
"Added" is the relay's percentile less that of the direct call.
§ The relay waited for its core more than a tenth of the time, because the machine
had other work: measure again when it is calm.
‡ The core of the provider and the callers was full: that may be what is measured.`;

/** Everything as a Markdown table, with what it means. */
export function table(comparisons: readonly Comparison[]): string {
  const rows = [COLUMNS, ...comparisons.map(row)];
  return [markdownTable(rows), verdict(comparisons), NOTES].join("\n\n");
}
