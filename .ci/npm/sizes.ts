/**
 * Measures the entry points as pages load them: bundled, minified and compressed.
 *
 * @module
 */
import * as esbuild from "esbuild";
import { esbuildService } from "../portable/esbuild_service.ts";
import { localModules } from "../portable/modules.ts";
import { fromUrl } from "../portable/paths.ts";
import { installPackages } from "../portable/runtimes.ts";

const ROOT = new URL("../../", import.meta.url);

/** An entry point in a page. */
export interface BundleSize {
  /** The entry point, as `deno.json` names it. */
  readonly entry: string;
  /** The bytes of the minified module, with all that it imports. */
  readonly minified: number;
  /** The bytes of that after gzip. */
  readonly gzipped: number;
}

/** Measures each entry point that a browser can load, whole: a page may use all of it. */
export async function measureBundles(): Promise<BundleSize[]> {
  await using _service = esbuildService();
  const { exports, imports }: {
    exports: Record<string, string>;
    imports: Record<string, string>;
  } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const modules = await localModules();
  const folder = await Deno.makeTempDir({ prefix: "rivulet-" });
  try {
    await installPackages(folder, { zod: imports["zod"] ?? "npm:zod" });
    const sizes: BundleSize[] = [];
    for (const [entry, file] of Object.entries(exports)) {
      const code = await bundle(file, `${folder}/node_modules`, modules);
      if (!code) continue;
      sizes.push({
        entry,
        minified: code.length,
        gzipped: await gzippedLength(code),
      });
    }
    return sizes;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Bundles a module; returns nothing if it imports modules of Node. */
async function bundle(
  file: string,
  packages: string,
  modules: ReadonlyMap<string, string>,
): Promise<Uint8Array | undefined> {
  const { outputFiles, metafile } = await esbuild.build({
    entryPoints: [fromUrl(new URL(file, ROOT))],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    metafile: true,
    logLevel: "warning",
    plugins: [{
      name: "packages",
      setup(build) {
        build.onResolve({ filter: /^[^./]/ }, ({ path, kind, importer }) => {
          // A package finds its own imports by itself.
          if (kind === "entry-point" || importer.includes("node_modules")) {
            return;
          }
          const file = path === "zod"
            ? `${packages}/zod/index.js`
            : modules.get(path);
          return file === undefined ? { path, external: true } : { path: file };
        });
      },
    }],
  });
  const isPortable = Object.values(metafile.outputs)
    .every(({ imports }) => imports.length === 0);
  return isPortable ? outputFiles[0]?.contents : undefined;
}

/** Returns the length in gzip, as servers send it. */
async function gzippedLength(bytes: Uint8Array): Promise<number> {
  const stream = new Blob([new Uint8Array(bytes)]).stream()
    .pipeThrough(new CompressionStream("gzip"));
  return (await new Response(stream).arrayBuffer()).byteLength;
}
