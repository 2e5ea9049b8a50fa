/**
 * Tells which files of the checkout are imported by a name.
 *
 * @module
 */
import { fromUrl } from "./paths.ts";

const ROOT = new URL("../../", import.meta.url);

/** The part of a package's `deno.json` that says where its modules are. */
interface Package {
  name: string;
  exports: Record<string, string>;
}

/**
 * Returns the modules of the package and of the stand-ins in `links/`: the paths of
 * their files, by what they are imported as.
 */
export async function localModules(): Promise<Map<string, string>> {
  const { links }: { links: string[] } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", ROOT)),
  );
  const modules = await Promise.all(
    [".", ...links].map((folder) =>
      modulesOf(new URL(`${folder}/deno.json`, ROOT))
    ),
  );
  return new Map(modules.flat());
}

async function modulesOf(config: URL): Promise<[string, string][]> {
  const { name, exports }: Package = JSON.parse(
    await Deno.readTextFile(config),
  );
  return Object.entries(exports).map(([path, file]) => [
    path.replace(".", name),
    fromUrl(new URL(file, config)),
  ]);
}
