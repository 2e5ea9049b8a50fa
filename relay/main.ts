/**
 * The command line: `deno run -A jsr:@rivulet/rivulet/cli --help`. It runs the
 * relay, and makes what goes with one: tokens, a demonstration, a provider that
 * fails as it is told to.
 *
 * @module
 */
import process from "node:process";
import { runCommandLine } from "./commands/command_line.ts";
import { createSystem } from "./commands/system.ts";

if (import.meta.main) {
  process.exit(await runCommandLine(process.argv.slice(2), createSystem()));
}
