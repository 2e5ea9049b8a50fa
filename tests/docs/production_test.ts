// The pages in docs/ agree with the program on options, metrics, the unit and
// the dashboard.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { z } from "zod";
import { flagsIn, OTHER_FLAGS, relayHelp } from "../support/docs/relay_help.ts";
import { readUnit, settingsOf } from "../support/docs/service.ts";
import { isMissing } from "../support/tools.ts";

const root = new URL("../../", import.meta.url);

function readDoc(name: string): Promise<string> {
  return Deno.readTextFile(new URL(`docs/${name}`, root));
}

// Markdown files: documents_test.ts.
for (
  const name of [
    "nginx.conf",
    "Caddyfile",
    "rivulet.service",
  ]
) {
  Deno.test(`docs/${name} names only options that there are`, async () => {
    const known = new Set(flagsIn(await relayHelp()));
    const unknown = flagsIn(await readDoc(name))
      .filter((flag) => !known.has(flag) && !OTHER_FLAGS.has(flag));
    assertEquals(unknown, []);
  });
}

Deno.test("docs/production.md names each limit with its default", async () => {
  const page = await readDoc("production.md");
  const text = (await relayHelp()).replaceAll(/\s+/g, " ");
  for (
    const [flag, shown, inHelp] of [
      ["--max-connections", "16,384", "16384"],
      ["--max-connections-per-address", "1,024", "1024"],
      ["--max-upstreams", "1,000", "1000"],
      ["--max-topics", "10,000", "10000"],
      ["--heartbeat", "15 s", "15s"],
      ["--idle-timeout", "5 s", "5s"],
      ["--provider-timeout", "10 min", "10m"],
      ["--drain", "10 s", "10s"],
    ] as const
  ) {
    const plain = page.replaceAll(/\s+/g, " ");
    assert(
      plain.includes(`\`${flag}\` (${shown})`) ||
        plain.includes(`(\`${flag}\`, ${shown})`) ||
        plain.includes(`${shown} (\`${flag}\`)`),
      flag,
    );
    const from = text.indexOf(`${flag} `);
    assert(from >= 0, flag);
    assertMatch(
      text.slice(from, from + 200),
      new RegExp(`default:? ${inHelp}\\b`),
      flag,
    );
  }
});

/** The names in the registry's own list of metrics, and what they are. */
async function knownMetrics(): Promise<Map<string, string>> {
  const known = new Map<string, string>();
  for (const line of (await readDoc("metrics.md")).split("\n")) {
    const [, name, type] =
      /^\| *`([a-z_]+)` *\| *(counter|gauge|histogram) *\|/.exec(line) ?? [];
    if (name !== undefined && type !== undefined) known.set(name, type);
  }
  assert(known.size > 20, "docs/metrics.md lists no metrics");
  return known;
}

/** Prometheus' own, of what it asks. */
const OF_PROMETHEUS = new Set(["up"]);

/** The metrics that an expression asks for. */
function metricsIn(expression: string): string[] {
  return expression.match(/\b(?:rivulet|process)_[a-z_]+|\bup\b/g) ?? [];
}

function unknownMetrics(
  expression: string,
  known: ReadonlyMap<string, string>,
): string[] {
  return metricsIn(expression).filter((name) => {
    if (OF_PROMETHEUS.has(name)) return false;
    const [, base = name] = /^(.+)_(?:bucket|sum|count)$/.exec(name) ?? [];
    return base === name
      ? !known.has(name) || known.get(name) === "histogram"
      : known.get(base) !== "histogram";
  });
}

const target = z.looseObject({ refId: z.string(), expr: z.string().min(1) });

const gridPos = z.strictObject({
  h: z.int().positive(),
  w: z.int().positive().max(24),
  x: z.int().min(0),
  y: z.int().min(0),
});

const panel = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("row"),
    id: z.int(),
    title: z.string().min(1),
    gridPos,
    panels: z.array(z.never()),
  }),
  z.looseObject({
    type: z.enum(["stat", "timeseries"]),
    id: z.int(),
    title: z.string().min(1),
    gridPos,
    datasource: z.strictObject({
      type: z.literal("prometheus"),
      uid: z.literal("${datasource}"),
    }),
    fieldConfig: z.looseObject({
      defaults: z.looseObject({ unit: z.string().min(1) }),
    }),
    targets: z.array(target).min(1),
  }),
]);

const dashboard = z.looseObject({
  uid: z.string(),
  title: z.string(),
  schemaVersion: z.int().min(36),
  templating: z.strictObject({
    list: z.array(z.looseObject({ name: z.string(), type: z.string() })),
  }),
  panels: z.array(panel),
});

Deno.test("docs/grafana.json is a dashboard whose panels are whole and apart", async () => {
  const { panels, templating } = dashboard.parse(
    JSON.parse(await readDoc("grafana.json")),
  );
  assertEquals(templating.list.map(({ name, type }) => [name, type]), [
    ["datasource", "datasource"],
    ["job", "query"],
    ["instance", "query"],
  ]);
  assertEquals(new Set(panels.map(({ id }) => id)).size, panels.length);
  const taken = new Set<string>();
  for (const { title, gridPos: { x, y, w, h } } of panels) {
    assert(x + w <= 24, title);
    for (let i = x; i < x + w; i++) {
      for (let j = y; j < y + h; j++) {
        assert(!taken.has(`${i},${j}`), `${title} lies on another panel`);
        taken.add(`${i},${j}`);
      }
    }
  }
});

Deno.test("docs/grafana.json asks for metrics that there are, and for all of the relay's", async () => {
  const known = await knownMetrics();
  const { panels } = dashboard.parse(JSON.parse(await readDoc("grafana.json")));
  const asked = new Set<string>();
  for (const panel of panels) {
    if (panel.type === "row") continue;
    for (const { expr } of panel.targets) {
      assertEquals(unknownMetrics(expr, known), [], `${panel.title}: ${expr}`);
      for (const name of metricsIn(expr)) {
        asked.add(name.replace(/_bucket$/, ""));
      }
      // Of one relay or several, and of no other program.
      assertEquals(
        expr.match(/\{[^{}]*\}/g)?.filter((part) =>
          part !== '{job="$job", instance=~"$instance"}'
        ),
        [],
        expr,
      );
    }
  }
  const missing = [...known.keys()].filter((name) => !asked.has(name));
  assertEquals(missing, []);
});

Deno.test("docs/production.md alerts on metrics that there are", async () => {
  const known = await knownMetrics();
  const page = await readDoc("production.md");
  const expressions = (page.match(/`[^`\n]+`/g) ?? [])
    .filter((code) => /\b(?:rivulet|process)_[a-z_]+|^`up\b/.test(code))
    // Names with dots are of traces.
    .filter((code) => !/^`rivulet\./.test(code));
  assert(expressions.length > 8);
  for (const expression of expressions) {
    assertEquals(unknownMetrics(expression, known), [], expression);
  }
});

Deno.test("docs/rivulet.service gives the relay time to stop, and fetches nothing", async () => {
  const unit = await readUnit();
  const settings = settingsOf(unit);
  const start = settings.get("ExecStart") ?? "";
  const [, drain] = /--drain (\d+)s/.exec(start) ?? [];
  assert(Number(settings.get("TimeoutStopSec")) > Number(drain) + 3);
  assert(start.includes(" --cached-only "));
  assert(!/\b(?:jsr|npm):|https:\/\/(?!jsr)/.test(start), start);
  assert(!settings.has("ExecStartPre"));
});

Deno.test({
  name: "docs/rivulet.service is a unit that systemd takes, and holds tight",
  ignore: Deno.build.os !== "linux" ||
    isMissing("systemd-analyze", "apt-get install systemd"),
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "rivulet-unit-" });
    try {
      const file = `${folder}/rivulet.service`;
      // Deno is elsewhere on the machine of a test.
      const unit = (await readDoc("rivulet.service"))
        .replaceAll("/usr/local/bin/deno", "/bin/true");
      await Deno.writeTextFile(file, unit);
      const analyze = async (...args: string[]) => {
        const { success, stdout, stderr } = await new Deno.Command(
          "systemd-analyze",
          { args: [...args, file], env: { SYSTEMD_COLORS: "0" } },
        ).output();
        const text = new TextDecoder().decode(stderr) +
          new TextDecoder().decode(stdout);
        assert(success, text);
        return text;
      };
      assertEquals(await analyze("verify", "--man=no"), "");
      // Of 10, where 10 is a unit that is not held at all.
      await analyze("security", "--offline=true", "--threshold=20");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
