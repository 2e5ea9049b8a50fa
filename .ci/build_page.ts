/**
 * Makes `relay/doors/page/files.ts` from `relay/doors/page/browser/`: `deno task page`.
 *
 * The relay serves the page from strings of a module, as that is the one kind of file
 * that JSR, npm, a bundle and `deno compile` all carry along. They are checked in, so
 * that nothing has to be built to run the relay; a test holds them to their source.
 *
 * @module
 */
import { buildPage, BUILT } from "./page/build.ts";

await Deno.writeTextFile(BUILT, await buildPage());
