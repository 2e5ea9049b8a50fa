/**
 * A page's program as one file, with the packages that it imports.
 *
 * @module
 */
import { fromUrl } from "../../../.ci/portable/paths.ts";

const ROOT = new URL("../../../", import.meta.url);

const bundles = new Map<string, Promise<string>>();

/**
 * Bundles a program for browsers, with the esbuild that Deno has.
 *
 * @param file Its path in the repository.
 */
export function bundlePage(file: string): Promise<string> {
  const known = bundles.get(file) ?? bundle(file);
  bundles.set(file, known);
  return known;
}

async function bundle(file: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--platform=browser",
      "--minify",
      fromUrl(new URL(file, ROOT)),
    ],
    cwd: ROOT,
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr));
  return decoder.decode(stdout);
}
