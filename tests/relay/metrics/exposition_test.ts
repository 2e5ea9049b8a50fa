import { assertEquals, assertThrows } from "@std/assert";
import {
  Exposition,
  ExpositionError,
} from "../../support/observing/exposition.ts";

const GOOD = [
  "# HELP a_total Says \\\\ and \\n.",
  "# TYPE a_total counter",
  'a_total{x="\\"\\\\\\n}",y="1"} 2',
  "",
  "# HELP b Is b.",
  "# TYPE b histogram",
  'b_bucket{le="0.5"} 1',
  'b_bucket{le="1"} 3',
  'b_bucket{le="+Inf"} 4',
  "b_sum 1e3",
  "b_count 4",
  "",
].join("\n");

Deno.test("Exposition reads what is right", () => {
  const exposition = new Exposition(GOOD);
  assertEquals([...exposition.families.keys()], ["a_total", "b"]);
  assertEquals(exposition.value("a_total", { y: "1", x: '"\\\n}' }), 2);
  assertEquals(exposition.value("b_sum"), 1_000);
  assertEquals(exposition.by("b_bucket", "le"), {
    "0.5": 1,
    "1": 3,
    "+Inf": 4,
  });
  assertThrows(() => exposition.value("a_total"), ExpositionError);
});

const WRONG: Readonly<Record<string, readonly [string, string]>> = {
  "a text that is cut off": ["b_count 4\n", "b_count 4"],
  "a sample without a type": ["# TYPE a_total counter\n", ""],
  "a type without a help": ["# HELP a_total Says \\\\ and \\n.\n", ""],
  "a type that there is not": ["a_total counter", "a_total sum"],
  "a help that is not escaped": ["Says \\\\", "Says \\x"],
  "a label that breaks a line": ["\\n}", "\n}"],
  "a label whose quote is not escaped": ['\\"\\\\', '"\\\\'],
  "a label with a bad name": ["{x=", "{x-y="],
  "a label twice": [",y=", ",x="],
  "a number that is none": ["} 2", "} two"],
  "a counter below 0": ["} 2", "} -2"],
  "a sample twice": ["b_count 4\n", "b_count 4\nb_count 4\n"],
  "a sample of another family": ["b_count 4\n", "b_count 4\nb 4\n"],
  "buckets out of order": ['le="0.5"', 'le="1.5"'],
  "buckets that are not cumulative": ["} 1\n", "} 5\n"],
  "no last bucket": ['b_bucket{le="+Inf"} 4\n', ""],
  "a count that is not the last bucket": ["b_count 4", "b_count 5"],
  "no sum": ["b_sum 1e3\n", ""],
};

for (const [what, [right, wrong]] of Object.entries(WRONG)) {
  Deno.test(`Exposition refuses ${what}`, () => {
    const text = GOOD.replace(right, () => wrong);
    assertEquals(text === GOOD, false, "the text was changed");
    assertThrows(() => new Exposition(text), ExpositionError);
  });
}
