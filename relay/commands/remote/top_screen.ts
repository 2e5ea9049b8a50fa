import { escapeInvisible } from "../../logs/escape_invisible.ts";
import { type Metrics, quantile } from "./metrics_text.ts";
import { type Column, table } from "./table.ts";
import type { ListedTopic } from "./topic_lists.ts";
import type { SampledStatus } from "./relay_status.ts";
import { lagOf, stateOf } from "./topics.ts";

/** The state of a relay at one time. */
export interface Sample {
  /** The time, in milliseconds. */
  readonly time: number;
  /** Its topics, but for those that have ended. */
  readonly topics: readonly ListedTopic[];
  /** Its metrics; `undefined` if one may not see them. */
  readonly metrics: Metrics | undefined;
  /**
   * Its state; `undefined` if the token may not read it, or the relay is an
   * older one.
   */
  readonly status: SampledStatus | undefined;
}

const COLUMNS: readonly Column[] = [
  { title: "TOPIC" },
  { title: "STATE" },
  { title: "EVENTS/S", isNumber: true },
  { title: "EVENTS", isNumber: true },
  { title: "FOLLOWERS", isNumber: true },
  { title: "LAG", isNumber: true },
  { title: "SOURCE" },
];

/** The lines above the table. */
const HEAD = 6;

interface Row {
  readonly topic: ListedTopic;
  /** Events in a second. */
  readonly rate: number;
}

/**
 * Draws a screen.
 *
 * @param address The relay's.
 * @param now The present sample.
 * @param before The sample before.
 * @param size The size of the screen, in characters.
 * @returns Its lines, none longer than the screen is wide.
 */
export function topScreen(
  address: string,
  now: Sample,
  before: Sample,
  { columns, rows }: { readonly columns: number; readonly rows: number },
): string[] {
  const seconds = Math.max((now.time - before.time) / 1_000, 0.001);
  const earlier = new Map(before.topics.map((topic) => [topic.name, topic]));
  const lines: Row[] = now.topics.map((topic) => {
    const last = earlier.get(topic.name);
    const from = last?.epoch === topic.epoch ? last.next : 1;
    // Events from before the command began do not count toward this second.
    const count = last || before !== now ? topic.next - from : 0;
    return { topic, rate: count / seconds };
  });
  lines.sort((a, b) =>
    b.rate - a.rate || b.topic.subscribers - a.topic.subscribers ||
    (a.topic.name < b.topic.name ? -1 : 1)
  );
  const room = Math.max(1, rows - HEAD - 1);
  const shown = lines.slice(0, room).map(({ topic, rate }) => [
    topic.name,
    stateOf(topic),
    rate < 10 ? rate.toFixed(1) : rate.toFixed(0),
    String(topic.next - 1),
    String(topic.subscribers),
    lagOf(topic),
    topic.source ?? "",
  ]);
  const followers = lines.reduce((sum, row) => sum + row.topic.subscribers, 0);
  const rate = lines.reduce((sum, row) => sum + row.rate, 0);
  return [
    `${address}  ${lines.length} topics not ended  ${followers} followers  ${
      rate.toFixed(0)
    } events/s`,
    about(now.status),
    ...summary(now.metrics, before.metrics, seconds),
    "",
    ...table(COLUMNS, shown),
  ].map((line) => escapeInvisible(line).slice(0, columns));
}

/** The number of refusals that are named: those that came most often. */
const NAMED = 4;

/** Says what a relay is, in a line. */
function about(status: SampledStatus | undefined): string {
  if (!status) return "";
  const { version, uptime, store, draining, problem, refusals } = status;
  const named = Object.entries(refusals).sort(([, a], [, b]) => b - a)
    .slice(0, NAMED).map(([code, count]) => `${code} ${count}`);
  return [
    `Version ${version}, up ${upFor(uptime)}, store ${store.kind}`,
    ...(draining ? [`drained for ${upFor(draining.left)} more`] : []),
    ...(problem && !draining ? [`not ready: ${problem.code}`] : []),
    ...(named.length > 0 ? [`refused ${named.join(", ")}`] : []),
  ].join("; ");
}

function upFor(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1_000);
  const [days, hours] = [Math.floor(seconds / 86_400), seconds / 3_600 % 24];
  if (days > 0) return `${days} d ${Math.floor(hours)} h`;
  const minutes = Math.floor(seconds / 60 % 60);
  if (hours >= 1) return `${Math.floor(hours)} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min` : `${seconds} s`;
}

function summary(
  now: Metrics | undefined,
  before: Metrics | undefined,
  seconds: number,
): string[] {
  if (!now || !before) {
    return [
      "Lag, runs and refusals: not shown, as /metrics asks for the right admin",
      "",
      "",
    ];
  }
  const rate = (name: string): string =>
    ((now.sum(name) - before.sum(name)) / seconds).toFixed(0);
  const time = (share: number): string => {
    const name = "rivulet_append_to_write_seconds";
    const bound = quantile(share, now.buckets(name), before.buckets(name));
    if (bound === undefined) return "-";
    return bound === Infinity ? "more" : `${+(bound * 1_000).toFixed(1)}`;
  };
  const lag = quantile(
    0.99,
    now.buckets("rivulet_lag_seconds"),
    before.buckets("rivulet_lag_seconds"),
  );
  const lagText = lag === undefined
    ? "-"
    : lag === Infinity
    ? "more"
    : `${lag} s`;
  const megabytes = now.sum("rivulet_heap_used_bytes") / 1024 ** 2;
  return [
    `Delivered: ${rate("rivulet_delivered_events_total")} events/s in ${
      rate("rivulet_delivered_messages_total")
    } messages/s; from log to socket up to p50 ${time(0.5)}, p99 ${
      time(0.99)
    } ms; lag p99 ${lagText}`,
    `Runs: ${now.sum("rivulet_runs")} under way, ${
      rate("rivulet_runs_ended_total")
    } ended/s; refusals: ${rate("rivulet_refusals_total")}/s, ${
      now.sum("rivulet_refusals_total")
    } in all`,
    `Connections: ${now.sum("rivulet_tcp_connections")}; heap: ${
      megabytes.toFixed(0)
    } MiB`,
  ];
}
