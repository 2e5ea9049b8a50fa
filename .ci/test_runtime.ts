/**
 * Runs the core's tests, and some of the relay's, on another runtime: the same files,
 * bundled, with what they use of Deno written over Node's modules. `src/` and `relay/`
 * get no such help.
 *
 * ```sh
 * deno task test:node [FILES]
 * deno task test:node --version=24.14.0 --smoke
 * deno task test:bun [FILES]
 * ```
 *
 * `--version` takes that version of Node from npm, the newest of a major version for
 * `24`. `--smoke` runs only the files whose outcome depends on the runtime's `fetch`.
 * `--relay` runs the tests of the relay, too.
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { bundle } from "./portable/bundle.ts";
import { fromUrl } from "./portable/paths.ts";
import { COUNTS } from "./portable/runner.ts";
import {
  binaryIn,
  BUN,
  BUN_PACKAGE,
  installPackages,
  NODE_PACKAGE,
} from "./portable/runtimes.ts";

const ROOT = new URL("../", import.meta.url);

/** The folders with the tests of `src/`. */
const FOLDERS = [
  "tests/sse",
  "tests/fetch",
  "tests/model",
  "tests/conformance",
  "tests/testing",
];

/** The tests that meet the runtime's own `fetch` first. */
const SMOKE = [
  "tests/fetch/foreign_fetch_test.ts",
  "tests/fetch/request_test.ts",
  "tests/fetch/ending_test.ts",
  "tests/fetch/unexpected_response_test.ts",
  "tests/model/requests_test.ts",
];

/** The tests of the relay, which needs Node 24.2 or Bun. */
const RELAY = ["tests/relay/runtimes/smoke_test.ts"];

/** The least version of Node that the core promises to run on. */
const LEAST_NODE = 20;

/** The tests that are left out, and the reasons. */
const LEFT_OUT: {
  file: string;
  /** All tests of the file, if none is named. */
  test?: string;
  on: string[];
  why: string;
}[] = [
  {
    file: "tests/sse/memory_test.ts",
    on: ["node", "bun"],
    why: "it starts Deno, to look at the heap of its engine",
  },
  {
    file: "tests/testing/hostile_clients_test.ts",
    on: ["node", "bun"],
    why: "its server is one for tests of the relay, which run on Deno",
  },
  {
    file: "tests/testing/hostile_server_test.ts",
    on: ["node", "bun"],
    why: "its server is one for tests of the relay, which run on Deno",
  },
  {
    file: "tests/fetch/soak_test.ts",
    on: ["node", "bun"],
    why: "it starts Deno, to look at its memory, and takes its sockets",
  },
  {
    file: "tests/fetch/collected_request_test.ts",
    on: ["node", "bun"],
    why: "its server is Deno's, and so is what it looks at",
  },
  {
    file: "tests/fetch/ending_test.ts",
    test: "EventStream throws when the connection is reset",
    on: ["node", "bun"],
    why:
      "their fetch takes a reset for the end of a body that has neither a length nor chunks",
  },
  {
    file: "tests/fetch/unexpected_response_test.ts",
    test: "HttpStatusError has what came of a body that breaks off",
    on: ["bun"],
    why: "its fetch drops what has come along with the break, now and then",
  },
  {
    file: "tests/model/messages_peer_test.ts",
    on: ["node", "bun"],
    why: "it looks at another client, which says the same there",
  },
  {
    file: "tests/model/peers_test.ts",
    on: ["node", "bun"],
    why: "it looks at other clients, which say the same there",
  },
  {
    file: "tests/model/permissions_test.ts",
    on: ["node", "bun"],
    why: "it starts Deno, with few permissions",
  },
  {
    file: "tests/testing/scripted_fetch_test.ts",
    test: "ScriptedFetch refuses what fetch refuses, and keeps its place",
    on: ["bun"],
    why: "its Request takes any method, and a body with GET",
  },
];

/** The time limit of one file, in ms, before it is ended. */
const FILE_LIMIT = 600_000;

interface Counts {
  passed: number;
  failed: number;
  ignored: number;
}

const [runtime, ...rest] = Deno.args;
const flags = rest.filter((argument) => argument.startsWith("--"));
const given = rest.filter((argument) => !argument.startsWith("--"));
const version = flags.find((flag) => flag.startsWith("--version="))
  ?.slice("--version=".length);
const isSmoke = flags.includes("--smoke");
const isRelay = flags.includes("--relay");
const isKnown = flags.every((flag) =>
  /^--(?:version=.+|smoke|relay)$/.test(flag)
);
if (
  runtime !== "node" && runtime !== "bun" || !isKnown ||
  version !== undefined && runtime !== "node"
) {
  console.error(
    "Usage: deno run -A .ci/test_runtime.ts node|bun [--version=NODE] [--smoke] [--relay] [FILES]",
  );
  Deno.exit(2);
}
if (isSmoke) given.push(...SMOKE, ...isRelay ? RELAY : []);
const folder = await Deno.makeTempDir({ prefix: "rivulet-" });
try {
  Deno.exitCode = await main(runtime, folder);
} finally {
  await Deno.remove(folder, { recursive: true });
}

async function main(runtime: "node" | "bun", folder: string): Promise<number> {
  const start = performance.now();
  let files = given.map((file) => file.replaceAll("\\", "/"));
  const leftOut = LEFT_OUT.filter(({ on }) => on.includes(runtime));
  if (files.length === 0) {
    for (const folder of FOLDERS) await findTests(folder, files);
    if (isRelay) files.push(...RELAY);
    files.sort();
    files = files.filter((file) =>
      !leftOut.some((other) => other.file === file && !other.test)
    );
  }
  for (const { file, test, why } of leftOut) {
    if (test ? !files.includes(file) : given.length > 0) continue;
    console.log(`left out: ${test ? `"${test}" of ` : ""}${file}: ${why}`);
  }
  await install(runtime, folder);
  const command = runtime === "bun"
    ? await binaryIn(folder, BUN_PACKAGE, "bun")
    : version === undefined
    ? "node"
    : await binaryIn(folder, NODE_PACKAGE, "node");
  console.log(`${runtime} ${await versionOf(command)}`);
  const namesIn = (file: string) =>
    leftOut.flatMap((other) => other.file === file ? other.test ?? [] : []);
  await bundle(files, namesIn, folder);

  const all: Counts = { passed: 0, failed: 0, ignored: 0 };
  for (const file of files) {
    console.log(`\n${file}`);
    const counts = await runFile(
      command,
      `${folder}/${file.replace(/\.ts$/, ".mjs")}`,
    );
    all.passed += counts.passed;
    all.failed += counts.failed;
    all.ignored += counts.ignored;
  }
  const seconds = ((performance.now() - start) / 1_000).toFixed();
  console.log(
    `\n${runtime}: ${all.passed} passed, ${all.failed} failed, ${all.ignored} ignored (${seconds} s)`,
  );
  // If nothing may be ignored, a test that lacks something has failed.
  const mayIgnore = Deno.env.get("RIVULET_REQUIRE_ALL") !== "1";
  const isFine = all.passed > 0 && all.failed === 0 &&
    (all.ignored === 0 || mayIgnore);
  return isFine ? 0 : 1;
}

async function findTests(folder: string, files: string[]): Promise<void> {
  let entries;
  try {
    entries = await Array.fromAsync(Deno.readDir(new URL(folder, ROOT)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  for (const { name, isDirectory } of entries) {
    if (isDirectory) await findTests(`${folder}/${name}`, files);
    else if (name.endsWith("_test.ts")) files.push(`${folder}/${name}`);
  }
}

/** Installs the packages that are imported, in the versions that Deno has. */
async function install(runtime: string, folder: string): Promise<void> {
  const { imports }: { imports: Record<string, string> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", ROOT)),
  );
  const packages = Object.fromEntries(
    Object.entries(imports).filter(([, from]) => from.startsWith("npm:")),
  );
  if (runtime === "bun") packages[BUN_PACKAGE] = `npm:${BUN_PACKAGE}@${BUN}`;
  if (version !== undefined) {
    packages[NODE_PACKAGE] = `npm:${NODE_PACKAGE}@${version}`;
  }
  await installPackages(folder, packages);
}

async function versionOf(command: string): Promise<string> {
  let output;
  try {
    output = await new Deno.Command(command, { args: ["--version"] }).output();
  } catch (error) {
    throw new Error(`Cannot run ${command}`, { cause: error });
  }
  const version = new TextDecoder().decode(output.stdout).trim();
  if (command === "node" && parseInt(version.slice(1)) < LEAST_NODE) {
    throw new Error(`Needs Node ${LEAST_NODE} or later: found ${version}`);
  }
  return version;
}

/** Runs a file's tests, shows what they print, and counts them. */
async function runFile(command: string, path: string): Promise<Counts> {
  const process = new Deno.Command(command, {
    args: runtime === "node" ? ["--enable-source-maps", path] : [path],
    cwd: fromUrl(ROOT),
    stdin: "null",
    // The relay's command line, as this runtime can run it.
    env: { RIVULET_TEST_MAIN: `${folder}/relay/main.mjs` },
    stdout: "piped",
  }).spawn();
  const timer = setTimeout(() => process.kill("SIGKILL"), FILE_LIMIT);
  let counts: Counts | undefined;
  const lines = process.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) {
    if (line.startsWith(COUNTS)) counts = JSON.parse(line.slice(COUNTS.length));
    else console.log(line);
  }
  const { code, signal } = await process.status;
  clearTimeout(timer);
  if (counts && (code === 0 || counts.failed > 0)) return counts;
  console.log(`${path} ... FAILED: ended with ${signal ?? code}`);
  return { ...counts ?? { passed: 0, ignored: 0 }, failed: 1 };
}
