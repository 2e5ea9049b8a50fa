/**
 * Makes a folder that a machine runs the relay from, without a network: its source, a
 * lock file with what it imports and nothing else, and a cache with all of that.
 *
 * ```sh
 * deno task tree FOLDER [CHECKOUT]
 * ```
 *
 * Run it with `DENO_DIR=FOLDER/.deno deno run --cached-only FOLDER/relay/main.ts`.
 *
 * @module
 */
import { fromUrl, toUrl } from "./portable/paths.ts";
import { neededPackages } from "./tree/needed.ts";

/**
 * The parts of the folder. The entry points of the package do not reach all of
 * them. The entry points of the package are not all in it.
 */
const PARTS = ["src", "relay", "links", "LICENSE", "CHANGELOG.md"];

/** The part of `deno.json` that a program needs. */
interface Configuration {
  readonly version: string;
  readonly imports: Readonly<Record<string, string>>;
  readonly links: readonly string[];
}

/** The part of `deno.lock` that is used here. */
interface Lock {
  readonly version: string;
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<Record<string, unknown>>;
  readonly workspace: { readonly dependencies: readonly string[] };
}

const [folder, checkout, ...rest] = Deno.args;
if (folder === undefined || rest.length > 0) {
  console.error("Usage: deno task tree FOLDER [CHECKOUT]");
  Deno.exit(2);
}
/** The checkout: that of this file, unless another is named. */
const ROOT = checkout === undefined
  ? new URL("../", import.meta.url)
  : new URL(`${toUrl(await Deno.realPath(checkout)).href}/`);
await Deno.mkdir(folder, { recursive: true });
for (const part of PARTS) await copy(fromUrl(new URL(part, ROOT)), part);
const config: Configuration = JSON.parse(await readText("deno.json"));
const lock: Lock = JSON.parse(await readText("deno.lock"));
const needed = await neededPackages(ROOT);
const names = new Set(needed.map(({ name }) => name));
const ids = new Set(needed.map(({ id }) => id));
const isNeeded = (specifier: string): boolean =>
  !specifier.startsWith("npm:") ||
  names.has(specifier.slice("npm:".length, specifier.lastIndexOf("@")));
await writeJson("deno.json", {
  imports: Object.fromEntries(
    Object.entries(config.imports).filter(([, from]) => isNeeded(from)),
  ),
  links: config.links,
  nodeModulesDir: "none",
});
// A folder of Deno's own would install every package of the checkout's lock file.
await writeJson("deno.lock", {
  ...lock,
  specifiers: Object.fromEntries(
    Object.entries(lock.specifiers).filter(([from]) => isNeeded(from)),
  ),
  npm: Object.fromEntries(
    Object.entries(lock.npm).filter(([id]) => ids.has(id)),
  ),
  workspace: {
    ...lock.workspace,
    dependencies: lock.workspace.dependencies.filter(isNeeded),
  },
});
const { success } = await new Deno.Command(Deno.execPath(), {
  args: ["cache", "--frozen", "relay/main.ts"],
  cwd: folder,
  env: { DENO_DIR: `${await Deno.realPath(folder)}/.deno` },
}).spawn().status;
if (!success) Deno.exit(1);
console.log(`Made ${folder}: version ${config.version}`);

function readText(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

async function writeJson(name: string, value: object): Promise<void> {
  await Deno.writeTextFile(
    `${folder}/${name}`,
    `${JSON.stringify(value, undefined, 2)}\n`,
  );
}

async function copy(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) {
    await Deno.copyFile(from, `${folder}/${to}`);
    return;
  }
  await Deno.mkdir(`${folder}/${to}`, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    await copy(`${from}/${name}`, `${to}/${name}`);
  }
}
