import { assert, assertEquals } from "@std/assert";
import { InProcessOnlyError } from "../support/relay/shape.ts";
import {
  blamedOf,
  differences,
  readList,
  readReport,
  withRest,
} from "./run_shape.ts";

const { message } = new InProcessOnlyError("the option clock");

const REPORT = `<testsuites>
<testcase name="It &lt;works&gt;" classname="./tests/a_test.ts" time="0.1"/>
<testcase name="It looks inside" classname="./tests/a_test.ts" time="0.1">
<failure message="Uncaught InProcessOnlyError: ${message}">stack</failure>
</testcase>
<testcase name="It fails" classname="./tests/b_test.ts" time="0.1">
<failure message="Uncaught Error: no&#10;more">stack</failure>
</testcase>
<testcase name="It waits" classname="./tests/b_test.ts" time="0"><skipped/></testcase>
</testsuites>`;

Deno.test("readReport tells tests that need the inside of the process from those that fail", () => {
  const inside = {
    shape: "workers",
    file: "tests/a_test.ts",
    name: "It looks inside",
    reason: "the option clock",
  } as const;
  assertEquals(readReport(REPORT, "workers"), {
    passed: 1,
    failed: [{
      file: "tests/b_test.ts",
      name: "It fails",
      reason: "Uncaught Error: no",
    }],
    inProcess: [inside],
  });
  assertEquals(differences("workers", ["tests"], [inside], [inside]), []);
  const line = "workers\tthe option clock\ttests/a_test.ts\tIt looks inside";
  assertEquals(differences("workers", ["tests"], [inside], []), [
    `not listed: ${line}`,
  ]);
  assertEquals(differences("workers", ["tests"], [], [inside]), [
    `listed, and passes, or fails otherwise: ${line}`,
  ]);
  assertEquals(differences("tree", ["tests"], [], [inside]), []);
});

Deno.test("blamedOf finds the tests that another one may have left something to", () => {
  const result = readReport(REPORT, "workers");
  assertEquals(blamedOf(result), []);
  const name = "It is blamed";
  const reason = "Leaks detected:";
  const [blamed, own] = ["tests/a_test.ts", "tests/b_test.ts"].map((file) => ({
    file,
    name,
    reason,
  }));
  assert(blamed && own);
  assertEquals(blamedOf({ ...result, failed: [blamed, own] }), [blamed]);
});

Deno.test("withRest finds a run that has told of no test, or of none that failed", () => {
  const [test] = readReport(REPORT, "workers").inProcess;
  assert(test);
  const result = { passed: 0, failed: [], inProcess: [] };
  const listed = { ...result, inProcess: [test] };
  assertEquals(withRest(listed, false), listed);
  const passed = { ...result, passed: 1 };
  assertEquals(withRest(passed, true), passed);
  for (const [one, isWell] of [[result, true], [passed, false]] as const) {
    assertEquals(withRest(one, isWell).failed.length, 1);
  }
});

Deno.test("The list of tests that need the inside of the process names files that there are", async () => {
  for (const { file } of await readList()) {
    await Deno.stat(new URL(`../../${file}`, import.meta.url));
  }
});
