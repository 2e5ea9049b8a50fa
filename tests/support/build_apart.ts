/**
 * Bundles with esbuild in a process of its own: the one that esbuild starts outlives its
 * `stop`, and a test by a moment.
 *
 * @module
 */
import { type BuildOptions, buildSync } from "esbuild";

/**
 * Bundles one module.
 *
 * @param options The options of esbuild that JSON can hold.
 * @returns The text of the bundle.
 */
export async function buildApart(options: BuildOptions): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", import.meta.url],
      JSON.stringify({ ...options, bundle: true, write: false }),
    ],
    cwd: new URL("../../", import.meta.url),
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(decoder.decode(stderr));
  return decoder.decode(stdout);
}

if (import.meta.main) {
  const [options = ""] = Deno.args;
  const { outputFiles } = buildSync(JSON.parse(options));
  const { contents } = outputFiles![0]!; // one entry point makes one file
  await ReadableStream.from([contents]).pipeTo(Deno.stdout.writable);
  Deno.exit();
}
