/**
 * The subscriber's library as one file, as a page would have it.
 *
 * @module
 */
import * as esbuild from "esbuild";
import { fromUrl } from "../../../.ci/portable/paths.ts";

const FILES = {
  /** The library itself. */
  library: "../../../relay/client/mod.ts",
  /** A program that uses it. */
  program: "./client_program.ts",
};

/** Bundles the library, or what uses it, to a minified module that imports nothing. */
export async function bundleClient(
  what: keyof typeof FILES,
): Promise<string> {
  try {
    const { outputFiles } = await esbuild.build({
      entryPoints: [fromUrl(new URL(FILES[what], import.meta.url))],
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      write: false,
    });
    return outputFiles[0]!.text; // one entry point makes one file
  } finally {
    await esbuild.stop();
  }
}
