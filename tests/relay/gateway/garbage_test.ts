import { assert, assertEquals } from "@std/assert";
import { runDeno } from "../../support/run_deno.ts";

/** The share of the bytes that may outlive the collections: it was 0.2, and is 0.11. */
const MOST = 0.15;

/** Flags for small and many collections of young objects, and none of all objects. */
const FLAGS = [
  "--max-semi-space-size=2",
  "--min-semi-space-size=2",
  "--initial-old-space-size=512",
  "--single-threaded-gc",
  "--trace-gc",
  "--trace-gc-nvp",
];

Deno.test("Short requests leave little to the old objects", async () => {
  const { code, stdout } = await runDeno([
    "run",
    "--allow-all",
    "--no-check",
    `--v8-flags=${FLAGS.join(",")}`,
    "tests/support/gateway/short_requests_main.ts",
  ]);
  assertEquals(code, 0);
  const collections = stdout.split("\n").flatMap((line) => {
    const [, json] = /GC: (\{"pause".*"gc":"s".*\})/.exec(line) ?? [];
    return json ? [JSON.parse(json)] : [];
  });
  // Before, the compiler finds what is hot.
  const later = collections.slice(collections.length / 2);
  const sumOf = (name: string): number =>
    later.reduce((sum, collection) => sum + Number(collection[name]), 0);
  const share = sumOf("promoted") / sumOf("allocated");
  assert(later.length >= 20, `${later.length} collections`);
  assert(share < MOST, `${share} of the bytes became old`);
});
