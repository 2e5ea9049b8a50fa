// docs/metrics.md lists what there is.
import { assert, assertEquals } from "@std/assert";
import { Metrics } from "../../../relay/metrics/metrics.ts";
import { sumFigures } from "../../../relay/metrics/sum_figures.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { StoreFigures } from "../../../relay/workers/store_figures.ts";
import { systemClock } from "../../../src/fetch/clock.ts";
import { Exposition, type Family } from "../../support/observing/exposition.ts";
import { FakeReadings } from "../../support/observing/fake_readings.ts";

/** Labels of which the document does not list the values. */
const OPEN: ReadonlySet<string> = new Set(["reason", "version", "worker"]);

const ROW = /^\| `(\w+)` +\| (\w+) +\| (.*?) *\| (.*?) *\|$/gm;

function labelsOf({ name, samples }: Family): string {
  const values = new Map<string, Set<string>>();
  for (const { labels } of samples) {
    for (const [label, value] of Object.entries(labels)) {
      if (label === "le") continue;
      values.set(label, (values.get(label) ?? new Set()).add(value));
    }
  }
  return [...values].map(([label, known]) =>
    OPEN.has(label) && name !== "rivulet_gaps_total"
      ? `\`${label}\``
      : `\`${label}\`: ${[...known].join(", ")}`
  ).join("; ");
}

Deno.test("docs/metrics.md lists every metric, and none that there is not", async () => {
  using metrics = new Metrics(new FakeReadings(), {
    clock: systemClock,
    version: "1.2.3",
  });
  const ofOne = new Exposition(await metrics.text());
  await using store = new MemoryStore(
    { maxEvents: 1, maxBytes: 1, maxAge: 1 },
    systemClock,
  );
  const workers = new StoreFigures({
    store,
    counts: () => undefined,
    running: () => 1,
  });
  const ofWorkers = await workers.read([
    { name: "1", figures: await metrics.figures() },
  ]);
  const ofAll = new Exposition(await sumFigures([ofWorkers]).text());
  const families = new Map([
    ...[...ofAll.families].filter(([name]) =>
      name.startsWith("rivulet_worker")
    ),
    ...ofOne.families,
  ]);
  const text = await Deno.readTextFile(
    new URL("../../../docs/metrics.md", import.meta.url),
  );
  const listed = Array.from(
    text.matchAll(ROW),
    ([, name, type, labels, meaning]) => [name, type, labels, meaning],
  );
  const expected = Array.from(
    families.values(),
    (family) => [family.name, family.type, labelsOf(family), family.help],
  );
  const byName = (rows: unknown[][]): unknown[][] =>
    rows.toSorted(([a], [b]) => String(a) < String(b) ? -1 : 1);
  assert(listed.length > 0, "there are tables");
  for (const { name, help } of families.values()) {
    assert(!/^(?:How|What)\b/.test(help), `${name}: ${help}`);
  }
  assertEquals(byName(listed), byName(expected));
});
