/**
 * The relay's own list of its options, for tests of what documents say of them.
 *
 * @module
 */
import { commands } from "../../../relay/commands/commands.ts";
import { helpOn } from "../../../relay/commands/help.ts";
import { runDeno } from "../run_deno.ts";

/** Flags of other programs that the documents name. */
export const OTHER_FLAGS: ReadonlySet<string> = new Set([
  ...["--v8-flags", "--max-semi-space-size", "--max-old-space-size"], // of V8
  ...["--single-threaded-gc", "--cached-only", "--no-prompt"],
  ...["--allow-net", "--allow-env", "--allow-read", "--allow-write"], // of Deno
  ...["--allow-sys", "--filter", "--yes", "--ulimit", "--platform"],
  ...["--frozen", "--no-config", "--bun", "--smoke", "--build"],
  ...["--from", "--chown", "--interval", "--timeout", "--start-period"], // of Docker
  ...["--new-key", "--read", "--write", "--ttl"], // of the command for tokens
  ...["--servers", "--rates", "--relay", "--seconds"], // of benches and tests
  ...["--loads", "--rounds", "--beside", "--kills"],
  ...["--parts", "--share"],
]);

let help: Promise<string> | undefined;

async function readHelp(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runDeno(
    ["run", "-A", "relay/main.ts", ...args],
  );
  if (code !== 0) throw new Error(`${args.join(" ")} failed: ${stderr}`);
  return stdout;
}

/** Returns the help that describes every option of the relay, and of its commands. */
export function relayHelp(): Promise<string> {
  return help ??= Promise.all([
    readHelp("--help"),
    readHelp("help", "all"),
    ...Object.keys(commands).map((name) => helpOn(name)),
  ]).then((texts) => texts.join("\n"));
}

/** Returns the flags that a text names, each once. */
export function flagsIn(text: string): string[] {
  return [...new Set(text.match(/(?<![\w-])--[a-z][a-z0-9-]+/g))];
}
