/**
 * Proves that the code keeps to its layers: no imports go round in a cycle, each
 * room imports only what `structure/rooms.ts` lets it, and every export has an
 * importer. Also finds comments that begin with "What" or "How".
 *
 * ```sh
 * deno run -A .ci/check_structure.ts [FOLDER]
 * ```
 */
import { toUrl } from "./portable/paths.ts";
import { findVagueComments } from "./structure/comments.ts";
import { findCycles } from "./structure/cycles.ts";
import { findUnusedExports } from "./structure/exports.ts";
import { findWrongArrows } from "./structure/rooms.ts";
import { Tree } from "./structure/tree.ts";

/**
 * Not `links/`, whose packages export what the standard library's own do, and not
 * `.ci/`, whose stand-ins for Deno the bundler injects.
 */
const FOLDERS = ["mod.ts", "src", "relay", "tests", "bench"];

const [folder] = Deno.args;
const root = folder === undefined
  ? new URL("../", import.meta.url)
  : new URL(`${toUrl(await Deno.realPath(folder))}/`);

const config: { exports: Record<string, string> } = JSON.parse(
  await Deno.readTextFile(new URL("deno.json", root)),
);
const entries = Object.values(config.exports)
  .map((path) => path.replace("./", ""));
const tree = await Tree.read(root, FOLDERS);
const failures = [
  ...findCycles(tree),
  ...findWrongArrows(tree),
  ...findUnusedExports(tree, entries),
  ...findVagueComments(tree),
];
for (const failure of failures) console.error(failure);
console.log(
  failures.length === 0
    ? `The ${tree.modules.size} modules keep to their rooms, without cycles and unused exports`
    : `Not in order: ${failures.length} failures`,
);
Deno.exitCode = failures.length === 0 ? 0 : 1;
