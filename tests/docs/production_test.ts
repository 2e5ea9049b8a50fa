// What docs/ says holds: options, metrics, the unit and the dashboard are as the
// program has them.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { z } from "zod";
import { flagsIn, OTHER_FLAGS, relayHelp } from "../support/docs/relay_help.ts";
import { isMissing } from "../support/tools.ts";
import { LIMIT, within } from "../support/within.ts";

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

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** The settings of a unit, continued lines joined. */
function settingsOf(unit: string): Map<string, string> {
  return new Map(
    unit.replaceAll(/\\\n\s*/g, " ").split("\n")
      .filter((line) => /^[A-Z]\w+=/.test(line))
      .map((line) => {
        const equals = line.indexOf("=");
        return [line.slice(0, equals), line.slice(equals + 1)];
      }),
  );
}

Deno.test("docs/rivulet.service gives the relay time to stop, and the version that this is", async () => {
  const settings = settingsOf(await readDoc("rivulet.service"));
  const start = settings.get("ExecStart") ?? "";
  const [, drain] = /--drain (\d+)s/.exec(start) ?? [];
  assert(Number(settings.get("TimeoutStopSec")) > Number(drain) + 3);
  const { version } = z.looseObject({ version: z.string() }).parse(
    JSON.parse(await Deno.readTextFile(new URL("deno.json", root))),
  );
  for (const name of ["ExecStartPre", "ExecStart"]) {
    assert(
      settings.get(name)?.includes(`@rivulet/rivulet@${version}/cli`),
      name,
    );
  }
});

Deno.test({
  name:
    "docs/rivulet.service starts a relay with what it is allowed, and stops it",
  ignore: Deno.build.os === "windows", // there a signal ends a process at once
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "rivulet-unit-" });
    try {
      await Deno.writeTextFile(`${folder}/jwt.key`, "k".repeat(32));
      const port = freePort();
      const start = settingsOf(await readDoc("rivulet.service"))
        .get("ExecStart") ?? "";
      const [deno, ...args] = start
        .replaceAll("%d", folder)
        .replaceAll("${CREDENTIALS_DIRECTORY}", folder)
        .replace("127.0.0.1:8787", `127.0.0.1:${port}`)
        .replace(/jsr:\S+/, "relay/main.ts")
        .split(/\s+/);
      assertEquals(deno, "/usr/local/bin/deno");
      await using process = new Deno.Command(Deno.execPath(), {
        args: [...args, "--port", String(port)],
        cwd: root,
        env: { NO_COLOR: "1" },
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const stderr = new Response(process.stderr).text();
      const lines = process.stdout.pipeThrough(new TextDecoderStream())
        .getReader();
      let banner = "";
      while (!banner.includes("Tokens are required.")) {
        const { done, value = "" } = await within(
          lines.read(),
          LIMIT,
          () => `the relay's start, after ${banner}`,
        );
        if (done) throw new Error(await stderr);
        banner += value;
      }
      const answers: number[] = [];
      for (const path of ["healthz", "readyz", "topics"]) {
        const response = await fetch(`http://127.0.0.1:${port}/${path}`);
        await response.body?.cancel();
        answers.push(response.status);
      }
      assertEquals(answers, [200, 200, 401]);
      process.kill("SIGTERM");
      while (!(await lines.read()).done);
      const { code } = await process.status;
      const said = await stderr;
      assertEquals(code, 0, said);
      assert(!/NotCapable|Requires/.test(said), said);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
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
