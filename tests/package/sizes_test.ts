// A page loads no more of the package than was measured, and a margin.
import { assert, assertEquals } from "@std/assert";
import { measureBundles } from "../../.ci/npm/sizes.ts";

/**
 * The most bytes of an entry point, minified and gzipped, with zod where it has it.
 * In November 2026 they were 18, 4.6, 17, 81, 42, 5.3 and 9.2 thousand.
 */
const LIMITS: Readonly<Record<string, number>> = {
  ".": 19_000,
  "./sse": 5_200,
  "./fetch": 18_500,
  "./model": 88_000,
  "./testing": 46_000,
  "./client": 5_500,
  "./chat": 9_500,
};

/** The limit of an entry point that has none of its own yet. */
const OTHERS = 12_000;

Deno.test("Each entry point that pages load is about as small as it was", async () => {
  const sizes = await measureBundles();
  const known = new Set(sizes.map(({ entry }) => entry));
  assertEquals(Object.keys(LIMITS).filter((entry) => !known.has(entry)), []);
  for (const { entry, gzipped } of sizes) {
    const limit = LIMITS[entry] ?? OTHERS;
    assert(gzipped <= limit, `${entry}: ${gzipped} bytes, of ${limit}`);
    // A limit that is far off holds nothing.
    const least = entry in LIMITS ? limit * 0.8 : 0;
    assert(gzipped >= least, `${entry}: ${gzipped} bytes: lower its limit`);
  }
});
