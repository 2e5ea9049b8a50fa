/**
 * Installs the packages for npm into empty folders, and uses them as their users do:
 * every program of the README, the command line, and the types.
 *
 * ```sh
 * deno task test:npm
 * deno task test:npm --smoke
 * ```
 *
 * `--smoke` installs once, and runs what needs Node 20 on the machine's Node.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import * as esbuild from "esbuild";
import { z } from "zod";
import { blocksOf } from "../tests/support/docs/markdown.ts";
import { buildPackages, type NpmPackage } from "./npm/build.ts";
import {
  binaryIn,
  BUN,
  BUN_PACKAGE,
  installPackages,
  NODE_PACKAGE,
} from "./portable/runtimes.ts";

const ROOT = new URL("../", import.meta.url);

/** The time limit of one program, in ms: the longest wait is for the registry. */
const LIMIT = 600_000;

const TYPESCRIPT = "typescript@7.0.2";
const NODE_TYPES = "@types/node@24";
/** The least version of zod whose `zod/v4` is what the package imports. */
const OLD_ZOD = "zod@3.25.76";
const ZOD = "zod@4.6.7";

/** The portable entry points that need zod. */
const NEED_ZOD = ["./model", "./testing"];

const isSmoke = Deno.args.includes("--smoke");
if (Deno.args.some((argument) => argument !== "--smoke")) {
  console.error("Usage: deno run -A .ci/test_npm.ts [--smoke]");
  Deno.exit(2);
}

let passed = 0;
let failed = 0;

async function check(name: string, run: () => Promise<void>): Promise<void> {
  const start = performance.now();
  let result = "ok";
  try {
    await run();
    passed++;
  } catch (error) {
    failed++;
    result = `FAILED: ${error instanceof Error ? error.message : error}`;
  }
  const seconds = ((performance.now() - start) / 1_000).toFixed(1);
  console.log(`${name} ... ${result} (${seconds} s)`);
}

interface Done {
  readonly code: number;
  readonly text: string;
}

async function runIn(
  cwd: string,
  command: string,
  args: readonly string[],
): Promise<Done> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1", npm_config_update_notifier: "false" },
    stdin: "null",
    signal: AbortSignal.timeout(LIMIT),
  }).output();
  const decoder = new TextDecoder();
  return { code, text: `${decoder.decode(stdout)}${decoder.decode(stderr)}` };
}

/** Runs a program that has to succeed; returns what it says. */
async function done(
  cwd: string,
  command: string,
  ...args: string[]
): Promise<string> {
  const { code, text } = await runIn(cwd, command, args);
  if (code === 0) return text;
  throw new Error(`${command} ${args.join(" ")}: status ${code}: ${text}`);
}

function install(folder: string, ...packages: string[]): Promise<string> {
  const quiet = ["--no-audit", "--no-fund", "--no-progress", "--save-exact"];
  return done(folder, "npm", "install", ...quiet, ...packages);
}

/** A program of the README. */
interface Program {
  readonly name: string;
  readonly code: string;
  readonly needsRelay: boolean;
}

async function readPrograms(): Promise<Program[]> {
  const readme = await Deno.readTextFile(new URL("README.md", ROOT));
  return blocksOf(readme).filter(({ language }) => language === "ts")
    .map(({ line, text }) => ({
      name: `readme_${line}`,
      code: text,
      needsRelay: text.includes("@rivulet/rivulet/relay"),
    }));
}

/** Writes the programs into a folder, as TypeScript and as any Node 20 runs them. */
async function writePrograms(
  folder: string,
  programs: readonly Program[],
): Promise<void> {
  await Deno.mkdir(`${folder}/fixtures`);
  await Deno.copyFile(
    new URL("fixtures/demo.sse", ROOT),
    `${folder}/fixtures/demo.sse`,
  );
  for (const { name, code } of programs) {
    await Deno.writeTextFile(`${folder}/${name}.ts`, code);
    const js = await esbuild.transform(code, {
      loader: "ts",
      target: "node20",
      format: "esm",
    });
    await Deno.writeTextFile(`${folder}/${name}.mjs`, js.code);
  }
}

/** An empty folder of a user, with nothing installed. */
async function createFolder(name: string): Promise<string> {
  const folder = `${temporary}/${name}`;
  await Deno.mkdir(folder);
  await Deno.writeTextFile(
    `${folder}/package.json`,
    JSON.stringify({ name: "app", private: true, type: "module" }),
  );
  return folder;
}

/** Checks types as strictly as the compiler can, those in the packages, too. */
async function checkTypes(
  folder: string,
  files: readonly string[],
  resolution: { module: string; moduleResolution: string },
  types: readonly string[],
): Promise<void> {
  await Deno.writeTextFile(
    `${folder}/tsconfig.json`,
    JSON.stringify({
      compilerOptions: {
        ...resolution,
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        skipLibCheck: false,
        noEmit: true,
        target: "esnext",
        lib: ["esnext", "dom", "dom.iterable", "dom.asynciterable"],
        types,
      },
      files,
    }),
  );
  await done(folder, "npx", "--no-install", "tsc");
}

/** Has a relay of the command line start, answer and stop. */
async function serve(
  folder: string,
  command: string,
  args: readonly string[],
): Promise<void> {
  await using process = new Deno.Command(command, {
    args: [
      ...[...args, "--port", "0", "--drain", "0s"],
      ...["--store", "sqlite:topics.db"],
    ],
    cwd: folder,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(process.stderr).text();
  let url: string | undefined;
  let text = "";
  for await (
    const chunk of process.stdout.pipeThrough(new TextDecoderStream())
  ) {
    text += chunk;
    url ??= / on (http:\S+)/.exec(text)?.[1];
    if (url === undefined) continue;
    const topic = `${url}/topics/t`;
    const published = await fetch(topic, { method: "POST", body: "a" });
    await published.body?.cancel();
    if (published.status !== 200) throw new Error(`Got ${published.status}`);
    break;
  }
  if (url === undefined) throw new Error(`${text}${await stderr}`);
  process.kill("SIGTERM");
  const { code } = await process.status;
  if (code !== 0) throw new Error(`Ended with ${code}: ${await stderr}`);
  await stderr;
}

async function sizeOf(folder: string): Promise<number> {
  let size = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) size += await sizeOf(path);
    else size += (await Deno.lstat(path)).size;
  }
  return size;
}

async function showSize(name: string, folder: string): Promise<void> {
  const size = await sizeOf(`${folder}/node_modules`);
  console.log(`${name}: ${(size / 1e6).toFixed(1)} MB in node_modules`);
}

/** Checks all that can be checked of the portable package on one runtime. */
async function tryPortable(
  folder: string,
  command: string,
  programs: readonly Program[],
): Promise<void> {
  for (const { name, needsRelay } of programs) {
    if (needsRelay) continue;
    await check(`${name} runs on ${await version(command)}`, async () => {
      const text = await done(folder, command, `${name}.mjs`);
      if (text === "") throw new Error("It prints nothing");
    });
  }
}

async function tryRelay(
  folder: string,
  command: string,
  programs: readonly Program[],
): Promise<void> {
  const runtime = await version(command);
  for (const { name, needsRelay } of programs) {
    if (!needsRelay) continue;
    await check(`${name} runs on ${runtime}`, async () => {
      const text = await done(folder, command, `${name}.mjs`);
      if (text === "") throw new Error("It prints nothing");
    });
  }
  const main = "node_modules/rivulet/rivulet.js";
  await check(`rivulet --help runs on ${runtime}`, async () => {
    const text = await done(folder, command, main, "--help");
    if (!text.includes("--source")) throw new Error(text);
  });
  await check(
    `rivulet keeps topics in a file on ${runtime}`,
    () => serve(folder, command, [main]),
  );
}

/** The fields of a manifest that users, npm and bundlers go by. */
const manifest = z.strictObject({
  name: z.string(),
  description: z.string().min(20),
  version: z.string(),
  license: z.literal("MIT"),
  type: z.literal("module"),
  sideEffects: z.literal(false),
  engines: z.strictObject({ node: z.enum([">=20", ">=24.2"]) }),
  bin: z.record(z.string(), z.string()).optional(),
  exports: z.record(
    z.string(),
    z.union([
      z.string(),
      z.strictObject({ types: z.string(), default: z.string() }),
    ]),
  ),
  dependencies: z.record(z.string(), z.string()).optional(),
  peerDependencies: z.record(z.string(), z.string()).optional(),
  peerDependenciesMeta: z.record(
    z.string(),
    z.strictObject({ optional: z.literal(true) }),
  ).optional(),
});

/** Reads the manifest of a package that is installed, and finds each of its files. */
async function readManifest(
  folder: string,
  name: string,
): Promise<z.infer<typeof manifest>> {
  const installed = `${folder}/node_modules/${name}`;
  const read = manifest.parse(
    JSON.parse(await Deno.readTextFile(`${installed}/package.json`)),
  );
  const files = Object.values(read.exports).flatMap((target) =>
    typeof target === "string" ? [target] : [target.types, target.default]
  ).filter((path) => !path.includes("*"));
  for (
    const path of [
      ...[...files, ...Object.values(read.bin ?? {})],
      ...["README.md", "LICENSE"],
    ]
  ) {
    await Deno.stat(`${installed}/${path}`);
  }
  return read;
}

/** Checks what npm shows of the packages, and what it installs along with them. */
async function checkManifests(
  folder: string,
  portable: NpmPackage,
  relay: NpmPackage,
): Promise<void> {
  const first = await readManifest(folder, portable.name);
  const second = await readManifest(folder, relay.name);
  const peers = Object.keys(first.peerDependencies ?? {}).sort();
  assertEquals(peers, [relay.name, "zod"]);
  assertEquals(Object.keys(first.peerDependenciesMeta ?? {}).sort(), peers);
  assertEquals(first.dependencies, undefined);
  assertEquals(second.peerDependencies, undefined);
  assertEquals(second.dependencies?.[portable.name], first.version);
  assertEquals(second.version, first.version);
  assertEquals(
    [first.engines.node, second.engines.node, Object.keys(second.bin ?? {})],
    [">=20", ">=24.2", [relay.name]],
  );
  const configuration: { exports: Record<string, string>; version: string } =
    JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  assertEquals(first.version, configuration.version);
  // Every entry point but the command line, whichever package has its code.
  const entries = Object.keys(configuration.exports)
    .filter((entry) => entry !== "./cli");
  const missing = entries.filter((entry) => !(entry in first.exports));
  assertEquals(missing, []);
  for (const { exports } of [first, second]) {
    assertEquals(exports["./package.json"], "./package.json");
  }
}

const versions = new Map<string, string>();

async function version(command: string): Promise<string> {
  let known = versions.get(command);
  if (known === undefined) {
    const text = (await done(temporary, command, "--version")).trim();
    known = text.startsWith("v") ? `Node ${text.slice(1)}` : `Bun ${text}`;
    versions.set(command, known);
  }
  return known;
}

/** Returns the program of a runtime, from npm. */
async function getRuntime(name: string, from: string): Promise<string> {
  const folder = `${temporary}/${name}`;
  await Deno.mkdir(folder);
  await installPackages(folder, { [from]: `npm:${from}@${VERSIONS[name]}` });
  return await binaryIn(folder, from, name.startsWith("bun") ? "bun" : "node");
}

const VERSIONS: Readonly<Record<string, string>> = {
  node20: "20",
  node24: "24",
  bun: BUN,
};

async function main(
  portable: NpmPackage,
  relay: NpmPackage,
): Promise<void> {
  const programs = await readPrograms();
  const both = [portable.tarball, relay.tarball];
  const entries = [...portable.entries, ...relay.entries]
    .filter((name) => name !== "./cli");
  const imports = (names: readonly string[]) =>
    names.map((name, index) =>
      `import * as m${index} from "${name.replace(".", portable.name)}";\n` +
      `export { m${index} };\n`
    ).join("");

  const folder = await createFolder("all");
  await writePrograms(folder, programs);
  await install(folder, ...both, ZOD, TYPESCRIPT, NODE_TYPES);
  await Deno.writeTextFile(`${folder}/all.ts`, imports(entries));
  await Deno.writeTextFile(
    `${folder}/portable.ts`,
    imports(portable.entries),
  );
  await check(
    "The manifests say what users, npm and bundlers go by",
    () => checkManifests(folder, portable, relay),
  );
  await check("Types are strict, for Node", () =>
    checkTypes(
      folder,
      ["all.ts", ...programs.map(({ name }) => `${name}.ts`)],
      { module: "nodenext", moduleResolution: "nodenext" },
      ["node"],
    ));
  await check(
    "Types are strict, for a bundler, without the types of Node",
    () =>
      checkTypes(
        folder,
        ["portable.ts"],
        { module: "esnext", moduleResolution: "bundler" },
        [],
      ),
  );
  await check("rivulet says which Node it needs", async () => {
    const { code, text } = await runIn(folder, "npx", [
      ...["--no-install", "rivulet", "--help"],
    ]);
    // The machine's Node may be a newer one.
    if (code !== 2 && code !== 0 || !/24\.2|--source/.test(text)) {
      throw new Error(`status ${code}: ${text}`);
    }
  });
  await tryPortable(folder, "node", programs);
  const node24 = await getRuntime("node24", NODE_PACKAGE);
  await tryRelay(folder, node24, programs);
  if (isSmoke) return;

  const small = await createFolder("small");
  await writePrograms(small, programs);
  await install(small, portable.tarball);
  await showSize(portable.name, small);
  const node20 = await getRuntime("node20", NODE_PACKAGE);
  await check("What needs no zod runs without", async () => {
    const free = portable.entries.filter((name) => !NEED_ZOD.includes(name));
    await Deno.writeTextFile(`${small}/free.mjs`, imports(free));
    await done(small, node20, "free.mjs");
  });
  await install(small, OLD_ZOD);
  await showSize(`${portable.name} with ${OLD_ZOD}`, small);
  await tryPortable(
    small,
    node20,
    // A program that makes schemas itself needs the zod that it is written for.
    programs.filter(({ code }) => !code.includes('from "zod"')),
  );
  await install(small, ZOD);
  await showSize(`${portable.name} with ${ZOD}`, small);
  await tryPortable(small, node24, programs);

  const large = await createFolder("large");
  await install(large, ...both);
  await showSize(`${portable.name} with ${relay.name}`, large);

  const bun = await getRuntime("bun", BUN_PACKAGE);
  const ofBun = await createFolder("of_bun");
  await writePrograms(ofBun, programs);
  // Bun asks the registry for what another package needs, also where it has it.
  await Deno.writeTextFile(
    `${ofBun}/package.json`,
    JSON.stringify({
      name: "app",
      private: true,
      type: "module",
      overrides: { [portable.name]: `file:${portable.tarball}` },
    }),
  );
  await check("bun add installs both", async () => {
    await done(ofBun, bun, "add", "--silent", ...both, ZOD);
  });
  await tryPortable(ofBun, bun, programs);
  await tryRelay(ofBun, bun, programs);
}

const start = performance.now();
const temporary = await Deno.makeTempDir({ prefix: "rivulet-" });
try {
  const built = `${temporary}/built`;
  await Deno.mkdir(built);
  const [portable, relay] = await buildPackages(built);
  await main(portable, relay);
} finally {
  await esbuild.stop();
  await Deno.remove(temporary, { recursive: true });
}
const seconds = ((performance.now() - start) / 1_000).toFixed();
console.log(
  `npm: ${passed} passed, ${failed} failed, 0 ignored (${seconds} s)`,
);
Deno.exitCode = passed > 0 && failed === 0 ? 0 : 1;
