/**
 * Runs the tests with the standard library as JSR has it: what a user of the
 * package gets, where a checkout has `links/`.
 *
 * ```sh
 * deno task test:jsr [ARGUMENTS OF deno test]
 * ```
 */
import { testWithLinks } from "./test_with_links.ts";

Deno.exit(await testWithLinks([], Deno.args));
