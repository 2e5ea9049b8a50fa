import { assertEquals, assertMatch } from "@std/assert";
import { fromUrl } from "../../.ci/portable/paths.ts";
import { readModule } from "../../.ci/structure/module.ts";
import { findVagueComments } from "../../.ci/structure/comments.ts";
import { findCycles } from "../../.ci/structure/cycles.ts";
import { findUnusedExports } from "../../.ci/structure/exports.ts";
import { findWrongArrows, ROOMS } from "../../.ci/structure/rooms.ts";
import { Tree } from "../../.ci/structure/tree.ts";
import { type ProgramRun, runDeno } from "../support/run_deno.ts";

type Files = Readonly<Record<string, string>>;

function tree(files: Files): Tree {
  return new Tree(
    new Map(
      Object.entries(files).map(([path, text]) => [path, readModule(text)]),
    ),
  );
}

Deno.test("findCycles names each import of a cycle", () => {
  assertEquals(
    findCycles(tree({
      "relay/a.ts": `import { b } from "./b.ts";`,
      "relay/b.ts": `\n\nimport type { C } from "./c/c.ts";`,
      "relay/c/c.ts": `// first\nimport { b } from "../b.ts";`,
      "relay/d.ts": `import { a } from "./a.ts";`,
    })),
    [
      "relay/b.ts:3: imports go round in a cycle\n" +
      "  relay/b.ts:3 imports relay/c/c.ts\n" +
      "  relay/c/c.ts:2 imports relay/b.ts",
    ],
  );
});

Deno.test("findCycles finds a module that imports itself, and cycles apart", () => {
  const failures = findCycles(tree({
    "src/a.ts": `import { a } from "./a.ts";`,
    "src/b.ts": `export * from "./c.ts";`,
    "src/c.ts": `const { b } = await import("./b.ts");`,
  }));
  assertEquals(failures.map((failure) => failure.split("\n")[0]), [
    "src/a.ts:1: imports go round in a cycle",
    "src/b.ts:1: imports go round in a cycle",
  ]);
});

Deno.test("findCycles names the shortest of cycles that hang together", () => {
  assertEquals(
    findCycles(tree({
      "src/a.ts": `import "./b.ts";`,
      "src/b.ts": `import "./c.ts";`,
      "src/c.ts": `import "./a.ts";\nimport "./d.ts";`,
      "src/d.ts": `import "./c.ts";`,
    })),
    [
      "src/c.ts:2: imports go round in a cycle\n" +
      "  src/c.ts:2 imports src/d.ts\n" +
      "  src/d.ts:1 imports src/c.ts",
    ],
  );
});

Deno.test("findCycles lets two ways lead to one module", () => {
  const failures = findCycles(tree({
    "src/a.ts": `import "./b.ts";\nimport "./c.ts";`,
    "src/b.ts": `import "./d.ts";`,
    "src/c.ts": `import "./d.ts";`,
    "src/d.ts": "",
  }));
  assertEquals(failures, []);
});

Deno.test("findWrongArrows names what a room may not import", () => {
  assertEquals(
    findWrongArrows(tree({
      "src/sse/parser.ts": `import { retry } from "../fetch/retry.ts";`,
      "src/fetch/retry.ts": `import { Topic } from "../../relay/topics/a.ts";`,
      "relay/topics/a.ts":
        `import { b } from "./b.ts";\nimport type { Pump } from "../delivery/pump.ts";`,
      "relay/topics/b.ts": "",
      "relay/delivery/pump.ts": `import { a } from "../topics/a.ts";`,
      "relay/client/a.ts": `import { world } from "../../tests/world.ts";`,
      "tests/world.ts": `import { pump } from "../relay/delivery/pump.ts";`,
    })),
    [
      "src/sse/parser.ts:1: src/sse/ may not import src/fetch/retry.ts",
      "src/fetch/retry.ts:1: src/fetch/ may not import relay/topics/a.ts",
      "relay/topics/a.ts:2: relay/topics/ may not import relay/delivery/pump.ts",
      "relay/client/a.ts:1: relay/client/ may not import tests/world.ts",
    ],
  );
});

Deno.test("findWrongArrows finds a module without a room", () => {
  assertEquals(findWrongArrows(tree({ "relay/attic/box.ts": "" })), [
    "relay/attic/box.ts:1: is in no room of .ci/structure/rooms.ts",
  ]);
});

Deno.test("ROOMS lets each room import only rooms that stand before it", () => {
  ROOMS.forEach(({ path, may }, index) => {
    const before = ROOMS.slice(0, index).map(({ path }) => path);
    assertEquals(may.filter((other) => !before.includes(other)), [], path);
  });
});

Deno.test("findUnusedExports names what nothing imports", () => {
  assertEquals(
    findUnusedExports(
      tree({
        "mod.ts": `export * from "./src/a.ts";`,
        "src/a.ts": "export const published = 1;",
        "relay/b.ts": `import { used } from "./c.ts";
import * as space from "./space.ts";
const { late } = await import("./late.ts");
export const unused = own;
`,
        "relay/c.ts": `export const used = 1;
export const testedOnly = 2;

export function ownOnly() {}
ownOnly();
`,
        "relay/space.ts": "export const a = 1;",
        "relay/late.ts": "export const late = 1;",
        "tests/c_test.ts": `import { testedOnly } from "../relay/c.ts";`,
      }),
      ["mod.ts"],
    ),
    [
      "relay/b.ts:4: nothing imports the export 'unused'",
      "relay/c.ts:4: nothing imports the export 'ownOnly'",
    ],
  );
});

Deno.test("findUnusedExports follows a name through re-exports", () => {
  assertEquals(
    findUnusedExports(
      tree({
        "relay/a.ts": `import { b } from "./index.ts";`,
        "relay/index.ts":
          `export * from "./b.ts";\nexport { c as d } from "./c.ts";`,
        "relay/b.ts": "export const b = 1;\nexport const other = 2;",
        "relay/c.ts": "export const c = 1;",
      }),
      [],
    ),
    [
      "relay/index.ts:2: nothing imports the export 'd'",
      "relay/b.ts:2: nothing imports the export 'other'",
    ],
  );
});

Deno.test("findUnusedExports lets a used export name types of its module", () => {
  assertEquals(
    findUnusedExports(
      tree({
        "relay/a.ts": `import { read } from "./b.ts";`,
        "relay/b.ts": `export interface Inner {}
export interface ReadOptions {
  readonly inner: Inner;
}
export interface Forgotten {}
export const DEFAULT = 1;
/** Takes no Forgotten. */
export function read(options: ReadOptions, more = DEFAULT): void {}
`,
      }),
      [],
    ),
    [
      "relay/b.ts:5: nothing imports the export 'Forgotten'",
      "relay/b.ts:6: nothing imports the export 'DEFAULT'",
    ],
  );
});

Deno.test("findVagueComments names comments that begin with What or How", () => {
  assertEquals(
    findVagueComments(tree({
      "relay/a.ts": `/** What it is. */
export const a = "// What"; // How so.
/**
 * How it goes.
 *
 * What goes on in a later line is no beginning.
 */
// However. The next line begins in the middle:
// What for.

// What
/** Whatever: {@linkcode a}. */
/* How */
/***/
`,
    })),
    [1, 2, 3, 11, 13].map((line) =>
      `relay/a.ts:${line}: a comment begins with '${
        [1, 11].includes(line) ? "What" : "How"
      }': name the thing, or begin with a verb`
    ),
  );
});

async function check(files: Files): Promise<ProgramRun> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries(files)) {
      const parts = `${folder}/${path}`.split("/");
      await Deno.mkdir(parts.slice(0, -1).join("/"), { recursive: true });
      await Deno.writeTextFile(parts.join("/"), text);
    }
    const program = fromUrl(
      new URL("../../.ci/check_structure.ts", import.meta.url),
    );
    return await runDeno(["run", "--allow-read", program, folder]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const CLEAN: Files = {
  "deno.json": `{ "exports": { ".": "./mod.ts" } }`,
  "mod.ts": `export * from "./src/sse/mod.ts";\n`,
  "src/sse/mod.ts": `export { parse } from "./parser.ts";\n`,
  "src/sse/parser.ts": "export function parse() {}\n",
};

Deno.test("check_structure passes a tree that is in order", async () => {
  assertEquals(await check(CLEAN), {
    code: 0,
    stderr: "",
    stdout:
      "The 3 modules keep to their rooms, without cycles and unused exports\n",
  });
});

Deno.test("check_structure fails for a cycle, a wrong arrow and an unused export", async () => {
  const { code, stderr, stdout } = await check({
    ...CLEAN,
    "src/sse/parser.ts": `import type { Clock } from "../fetch/clock.ts";
export function parse() {}
export function unused() {}
`,
    "src/fetch/clock.ts": `import { parse } from "../sse/parser.ts";
export interface Clock {}
`,
  });
  assertEquals(code, 1);
  assertMatch(
    stderr,
    /^src\/fetch\/clock\.ts:1: imports go round in a cycle$/m,
  );
  assertMatch(
    stderr,
    /^src\/sse\/parser\.ts:1: src\/sse\/ may not import src\/fetch\/clock\.ts$/m,
  );
  assertMatch(
    stderr,
    /^src\/sse\/parser\.ts:3: nothing imports the export 'unused'$/m,
  );
  assertEquals(stdout, "Not in order: 3 failures\n");
});
