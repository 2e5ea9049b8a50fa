#!/usr/bin/env node
// The command of the npm package. It says what is missing before it imports the relay,
// which an older Node cannot load.
import process from "node:process";

const { bun, deno, node } = process.versions;
const [major = 0, minor = 0] = node.split(".").map(Number);
if (!bun && !deno && (major < 24 || (major === 24 && minor < 2))) {
  console.error(
    `Expected Node 24.2 or later, or Bun 1.4: this is Node ${node}. To run the relay ` +
      "with an older Node: npx --yes deno run -A jsr:@rivulet/rivulet/cli",
  );
  process.exit(2);
}
const [{ runCommandLine }, { createSystem }] = await Promise.all([
  import("./relay/commands/command_line.js"),
  import("./relay/commands/system.js"),
]);
process.exit(await runCommandLine(process.argv.slice(2), createSystem()));
