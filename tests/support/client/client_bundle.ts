/**
 * The subscriber's library as one file, as a page would have it.
 *
 * @module
 */
import { fromUrl } from "../../../.ci/portable/paths.ts";
import { buildApart } from "../build_apart.ts";

const FILES = {
  /** The library itself. */
  library: "../../../relay/client/mod.ts",
  /** A program that uses it. */
  program: "./client_program.ts",
};

/** Bundles the library, or what uses it, to a minified module that imports nothing. */
export function bundleClient(what: keyof typeof FILES): Promise<string> {
  return buildApart({
    entryPoints: [fromUrl(new URL(FILES[what], import.meta.url))],
    minify: true,
    format: "esm",
    target: "es2022",
  });
}
