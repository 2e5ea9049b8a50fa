/**
 * Makes the files of the relay's page from their source.
 *
 * @module
 */
import * as esbuild from "esbuild";
import { minify } from "terser";
import { esbuildService } from "../portable/esbuild_service.ts";
import { fromUrl } from "../portable/paths.ts";

const SOURCE = new URL("../../relay/doors/page/browser/", import.meta.url);

/** The module with the files as the relay serves them. */
export const BUILT: URL = new URL(
  "../../relay/doors/page/files.ts",
  import.meta.url,
);

/** Returns the text of the module `files.ts`. */
export async function buildPage(): Promise<string> {
  await using _service = esbuildService();
  const { outputFiles } = await esbuild.build({
    entryPoints: ["main.ts", "page.css"],
    absWorkingDir: fromUrl(SOURCE),
    outdir: ".",
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    // A file of its own would be one more to serve.
    legalComments: "none",
    charset: "utf8",
    write: false,
    logLevel: "warning",
  });
  const output = (end: string): string => {
    const file = outputFiles.find(({ path }) => path.endsWith(end));
    if (!file) throw new Error(`esbuild has made no ${end}`);
    return file.text.trim();
  };
  const constant = (name: string, what: string, text: string): string =>
    `\n/** ${what} */\nexport const ${name} =\n  ${JSON.stringify(text)};\n`;
  return [
    "// Made by `deno task page` from browser/: change those files, and run it again.\n",
    constant("HTML", "The page.", await squeezed("page.html")),
    constant("STYLE", "Its style.", output(".css")),
    constant("SCRIPT", "Its script.", await squeezeScript(output(".js"))),
    constant("ICON", "Its icon.", await squeezed("icon.svg")),
  ].join("");
}

/** Reads a file of markup without the space between its lines. */
async function squeezed(name: string): Promise<string> {
  const text = await Deno.readTextFile(new URL(name, SOURCE));
  return text.replace(/\n\s*/g, "\n").trim();
}

/** Makes a script smaller: terser takes off three hundredths more than esbuild alone. */
async function squeezeScript(text: string): Promise<string> {
  const { code } = await minify(text, {
    module: true,
    ecma: 2020,
    compress: { passes: 3, unsafe_arrows: true, unsafe_methods: true },
  });
  if (code === undefined) throw new Error("terser has made nothing");
  return code;
}
