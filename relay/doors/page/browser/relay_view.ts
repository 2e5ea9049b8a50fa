import { ask, hasToken } from "./access.ts";
import type { Status } from "./data.ts";
import { facts, h, say } from "./dom.ts";
import { keep } from "./live.ts";
import { bytes, count, duration, rate } from "./words.ts";

/**
 * The time between two requests to the relay, in milliseconds, and the number
 * of answers drawn.
 */
const INTERVAL = 1_000;
const POINTS = 120;

/** The charts: their titles, how a value is written, and where it is. */
const CHARTS: readonly (readonly [
  string,
  (value: number) => string,
  (status: Status) => number | undefined,
])[] = [
  ["Events published/s", rate, ({ rates }) => rates.publishedEvents],
  ["Events delivered/s", rate, ({ rates }) => rates.deliveredEvents],
  ["Largest lag, in events", count, ({ lag }) => lag?.max],
  ["Connections", count, ({ connections }) => connections.tcp],
  [
    "Subscriptions",
    count,
    ({ subscriptions: { websocket = 0, sse = 0 } }) => websocket + sse,
  ],
  ["Refusals/s", rate, ({ rates }) => rates.refusals],
  ["Event-loop delay, p99", duration, ({ loopDelay }) => loopDelay?.p99],
  ["Memory", bytes, ({ memory }) => memory.rss],
];

const SVG = "http://www.w3.org/2000/svg";

/** A line of what has come while somebody looked. */
class Chart {
  readonly element: HTMLElement;
  readonly #value = h("b");
  readonly #most = h("small", { class: "soft" });
  readonly #line = document.createElementNS(SVG, "polyline");
  readonly #values: number[] = [];

  constructor(title: string) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 -1 ${POINTS - 1} 42`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    svg.append(this.#line);
    this.element = h(
      "figure",
      h(
        "figcaption",
        h("span", { class: "soft" }, title),
        this.#value,
        this.#most,
      ),
      svg,
    );
  }

  add(value: number, write: (value: number) => string): void {
    const values = this.#values;
    values.push(value);
    if (values.length > POINTS) values.shift();
    const most = Math.max(...values);
    say(this.#value, write(value));
    say(this.#most, `most ${write(most)}`);
    this.#line.setAttribute(
      "points",
      values.map((value, index) =>
        `${POINTS - values.length + index},${40 - 40 * value / (most || 1)}`
      ).join(" "),
    );
  }
}

/** Lists how often something has occurred, by its name. */
function tally(counts: Readonly<Record<string, number>> = {}): string {
  return Object.entries(counts)
    .map(([name, value]) => `${name} ${count(value)}`).join(", ") || "none";
}

/**
 * Shows the relay.
 *
 * @returns Rejects with a refusal of the relay.
 */
export function showRelay(
  main: HTMLElement,
  signal: AbortSignal,
): Promise<void> {
  const charts = new Map<string, Chart>();
  const grid = h("div", { class: "charts" });
  const note = h("p", { class: "note", role: "status" });
  const list = h("dl");
  main.replaceChildren(
    h("h1", "Relay"),
    note,
    grid,
    list,
    h(
      "p",
      // A link sends no token.
      !hasToken() && h("a", { href: "metrics" }, "Metrics"),
      " · ",
      h("a", { href: "https://jsr.io/@rivulet/rivulet" }, "Documentation"),
    ),
  );
  return keep(signal, async (inner) => {
    const answer = await ask("status", { signal: inner.signal });
    const status: Status = await answer.json();
    for (const [title, write, read] of CHARTS) {
      const value = read(status);
      if (value === undefined) continue;
      let chart = charts.get(title);
      if (!chart) {
        charts.set(title, chart = new Chart(title));
        grid.append(chart.element);
      }
      chart.add(value, write);
    }
    const { draining, problem, connections, topics, store, memory } = status;
    say(
      note,
      draining
        ? `The relay is shutting down: ${duration(draining.left)} are left.`
        : problem
        ? `The relay is not ready: ${problem.detail}`
        : "",
    );
    facts(list, [
      ["Version", `${status.version}, ${status.runtime}`],
      ["Up for", duration(status.uptime)],
      ["Open to", status.access],
      // One process has none.
      ["Workers", (status.workers ?? 1) > 1 ? `${status.workers}` : undefined],
      [
        "Store",
        `${store?.kind}${store?.failure ? `, fails: ${store.failure}` : ""}`,
      ],
      ["Topics", tally(topics)],
      ["Ends", tally(status.ends)],
      [
        "Runs",
        tally({ runs: status.runs ?? 0, upstreams: status.upstreams ?? 0 }),
      ],
      ["Connections", tally(connections)],
      ["Refusals", tally(status.refusals)],
      ["Memory", `${bytes(memory.rss ?? 0)} of ${bytes(memory.max ?? 0)}`],
      [
        "Log",
        status.log &&
        `${count(status.log.events)} events, ${bytes(status.log.bytes)}`,
      ],
    ]);
    return INTERVAL;
  });
}
