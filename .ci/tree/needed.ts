/**
 * Tells which packages from npm the relay needs to run.
 *
 * @module
 */
import { fromUrl } from "../portable/paths.ts";

/** The part of `deno info --json` that is used here. */
interface Info {
  readonly modules: readonly { readonly npmPackage?: string }[];
  readonly npmPackages: Readonly<
    Record<
      string,
      {
        readonly name: string;
        readonly version: string;
        readonly dependencies: readonly string[];
      }
    >
  >;
}

/** A package in the cache of Deno. */
export interface NeededPackage {
  /** The key in `deno.lock`: the version, and those of its peers. */
  readonly id: string;
  /** The name. */
  readonly name: string;
  /** The version. */
  readonly version: string;
}

/** Returns what the relay of a checkout imports, and what that depends on. */
export async function neededPackages(root: URL): Promise<NeededPackage[]> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "relay/main.ts"],
    cwd: fromUrl(root),
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr));
  const { modules, npmPackages }: Info = JSON.parse(decoder.decode(stdout));
  const ids = new Set(modules.flatMap(({ npmPackage }) => npmPackage ?? []));
  const needed: NeededPackage[] = [];
  for (const id of ids) {
    const found = npmPackages[id];
    if (!found) throw new Error(`deno info says nothing of ${id}`);
    for (const other of found.dependencies) ids.add(other);
    needed.push({ id, name: found.name, version: found.version });
  }
  return needed;
}
