import { type Import, type Module, readModule } from "./module.ts";

/** An import of one module of a tree by another. */
export interface Arrow {
  /** The path of the module that imports. */
  readonly from: string;
  /** The number of the line, from 1. */
  readonly line: number;
  /** The path of the module that is imported. */
  readonly to: string;
  /** As {@linkcode Import} has it. */
  readonly names: Import["names"];
}

/** The modules of a checkout, by their paths from its root. */
export class Tree {
  /** The modules. */
  readonly modules: ReadonlyMap<string, Module>;
  /** The imports of each module that are of another one in the tree. */
  readonly arrows: ReadonlyMap<string, readonly Arrow[]>;

  /** Takes the modules, by their paths. */
  constructor(modules: ReadonlyMap<string, Module>) {
    this.modules = modules;
    this.arrows = new Map(
      [...modules].map(([from, { imports }]) => [
        from,
        imports.flatMap(({ specifier, line, names }) => {
          const to = resolve(from, specifier);
          return modules.has(to) ? [{ from, line, to, names }] : [];
        }),
      ]),
    );
  }

  /** Reads the TypeScript modules in a folder's `paths`, which may be folders or files. */
  static async read(root: URL, paths: readonly string[]): Promise<Tree> {
    const files: string[] = [];
    for (const path of paths) await collect(root, path, files);
    files.sort();
    return new Tree(
      new Map(
        await Promise.all(files.map(async (path) => {
          const text = await Deno.readTextFile(new URL(path, root));
          return [path, readModule(text)] as const;
        })),
      ),
    );
  }
}

/** The path of the module that a specifier names; none outside of the tree has one. */
export function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier;
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

async function collect(
  root: URL,
  path: string,
  files: string[],
): Promise<void> {
  const url = new URL(path, root);
  try {
    if ((await Deno.stat(url)).isFile) {
      // The types of a package stand beside its import, and are in no other one.
      if (/(?<!\.d)\.ts$/.test(path)) files.push(path);
      return;
    }
    for await (const { name } of Deno.readDir(url)) {
      await collect(root, `${path}/${name}`, files);
    }
  } catch (error) {
    // A made-up tree need not have every folder.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
