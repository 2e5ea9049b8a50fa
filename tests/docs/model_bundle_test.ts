// A program carries what it imports of the model client, and no more.
import { assert, assertEquals } from "@std/assert";
import { fromUrl } from "../../.ci/portable/paths.ts";
import { buildApart } from "../support/build_apart.ts";

/** Bundles a program that uses some exports. */
function bundled(...names: string[]): Promise<string> {
  const file = fromUrl(new URL("../../src/model/mod.ts", import.meta.url));
  return buildApart({
    stdin: {
      contents: `import { ${names} } from ${JSON.stringify(file)};
        console.log(${names});`,
      resolveDir: fromUrl(new URL(".", import.meta.url)),
    },
    format: "esm",
    target: "es2022",
    external: ["zod", "@std/*"],
  });
}

/** Words that only the code of runTools() has. */
const OF_RUNS = ["tool.started", "maxTurns", "make the tool"];

Deno.test("A program that does not run tools carries no run of them", async () => {
  const plain = await bundled("ModelClient", "providers", "user");
  assertEquals(OF_RUNS.filter((word) => plain.includes(word)), []);
  const running = await bundled("ModelClient", "runTools", "tool");
  assertEquals(OF_RUNS.filter((word) => running.includes(word)), OF_RUNS);
  assert(plain.length < running.length);
});
