/**
 * Makes the packages for npm, from what `deno pack` makes of the same source.
 *
 * There are two, so that a program that reads a stream installs no web server:
 *
 * - `@rivulet/rivulet` has the entry points of `deno.json` that run without the modules
 *   of Node, and depends on nothing. Its other entry points pass on those of `rivulet`.
 * - `rivulet` has the rest: the relay, and the command line.
 *
 * Which entry point is in which one follows from what it imports.
 *
 * @module
 */
import * as esbuild from "esbuild";
import { posix } from "node:path";
import { z } from "zod";
import { esbuildService } from "../portable/esbuild_service.ts";
import { localModules } from "../portable/modules.ts";
import { fromUrl } from "../portable/paths.ts";
import { Graph, TYPE_IMPORT } from "./graph.ts";

const ROOT = new URL("../../", import.meta.url);

/** The package of the relay and the command line. */
const RELAY = "rivulet";

/** The entry point that is the command `rivulet`, and is not imported. */
const COMMAND = "./cli";

/**
 * The packages that an entry point of the portable package may import, and its
 * user has to install: the versions, and the path. `zod/v4` is zod 4, which
 * late versions of zod 3 have, too.
 */
const PEERS: Readonly<Record<string, { range: string; path: string }>> = {
  zod: { range: "^3.25.76 || ^4.0.0", path: "zod/v4" },
};

/** The folder in which the portable package shows `rivulet` its modules. */
const INTERNAL = "internal";

const configuration = z.object({
  name: z.string(),
  version: z.string(),
  license: z.string(),
  exports: z.record(z.string(), z.string()),
  imports: z.record(z.string(), z.string()),
});
type Configuration = z.infer<typeof configuration>;

/** A package for npm. */
export interface NpmPackage {
  /** The name. */
  readonly name: string;
  /** The folder of the files. */
  readonly folder: string;
  /** The path of the tarball. */
  readonly tarball: string;
  /** The entry points whose code it has, as `deno.json` names them. */
  readonly entries: readonly string[];
  /** The packages that are installed along with it. */
  readonly dependencies: readonly string[];
}

/** The source as `deno pack` writes it. */
interface Packed {
  readonly folder: string;
  readonly graph: Graph;
  /** The paths in the folder of modules that are imported by a name. */
  readonly links: ReadonlyMap<string, string>;
  /** The versions of packages, by their names. */
  readonly versions: Readonly<Record<string, string>>;
}

/**
 * Makes the packages.
 *
 * @param output An empty folder for the packages and their tarballs.
 * @param repository The repository's URL, which npm compares with where the package was
 * built.
 * @returns The portable package, then that of the relay.
 */
export async function buildPackages(
  output: string,
  repository?: string,
): Promise<[portable: NpmPackage, relay: NpmPackage]> {
  await using _service = esbuildService();
  const config = configuration.parse(
    JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))),
  );
  const entries = Object.entries(config.exports).map(([name, file]) => ({
    name,
    module: posix.normalize(file).replace(/\.ts$/, ".js"),
  }));
  const packed = await pack(
    output,
    config,
    entries.map(({ module }) => module),
  );
  const { graph } = packed;
  const { portable = [], relay = [] } = Object.groupBy(
    entries,
    ({ module }) =>
      [...graph.packagesOf(graph.modulesOf([module]))]
          .every((name) => Object.hasOwn(PEERS, name))
        ? "portable"
        : "relay",
  );
  const shared = graph.modulesOf(portable.map(({ module }) => module));
  const own = graph.modulesOf(relay.map(({ module }) => module))
    .difference(shared);
  const common = {
    version: config.version,
    license: config.license,
    ...repository === undefined
      ? {}
      : { repository: { type: "git", url: `git+${repository}.git` } },
    type: "module",
  };

  const first = `${output}/portable`;
  await writeModules(
    packed,
    shared,
    first,
    (path) => shared.has(path) ? undefined : PEERS[path]?.path ?? path,
  );
  const passedOn = relay.filter(({ name }) => name !== COMMAND);
  for (const { name } of passedOn) {
    const path = `${first}/${RELAY}/${fileOf(name)}`;
    const text = `export * from "${posix.join(RELAY, name)}";\n`;
    await write(`${path}.js`, text);
    await write(`${path}.d.ts`, text);
  }
  await writeManifest(first, {
    ...common,
    name: config.name,
    description:
      "Server-sent events, language models and the subscribers of a relay",
    sideEffects: false,
    engines: { node: ">=20" },
    exports: {
      ...Object.fromEntries([
        ...portable.map(({ name, module }) => [name, exported(module)]),
        ...passedOn.map(({ name }) => [
          name,
          exported(`${RELAY}/${fileOf(name)}.js`),
        ]),
      ]),
      [`./${INTERNAL}/*`]: "./*",
      "./package.json": "./package.json",
    },
    peerDependencies: {
      ...Object.fromEntries(
        Object.entries(PEERS).map(([name, { range }]) => [name, range]),
      ),
      [RELAY]: config.version,
    },
    peerDependenciesMeta: Object.fromEntries(
      [...Object.keys(PEERS), RELAY].map((name) => [
        name,
        { optional: true },
      ]),
    ),
  });

  const second = `${output}/relay`;
  await writeModules(
    packed,
    own,
    second,
    (path) =>
      shared.has(path)
        ? `${config.name}/${INTERNAL}/${path}`
        : own.has(path)
        ? undefined
        : path,
  );
  await Deno.copyFile(
    new URL("rivulet.js", import.meta.url),
    `${second}/${RELAY}.js`,
  );
  const dependencies = [...graph.packagesOf(own)]
    .filter((name) => !name.startsWith("node:"))
    .map((name) => /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name);
  await writeManifest(second, {
    ...common,
    name: RELAY,
    description: "A relay for server-sent events, and its command line",
    sideEffects: false,
    engines: { node: ">=24.2" },
    bin: { [RELAY]: `${RELAY}.js` },
    exports: {
      ...Object.fromEntries(
        passedOn.map(({ name, module }) => [
          name,
          exported(module),
        ]),
      ),
      "./package.json": "./package.json",
    },
    dependencies: Object.fromEntries([
      // The same modules for both, so that `instanceof` holds.
      [config.name, config.version],
      ...[...new Set(dependencies)].sort().map((name) => [
        name,
        `^${packed.versions[name] ?? fail(`deno.json has no '${name}'`)}`,
      ]),
    ]),
  });

  return [
    await finish(config.name, first, portable.map(({ name }) => name)),
    await finish(RELAY, second, relay.map(({ name }) => name)),
  ];
}

function fail(message: string): never {
  throw new Error(message);
}

/** The name of a file for an entry point. */
function fileOf(entry: string): string {
  return entry.slice("./".length).replaceAll("/", "_");
}

function exported(module: string): Record<string, string> {
  return {
    types: `./${module.replace(/\.js$/, ".d.ts")}`,
    default: `./${module}`,
  };
}

/** Has `deno pack` write the source. */
async function pack(
  output: string,
  { imports }: Configuration,
  entries: readonly string[],
): Promise<Packed> {
  const tarball = `${output}/packed.tgz`;
  await run(Deno.execPath(), [
    ...["pack", "--quiet", "--allow-dirty", "--no-source-maps"],
    ...["--output", tarball],
  ], fromUrl(ROOT));
  await run("tar", ["-xzf", "packed.tgz"], output);
  const folder = `${output}/package`;
  const root = fromUrl(ROOT).replaceAll("\\", "/");
  const modules = new Map(
    [...await localModules()].map(([name, path]) => [
      name,
      posix.relative(root, path.replaceAll("\\", "/"))
        .replace(/\.ts$/, ".js"),
    ]),
  );
  return {
    folder,
    links: modules,
    graph: await Graph.read(folder, entries, modules),
    versions: Object.fromEntries(
      Object.entries(imports).flatMap(([name, from]) =>
        from.startsWith("npm:")
          ? [[name, from.slice(from.lastIndexOf("@") + 1)]]
          : []
      ),
    ),
  };
}

/**
 * Writes modules, in syntax that Node 20 and browsers know.
 *
 * @param target What to import in place of a path; nothing for one in the same package.
 */
async function writeModules(
  { folder, links }: Packed,
  modules: ReadonlySet<string>,
  output: string,
  target: (path: string) => string | undefined,
): Promise<void> {
  /** Returns the specifier to write in a module for an import. */
  const rewrite = (from: string, specifier: string): string => {
    const path = specifier.startsWith(".")
      ? posix.join(posix.dirname(from), specifier)
      : links.get(specifier) ?? specifier;
    const other = target(path);
    if (other !== undefined) return other;
    const relative = posix.relative(posix.dirname(from), path);
    return relative.startsWith(".") ? relative : `./${relative}`;
  };
  const code = [...modules].filter((path) => path.endsWith(".js"));
  await esbuild.build({
    entryPoints: code,
    absWorkingDir: folder,
    outdir: output,
    outbase: folder,
    bundle: true,
    format: "esm",
    target: "es2022",
    logLevel: "warning",
    plugins: [{
      name: "rewrite",
      setup(build) {
        build.onResolve({ filter: /./ }, ({ path, kind, importer }) => {
          if (kind === "entry-point") return;
          const from = posix.relative(
            folder.replaceAll("\\", "/"),
            importer.replaceAll("\\", "/"),
          );
          return { path: rewrite(from, path), external: true };
        });
      },
    }],
  });
  for (const path of modules) {
    if (!path.endsWith(".d.ts")) continue;
    const text = await Deno.readTextFile(`${folder}/${path}`);
    await write(
      `${output}/${path}`,
      text.replaceAll(
        TYPE_IMPORT,
        (_, specifier) => JSON.stringify(rewrite(path, specifier)),
      ),
    );
  }
}

async function write(path: string, text: string): Promise<void> {
  await Deno.mkdir(posix.dirname(path.replaceAll("\\", "/")), {
    recursive: true,
  });
  await Deno.writeTextFile(path, text);
}

async function writeManifest(folder: string, manifest: object): Promise<void> {
  await write(
    `${folder}/package.json`,
    `${JSON.stringify(manifest, undefined, 2)}\n`,
  );
  for (const file of ["README.md", "LICENSE"]) {
    await Deno.copyFile(new URL(file, ROOT), `${folder}/${file}`);
  }
}

/** Makes the tarball. */
async function finish(
  name: string,
  folder: string,
  entries: readonly string[],
): Promise<NpmPackage> {
  const { dependencies = {}, version } = z.object({
    version: z.string(),
    dependencies: z.record(z.string(), z.string()).optional(),
  }).parse(JSON.parse(await Deno.readTextFile(`${folder}/package.json`)));
  const file = `${name.replace("@", "").replace("/", "-")}-${version}.tgz`;
  await Deno.rename(folder, `${folder}.whole`);
  await Deno.mkdir(folder);
  // As npm has it: one folder, of this name.
  await Deno.rename(`${folder}.whole`, `${folder}/package`);
  await run("tar", ["-czf", `../${file}`, "package"], folder);
  return {
    name,
    folder: `${folder}/package`,
    tarball: `${posix.dirname(folder)}/${file}`,
    entries,
    dependencies: Object.keys(dependencies),
  };
}

async function run(
  command: string,
  args: string[],
  cwd: string,
): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  if (success) return;
  throw new Error(`${command} ${args[0]}: ${new TextDecoder().decode(stderr)}`);
}
