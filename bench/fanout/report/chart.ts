import type { Comparison, Results } from "../comparison.ts";
import type { Load, Measurement } from "../load.ts";
import type { Server } from "../servers/server.ts";
import { brief, count } from "./numbers.ts";
import { titleOf } from "./table.ts";
import { isBehind } from "./verdict.ts";

/** One bar. */
interface Bar {
  readonly label: string;
  readonly value: number;
  readonly text: string;
  readonly isRelay: boolean;
  /** Drawn pale: the server did not keep up with the rate. */
  readonly isBehind: boolean;
}

/** Some bars of one unit. */
interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 900;
const MARGIN = 20;
const LABELS = 230;
const VALUES = 150;
const BAR = 20;
const PITCH = 27;
const PANEL_HEAD = 46;
const PANEL_FOOT = 34;

const INK = "#1f2328";
const FAINT = "#d8dee4";
const RELAY = "#0b6bcb";
const PEER = "#8a94a0";

/** Of a large matrix only a part is drawn: one number of subscribers, one size. */
const DRAWN = { subscribers: 1_000, size: 120 };

function drawn(comparisons: readonly Comparison[]): readonly Comparison[] {
  const [first] = comparisons;
  if (!first) return [];
  const of = (name: keyof typeof DRAWN): number =>
    comparisons.some(({ load }) => load[name] === DRAWN[name])
      ? DRAWN[name]
      : first.load[name];
  const subscribers = of("subscribers");
  const size = of("size");
  return comparisons.filter(({ load }) =>
    load.subscribers === subscribers && load.size === size
  );
}

/** Returns the panel of each kind of load: the number that says most. */
function panelOf(
  load: Load,
  of: (name: string) => Measurement | undefined,
  servers: readonly Server[],
): Panel[] {
  const draw = (
    title: string,
    value: (measurement: Measurement) => number,
    text: (value: number) => string,
  ): Panel => ({
    title: `${title}: ${titleOf(load)}`,
    bars: servers.flatMap((server) => {
      const measurement = of(server.name);
      if (!measurement) return [];
      const behind = isBehind(load, measurement);
      return {
        label: server.title,
        value: value(measurement),
        text: text(value(measurement)) + (behind ? ", behind" : ""),
        isRelay: server.feed === "sse",
        isBehind: behind,
      };
    }),
  });
  return load.rate === 0
    ? [
      draw("Delivered events/s", (it) => it.delivered, count),
      draw("CPU seconds per million events", (it) => it.cpuPerMillion, brief),
    ]
    : [draw("p99 latency, ms", (it) => it.p99, brief)];
}

function panels(
  { comparisons, idle }: Results,
  servers: readonly Server[],
  idleSubscribers: number,
): Panel[] {
  const loads = drawn(comparisons).flatMap(({ load, outcomes }) => {
    const of = (name: string): Measurement | undefined => {
      const outcome = outcomes.get(name);
      return outcome?.kind === "measured" ? outcome.measurement : undefined;
    };
    return panelOf(load, of, servers);
  });
  const memory = servers.flatMap((server) => {
    const value = (idle.get(server.name) ?? NaN) / 1_000;
    return {
      label: server.title,
      value,
      text: value.toFixed(1),
      isRelay: server.feed === "sse",
      isBehind: false,
    };
  });
  const title = `KB per connection: ${count(idleSubscribers)} idle subscribers`;
  return [...loads, { title, bars: memory }]
    .map(({ title, bars }) => ({
      title,
      bars: bars.filter(({ value }) => value > 0),
    }))
    .filter(({ bars }) => bars.length > 0);
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function drawPanel({ title, bars }: Panel, top: number): string {
  const values = bars.map(({ value }) => value);
  const low = Math.floor(Math.log10(Math.min(...values)) - 0.1);
  const high = Math.max(Math.ceil(Math.log10(Math.max(...values))), low + 1);
  const left = MARGIN + LABELS;
  const right = WIDTH - MARGIN - VALUES;
  const x = (value: number): number =>
    left + (Math.log10(value) - low) / (high - low) * (right - left);
  const bottom = top + PANEL_HEAD + bars.length * PITCH;
  const parts = [
    `<text x="${MARGIN}" y="${top + 22}" font-size="16" font-weight="600">${
      escape(title)
    }</text>`,
  ];
  for (let power = low; power <= high; power++) {
    const at = x(10 ** power).toFixed(1);
    const tick = power < 0 ? 10 ** power : (10 ** power).toLocaleString("en");
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${
        top + PANEL_HEAD - 8
      }" y2="${bottom}" stroke="${FAINT}"/>`,
      `<text x="${at}" y="${
        bottom + 15
      }" font-size="12" text-anchor="middle">${tick}</text>`,
    );
  }
  bars.forEach(({ label, value, text, isRelay, isBehind }, index) => {
    const y = top + PANEL_HEAD + index * PITCH;
    const width = Math.max(x(value) - left, 1).toFixed(1);
    const weight = isRelay ? ' font-weight="600"' : "";
    parts.push(
      `<text x="${left - 10}" y="${y + 15}" text-anchor="end"${weight}>${
        escape(label)
      }</text>`,
      `<rect x="${left}" y="${y}" width="${width}" height="${BAR}" rx="2" fill="${
        isRelay ? RELAY : PEER
      }"${isBehind ? ' opacity="0.4"' : ""}/>`,
      `<text x="${(x(value) + 8).toFixed(1)}" y="${y + 15}"${weight}>${
        escape(text)
      }</text>`,
    );
  });
  return parts.join("\n");
}

/**
 * Draws the results as horizontal bars, on a logarithmic scale each.
 *
 * @param subtitle The machine and the day.
 * @returns An SVG document.
 */
export function chart(
  results: Results,
  servers: readonly Server[],
  idleSubscribers: number,
  subtitle: string,
): string {
  let top = 56;
  const parts: string[] = [];
  for (const panel of panels(results, servers, idleSubscribers)) {
    parts.push(drawPanel(panel, top));
    top += PANEL_HEAD + panel.bars.length * PITCH + PANEL_FOOT;
  }
  const height = top + 10;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="14" fill="${INK}">
<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>
<text x="${MARGIN}" y="30" font-size="13">${
    escape(subtitle)
  }; logarithmic scales</text>
${parts.join("\n")}
</svg>
`;
}
