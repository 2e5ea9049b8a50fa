/**
 * Prints how large each entry point is in a page: `deno task sizes`.
 *
 * @module
 */
import { measureBundles } from "./npm/sizes.ts";

console.table(
  Object.fromEntries(
    (await measureBundles()).map((
      { entry, minified, gzipped },
    ) => [entry, { minified, gzipped }]),
  ),
);
