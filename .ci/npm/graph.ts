/**
 * Tells which modules an entry point consists of.
 *
 * @module
 */
import * as esbuild from "esbuild";
import { posix } from "node:path";

/** The imports of a module. */
interface Imports {
  /** Other modules of the source, by their paths. */
  readonly modules: ReadonlySet<string>;
  /** Packages, and modules of the runtime. */
  readonly packages: ReadonlySet<string>;
}

/** The modules of a folder of JavaScript, and the declarations of their types. */
export class Graph {
  readonly #imports: ReadonlyMap<string, Imports>;

  private constructor(imports: ReadonlyMap<string, Imports>) {
    this.#imports = imports;
  }

  /**
   * Follows imports from the entry points on.
   *
   * @param folder Where the modules are.
   * @param entries The paths of the entry points in it, each a module of JavaScript.
   * @param links The paths in the folder of what is imported by these names.
   */
  static async read(
    folder: string,
    entries: readonly string[],
    links: ReadonlyMap<string, string>,
  ): Promise<Graph> {
    const { metafile } = await esbuild.build({
      entryPoints: [...entries],
      absWorkingDir: folder,
      outdir: folder,
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      logLevel: "warning",
      plugins: [{
        name: "links",
        setup(build) {
          build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
            if (kind === "entry-point") return;
            const link = links.get(path);
            return link === undefined
              ? { path, external: true }
              : { path: `${folder}/${link}` };
          });
        },
      }],
    });
    const imports = new Map<string, Imports>();
    for (const [path, input] of Object.entries(metafile.inputs)) {
      const split = Object.groupBy(
        input.imports,
        ({ external }) => external ? "packages" : "modules",
      );
      imports.set(path, {
        modules: new Set(split.modules?.map(({ path }) => path)),
        packages: new Set(split.packages?.map(({ path }) => path)),
      });
    }
    await addTypes(folder, imports);
    return new Graph(imports);
  }

  /** Returns the modules that these consist of, with the declarations of their types. */
  modulesOf(entries: readonly string[]): Set<string> {
    const found = new Set(entries);
    for (const path of found) {
      for (const other of this.#imports.get(path)?.modules ?? []) {
        found.add(other);
      }
    }
    return found;
  }

  /** Returns the packages, and modules of the runtime, that these modules import. */
  packagesOf(modules: Iterable<string>): Set<string> {
    return new Set(
      [...modules].flatMap((path) => [
        ...this.#imports.get(path)?.packages ?? [],
      ]),
    );
  }
}

/** Adds the declarations of each module, and what those import. */
async function addTypes(
  folder: string,
  imports: Map<string, Imports>,
): Promise<void> {
  const waiting = [...imports.keys()];
  for (const path of waiting) {
    const types = path.replace(/(?<!\.d)\.(?:js|ts)$/, ".d.ts");
    if (types === path || imports.has(types)) continue;
    let text;
    try {
      text = await Deno.readTextFile(`${folder}/${types}`);
    } catch (error) {
      // No entry point shows anything of this module's.
      if (error instanceof Deno.errors.NotFound) continue;
      throw error;
    }
    const own = imports.get(path);
    if (own) {
      imports.set(path, { ...own, modules: new Set([...own.modules, types]) });
    }
    const modules = new Set<string>();
    const packages = new Set<string>();
    for (const [, specifier = ""] of text.matchAll(TYPE_IMPORT)) {
      if (!specifier.startsWith(".")) {
        packages.add(specifier);
        continue;
      }
      const module = posix.join(posix.dirname(types), specifier);
      modules.add(module);
      // It may have nothing but types, which no module of JavaScript imports.
      if (!imports.has(module)) {
        imports.set(module, { modules: new Set(), packages: new Set() });
        waiting.push(module);
      }
    }
    imports.set(types, { modules, packages });
  }
}

/** An import in declarations; those in the examples of comments are indented by ` *`. */
export const TYPE_IMPORT =
  /(?<=^(?:\s*\*\/ )?(?:import|export)\b[^;\n]*?\bfrom |^(?! *\*).*\bimport\()"([^"]+)"/gm;
