import { resolve, type Tree } from "./tree.ts";

/**
 * Finds exports that no other module imports and no user of the package can.
 *
 * An export that only tests import is used: a test may look at a part alone. So is
 * a type that a used export of its own module names, as it is a part of that one. A
 * value that only its own module uses is not.
 *
 * @param tree The modules.
 * @param entries The paths of the modules that users of the package import.
 * @returns A failure for each, with its file and line.
 */
export function findUnusedExports(
  tree: Tree,
  entries: readonly string[],
): string[] {
  const usage = new Usage(tree);
  for (const path of entries) usage.addAll(path);
  for (const { from, to, names } of [...tree.arrows.values()].flat()) {
    if (names) { for (const name of names) usage.add(to, name); }
    // The importer uses only some of the names that `export *` passes on.
    else if (!starsOf(tree, from).includes(to)) usage.addAll(to);
  }
  const failures: string[] = [];
  for (const [path, { exports, passages }] of tree.modules) {
    const unused = new Set<string>();
    for (const { name, line } of [...exports, ...passages]) {
      // The overloads of a function have one name.
      if (usage.has(path, name) || unused.has(name)) continue;
      unused.add(name);
      failures.push(`${path}:${line}: nothing imports the export '${name}'`);
    }
  }
  return failures;
}

/** The paths of the modules that a module passes on with `export *`. */
function starsOf({ modules }: Tree, path: string): string[] {
  const { stars = [] } = modules.get(path) ?? {};
  return stars.map((specifier) => resolve(path, specifier));
}

/** The exports that are used, and with each what it stands for or names. */
class Usage {
  readonly #tree: Tree;
  readonly #used = new Map<string, Set<string>>();

  constructor(tree: Tree) {
    this.#tree = tree;
  }

  has(path: string, name: string): boolean {
    return this.#used.get(path)?.has(name) ?? false;
  }

  /** Adds an export of a module, or what the module passes on under its name. */
  add(path: string, name: string): void {
    const module = this.#tree.modules.get(path);
    if (!module || this.has(path, name)) return;
    const used = this.#used.get(path);
    if (used) used.add(name);
    else this.#used.set(path, new Set([name]));
    for (const passage of module.passages) {
      if (passage.name !== name) continue;
      this.add(resolve(path, passage.specifier), passage.original);
    }
    for (const star of starsOf(this.#tree, path)) this.add(star, name);
    const words = new Set(
      module.exports.filter((declared) => declared.name === name)
        .flatMap(({ code }) => code.match(/\w+/g) ?? []),
    );
    for (const { name, isType } of module.exports) {
      if (isType && words.has(name)) this.add(path, name);
    }
  }

  /** Adds everything that a module exports. */
  addAll(path: string, seen: Set<string> = new Set()): void {
    const module = this.#tree.modules.get(path);
    if (!module || seen.has(path)) return;
    seen.add(path);
    for (const { name } of [...module.exports, ...module.passages]) {
      this.add(path, name);
    }
    for (const star of starsOf(this.#tree, path)) this.addAll(star, seen);
  }
}
