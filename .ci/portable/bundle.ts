/**
 * Makes files of tests fit for a runtime that has no Deno API.
 *
 * @module
 */
import * as esbuild from "esbuild";
import { esbuildService } from "./esbuild_service.ts";
import { localModules } from "./modules.ts";
import { fromUrl, toUrl } from "./paths.ts";

const ROOT = new URL("../../", import.meta.url);

/** The replacements that tests get for what their runtime lacks. */
const REPLACED = {
  "Deno": "Deno",
  "Array.fromAsync": "fromAsync",
  "AsyncDisposableStack": "AsyncDisposableStack",
  "DisposableStack": "DisposableStack",
  "Promise.withResolvers": "withResolvers",
};

/**
 * Bundles files of tests, each to a module that runs its tests.
 *
 * The code of `src/` and `relay/` stays as it is, except for its syntax.
 * Packages from npm are not bundled. The relay's command line becomes
 * `relay/main.mjs`.
 *
 * @param files The files, as paths from the root of the repository.
 * @param leftOut The names of the tests in a file that are not to be run.
 * @param folder Where the bundles go, and keep the names of the files.
 */
export async function bundle(
  files: string[],
  leftOut: (file: string) => string[],
  folder: string,
): Promise<void> {
  const modules = await localModules();
  const sources = ["src/", "relay/"].map((path) =>
    fromUrl(new URL(path, ROOT))
  );
  const support = fromUrl(new URL(".ci/portable/", ROOT));

  const plugin: esbuild.Plugin = {
    name: "deno",
    setup(build) {
      build.onResolve({ filter: /^run:/ }, ({ path }) => ({
        path: path.slice("run:".length),
        namespace: "run",
      }));
      // The module that the runtime is given: tests first, then who runs them.
      build.onLoad({ filter: /./, namespace: "run" }, ({ path }) => ({
        contents: `
          import ${JSON.stringify(fromUrl(new URL(path, ROOT)))};
          import { prepareListeners } from ${
          JSON.stringify(`${support}net.ts`)
        };
          import { runTests } from ${JSON.stringify(`${support}runner.ts`)};
          await runTests(prepareListeners, ${JSON.stringify(leftOut(path))});
        `,
        resolveDir: fromUrl(ROOT),
      }));
      build.onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
        // A path of Windows looks like the name of a package.
        if (kind === "entry-point" || /^[a-z]:[\\/]/i.test(path)) return;
        const file = modules.get(path);
        return file ? { path: file } : { path, external: true };
      });
      build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const contents = await Deno.readTextFile(path);
        if ([...sources, support].some((folder) => path.startsWith(folder))) {
          return { contents, loader: "ts" };
        }
        const names = [...new Set(Object.values(REPLACED))];
        const { code } = await esbuild.transform(contents, {
          loader: "ts",
          sourcefile: path,
          sourcemap: "inline",
          define: {
            ...Object.fromEntries(
              Object.entries(REPLACED).map((
                [name, by],
              ) => [name, `$test_${by}`]),
            ),
            // A bundle is elsewhere than what the tests look for.
            "import.meta.url": JSON.stringify(toUrl(path).href),
          },
          banner: `import { ${
            names.map((name) => `${name} as $test_${name}`).join(", ")
          } } from ${JSON.stringify(`${support}deno.ts`)};`,
          tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
        });
        return { contents: code, loader: "js" };
      });
    },
  };

  await using _service = esbuildService();
  await esbuild.build({
    entryPoints: [
      { in: "relay/main.ts", out: "relay/main" },
      ...files.map((file) => ({
        in: `run:${file}`,
        out: file.replace(/\.ts$/, ""),
      })),
    ],
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    absWorkingDir: fromUrl(ROOT),
    bundle: true,
    format: "esm",
    platform: "node",
    // The least that the core promises to run on.
    target: "node20",
    sourcemap: "linked",
    logLevel: "warning",
    plugins: [plugin],
  });
}
