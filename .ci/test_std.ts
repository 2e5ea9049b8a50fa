/**
 * Runs the tests with the standard library's own sources, from a local checkout
 * of it: shows, without JSR, that `links/` behaves as what it stands for.
 *
 * ```sh
 * deno task test:std CHECKOUT [ARGUMENTS OF deno test]
 * ```
 */
import { testWithLinks } from "./test_with_links.ts";

const [checkout, ...args] = Deno.args;
if (checkout === undefined) {
  console.error("Usage: deno task test:std CHECKOUT [ARGUMENTS OF deno test]");
  Deno.exit(2);
}
Deno.exit(await testWithLinks([await Deno.realPath(checkout)], args));
