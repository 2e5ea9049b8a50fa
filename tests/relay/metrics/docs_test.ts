// docs/metrics.md lists what there is.
import { assert, assertEquals } from "@std/assert";
import { Metrics } from "../../../relay/metrics/metrics.ts";
import { systemClock } from "../../../src/fetch/clock.ts";
import { Exposition, type Family } from "../../support/observing/exposition.ts";
import { FakeReadings } from "../../support/observing/fake_readings.ts";

/** Labels of which the document does not list the values. */
const OPEN: ReadonlySet<string> = new Set(["reason", "version"]);

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
  const { families } = new Exposition(await metrics.text());
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
  assertEquals(byName(listed), byName(expected));
});
