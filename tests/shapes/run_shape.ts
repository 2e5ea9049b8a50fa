/**
 * Runs tests against a shape of relay, and compares the tests that need the inside of the
 * process with the list of those that may.
 *
 * @module
 */
import {
  InProcessOnlyError,
  RELAY_SHAPES,
  type RelayShape,
  SHAPE_VARIABLE,
} from "../support/relay/shape.ts";

/** The suites of one relay, which run against every shape. */
export const SUITES: readonly string[] = [
  "tests/relay/end_to_end_test.ts",
  "tests/relay/gateway",
];

/** A test that needs the inside of the process. */
export interface InProcessTest {
  readonly shape: RelayShape;
  /** The path of its file. */
  readonly file: string;
  readonly name: string;
  /** The part of the process that it needs. */
  readonly reason: string;
}

/** A test that failed for another reason than the shape. */
export interface FailedTest {
  /** The path of its file. */
  readonly file: string;
  readonly name: string;
  /** The first line of the reason. */
  readonly reason: string;
}

/** The result of a run. */
export interface ShapeResult {
  readonly passed: number;
  readonly failed: readonly FailedTest[];
  /** The tests that need the inside of the process. */
  readonly inProcess: readonly InProcessTest[];
}

/** The checkout. */
const ROOT = new URL("../../", import.meta.url);

const LIST = new URL("in_process.txt", import.meta.url);

/** The failure of a run that has not told of its tests. */
const UNFINISHED: FailedTest = {
  file: "the run",
  name: "as a whole",
  reason: "Expected tests to run to their end",
};

/** The beginning of the message of a test that needs the inside of the process. */
const NEEDS = new InProcessOnlyError("").message;

const ENTITIES: Readonly<Record<string, string>> = {
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  amp: "&",
};

function textOf(xml: string): string {
  return xml.replace(
    /&(#x?)?(\w+);/g,
    (_, numeric: string | undefined, name: string) =>
      numeric === undefined
        ? ENTITIES[name] ?? ""
        : String.fromCodePoint(parseInt(name, numeric === "#x" ? 16 : 10)),
  );
}

/** Reads a report in the format of JUnit. */
export function readReport(xml: string, shape: RelayShape): ShapeResult {
  let passed = 0;
  const failed: FailedTest[] = [];
  const inProcess: InProcessTest[] = [];
  const cases = xml.matchAll(
    /<testcase name="([^"]*)" classname="([^"]*)"[^>]*?(\/>|>([\s\S]*?)<\/testcase>)/g,
  );
  for (const [, name = "", path = "", , inner = ""] of cases) {
    const [, failure] = /<failure message="([^"]*)"/.exec(inner) ?? [];
    if (failure === undefined) {
      if (!inner.includes("<skipped")) passed++;
      continue;
    }
    const message = textOf(failure);
    const file = textOf(path).replace(/^\.\//, "");
    const at = message.indexOf(NEEDS);
    if (at < 0) {
      const [reason = ""] = message.split("\n");
      failed.push({ file, name: textOf(name), reason });
      continue;
    }
    const [reason = ""] = message.slice(at + NEEDS.length).split("\n");
    inProcess.push({ shape, file, name: textOf(name), reason });
  }
  return { passed, failed, inProcess };
}

/**
 * Completes a report with what is in no test: files that cannot be read, and a run that
 * was broken off.
 *
 * @param result The report.
 * @param isWell Whether the run has told that all is well.
 */
export function withRest(result: ShapeResult, isWell: boolean): ShapeResult {
  const { passed, failed, inProcess } = result;
  const seen = failed.length + inProcess.length;
  const isTold = isWell ? passed + seen > 0 : seen > 0;
  return isTold ? result : { ...result, failed: [UNFINISHED] };
}

/**
 * Returns the failed tests whose leaks may be those of another test of their file: a test
 * that needs the inside of the process throws in its middle, and leaves resources open.
 */
export function blamedOf({ failed, inProcess }: ShapeResult): FailedTest[] {
  const broken = new Set(inProcess.map(({ file }) => file));
  return failed.filter(({ file, reason }) =>
    broken.has(file) && reason.startsWith("Leaks detected")
  );
}

/**
 * Runs tests, and shows their output. A test that may have failed for the leaks of another
 * test runs once more, alone.
 */
export async function runShape(
  shape: RelayShape,
  paths: readonly string[],
): Promise<ShapeResult> {
  const result = await runTests(shape, paths);
  const blamed = blamedOf(result);
  const failed = result.failed.filter((test) => !blamed.includes(test));
  let { passed } = result;
  for (const test of blamed) {
    const { file, name } = test;
    const alone = await runTests(shape, [file], name);
    // The filter also selects tests whose names contain this one.
    const again = alone.failed.find((one) => one.name === name);
    if (again || alone.passed === 0) failed.push(again ?? test);
    else passed++;
  }
  return { ...result, passed, failed };
}

/** Runs tests once: all of them, or only those whose names contain the filter. */
async function runTests(
  shape: RelayShape,
  paths: readonly string[],
  filter?: string,
): Promise<ShapeResult> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["test", "-A", "--no-check", "--sanitize-ops"],
        ...["--sanitize-resources", `--junit-path=${report}`],
        ...filter === undefined ? [] : [`--filter=${filter}`],
        ...paths,
      ],
      cwd: ROOT,
      env: { [SHAPE_VARIABLE]: shape },
    }).spawn().status;
    return withRest(
      readReport(await Deno.readTextFile(report), shape),
      success,
    );
  } finally {
    await Deno.remove(report);
  }
}

function lineOf({ shape, file, name, reason }: InProcessTest): string {
  return [shape, reason, file, name].join("\t");
}

/** Reads the list of tests that need the inside of the process. */
export async function readList(): Promise<InProcessTest[]> {
  const text = await Deno.readTextFile(LIST);
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [shape, reason = "", file = "", name = ""] = line.split("\t");
    const known = RELAY_SHAPES.find((one) => one === shape);
    if (known === undefined) throw new TypeError(`No shape: '${line}'`);
    return { shape: known, reason, file, name };
  });
}

/** Whether a test is in a run of these paths. */
function isWithin({ file }: InProcessTest, paths: readonly string[]): boolean {
  return paths.some((path) => file === path || file.startsWith(`${path}/`));
}

/**
 * Compares the tests of a run that need the inside of the process with the list.
 *
 * @returns A line for each that is only in one of the two.
 */
export function differences(
  shape: RelayShape,
  paths: readonly string[],
  found: readonly InProcessTest[],
  listed: readonly InProcessTest[],
): string[] {
  const before = new Set(
    listed.filter((test) => test.shape === shape && isWithin(test, paths))
      .map(lineOf),
  );
  const now = new Set(found.map(lineOf));
  return [
    ...[...now].filter((line) => !before.has(line)).map((line) =>
      `not listed: ${line}`
    ),
    ...[...before].filter((line) => !now.has(line)).map((line) =>
      `listed, and passes, or fails otherwise: ${line}`
    ),
  ];
}

/** Writes the list anew with what a run has found. */
export async function updateList(
  shape: RelayShape,
  paths: readonly string[],
  found: readonly InProcessTest[],
): Promise<void> {
  const others = (await readList()).filter((test) =>
    test.shape !== shape || !isWithin(test, paths)
  );
  const lines = [...new Set([...others, ...found].map(lineOf))].sort();
  await Deno.writeTextFile(LIST, lines.map((line) => `${line}\n`).join(""));
}
