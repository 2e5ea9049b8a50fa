/**
 * The relay's own list of its options, for tests of what documents say of them.
 *
 * @module
 */
const root = new URL("../../../", import.meta.url);

let help: Promise<string> | undefined;

async function readHelp(): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "relay/main.ts", "--help"],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`--help failed: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Returns the help that describes every option of the relay. */
export function relayHelp(): Promise<string> {
  return help ??= readHelp();
}

/** Returns the flags that a text names, each once. */
export function flagsIn(text: string): string[] {
  return [...new Set(text.match(/(?<![\w-])--[a-z][a-z0-9-]+/g))];
}
