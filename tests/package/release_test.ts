// The workflow of a release names files, tasks and tarballs that there are.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { VERSION } from "../../src/version.ts";
import { runDeno } from "../support/run_deno.ts";

const root = new URL("../../", import.meta.url);

Deno.test("The workflow of a release runs what there is", async () => {
  const workflow = await Deno.readTextFile(
    new URL(".github/workflows/release.yml", root),
  );
  const { tasks }: { tasks: Record<string, unknown> } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  const named = [...workflow.matchAll(/ task (\S+)/g)].map(([, name]) => name);
  assert(named.length > 0);
  assertEquals(named.filter((name) => !Object.hasOwn(tasks, name ?? "")), []);
  for (const [file] of workflow.matchAll(/\.ci\/\w+(?:\.ts)?/g)) {
    assert((await Deno.stat(new URL(file, root))).isFile, file);
  }
  // As .ci/npm/build.ts names them: the one pattern is not the other's.
  for (
    const [pattern, name] of [
      [/^rivulet-rivulet-.*\.tgz$/, `rivulet-rivulet-${VERSION}.tgz`],
      [/^rivulet-[0-9].*\.tgz$/, `rivulet-${VERSION}.tgz`],
    ] as const
  ) {
    assert(pattern.test(name), name);
    assertStringIncludes(
      workflow,
      `npm/${pattern.source.slice(1, -1).replace(".*\\.", "*.")}`,
    );
  }
});

Deno.test("A release needs a tag of its version, and its section in the changelog", async () => {
  const check = (tag: string) =>
    runDeno(["run", "--allow-read", ".ci/check_release.ts", tag]);
  const wrong = await check("v9.9.9");
  assertEquals(wrong.code, 1);
  assertStringIncludes(wrong.stderr, `v${VERSION}`);
  const { code, stdout, stderr } = await check(`v${VERSION}`);
  // Between releases, there are changes that have no version yet.
  if (code === 0) assert(stdout.length > 100);
  else assertStringIncludes(stderr, "'Unreleased'");
});
