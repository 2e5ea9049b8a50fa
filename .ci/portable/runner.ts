/**
 * `Deno.test` for other runtimes, and what runs the tests that it was given.
 *
 * Runs where the tests run, so in Node or Bun, once for each file of tests.
 *
 * @module
 */
import process from "node:process";

/**
 * The context that a test is passed: the part of `Deno.TestContext` for steps.
 */
export interface TestContext {
  /** The name of the test, or of the step. */
  readonly name: string;
  /** Runs a part of the test. */
  step(
    step: string | TestDefinition,
    fn?: (t: TestContext) => void | Promise<void>,
  ): Promise<boolean>;
}

/**
 * A test. Other options of Deno's, such as those for its sanitizers, are taken
 * and do nothing.
 */
export interface TestDefinition {
  /** Its name. */
  name: string;
  /** Whether it is not to be run. */
  ignore?: boolean;
  /** The test itself. */
  fn: (t: TestContext) => void | Promise<void>;
}

type TestFunction = TestDefinition["fn"];
type TestOptions = Partial<TestDefinition>;

/**
 * The time limit of a test, in ms: one that hangs must leave time for others.
 */
const TEST_LIMIT = 120_000;

/**
 * The time for which the process may live on when its tests are done, in ms.
 * Deno's sanitizers find what a test leaves behind; here it keeps the process
 * from ending.
 */
const EXIT_LIMIT = 10_000;

const tests: TestDefinition[] = [];

/** `Deno.test`, in all of its forms. */
export const test: {
  (...args: [string | TestFunction | TestOptions, ...unknown[]]): void;
  ignore(...args: [string | TestFunction | TestOptions, ...unknown[]]): void;
} = Object.assign(
  (...args: unknown[]): void => void tests.push(define(args)),
  {
    ignore: (...args: unknown[]): void =>
      void tests.push({ ...define(args), ignore: true }),
  },
);

/** The name, the options and the function, any of which may be left out. */
function define(args: unknown[]): TestDefinition {
  let definition: TestOptions = {};
  for (const arg of args) {
    if (typeof arg === "string") definition = { ...definition, name: arg };
    // The types of `test` leave nothing else for a function and an object to be.
    else if (typeof arg === "function") {
      definition = { ...definition, fn: arg as TestFunction };
    } else definition = { ...definition, ...arg as TestOptions };
  }
  const { fn, name = fn?.name, ignore = false } = definition;
  if (!name || !fn) throw new TypeError("A test needs a name and a function");
  return { name, ignore, fn };
}

/** The errors that nobody has caught since the last look. */
const uncaught: unknown[] = [];

function show(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The stack of some runtimes is without the message.
  const { stack = "" } = error;
  const message = `${error.name}: ${error.message}`;
  const shown = stack.includes(error.message) ? stack : `${message}\n${stack}`;
  return error.cause === undefined
    ? shown
    : `${shown}\nCaused by: ${show(error.cause)}`;
}

const indent = (text: string, by: string) => text.replace(/^/gm, by);

function contextOf(name: string, depth: number): TestContext {
  return {
    name,
    async step(step, fn) {
      const definition = define(fn ? [step, fn] : [step]);
      const pad = "  ".repeat(depth + 1);
      if (definition.ignore) {
        console.log(`${pad}${definition.name} ... ignored`);
        return false;
      }
      const start = performance.now();
      // A step that fails lets the test go on, and fails it in the end.
      try {
        await definition.fn(contextOf(definition.name, depth + 1));
      } catch (error) {
        console.log(`${pad}${definition.name} ... FAILED`);
        uncaught.push(error);
        return false;
      }
      const took = Math.round(performance.now() - start);
      console.log(`${pad}${definition.name} ... ok (${took} ms)`);
      return true;
    },
  };
}

/** Runs a test; the errors that it ends with. */
async function run({ name, fn }: TestDefinition): Promise<unknown[]> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`The test took over ${TEST_LIMIT} ms`)),
      TEST_LIMIT,
    );
  });
  try {
    await Promise.race([(async () => await fn(contextOf(name, 0)))(), late]);
  } catch (error) {
    uncaught.unshift(error);
  } finally {
    clearTimeout(timer);
  }
  // Runtimes tell of a rejection when they have nothing else to do.
  await new Promise((resolve) => setTimeout(resolve));
  return uncaught.splice(0);
}

/**
 * Runs all tests, one after the other, and prints how each has ended.
 *
 * @param prepare Called before each test.
 * @param leftOut The names of those that are not to be run.
 */
export async function runTests(
  prepare: () => Promise<void>,
  leftOut: string[],
): Promise<void> {
  process.on("uncaughtException", (error) => uncaught.push(error));
  process.on("unhandledRejection", (error) => uncaught.push(error));
  const counts = { passed: 0, failed: 0, ignored: 0 };
  for (const name of leftOut) {
    if (tests.some((test) => test.name === name)) continue;
    console.log(`There is no test "${name}" to leave out ... FAILED`);
    counts.failed++;
  }
  for (const test of tests) {
    if (leftOut.includes(test.name)) continue;
    if (test.ignore) {
      counts.ignored++;
      console.log(`${test.name} ... ignored`);
      continue;
    }
    await prepare();
    const start = performance.now();
    const errors = await run(test);
    const took = Math.round(performance.now() - start);
    console.log(
      `${test.name} ... ${errors.length > 0 ? "FAILED" : "ok"} (${took} ms)`,
    );
    for (const error of errors) console.log(indent(show(error), "    "));
    counts[errors.length > 0 ? "failed" : "passed"]++;
  }
  const report = () => console.log(`${COUNTS}${JSON.stringify(counts)}`);
  process.exitCode = counts.failed > 0 ? 1 : 0;
  const timer = setTimeout(() => {
    console.log(
      `The tests have left something behind: the process did not end within ${EXIT_LIMIT} ms`,
    );
    counts.failed++;
    report();
    process.exit(1);
  }, EXIT_LIMIT);
  timer.unref();
  process.once("exit", () => {
    for (const error of uncaught.splice(0)) {
      console.log(`After the tests: ${show(error)}`);
      counts.failed++;
      process.exitCode = 1;
    }
    report();
  });
}

/** The prefix of the line with a file's counts. */
export const COUNTS = "\u0000counts ";
