import { assert, assertEquals, assertRejects } from "@std/assert";
import { FlagError } from "../../../relay/commands/command.ts";
import { runCommandLine } from "../../../relay/commands/command_line.ts";
import { commands } from "../../../relay/commands/commands.ts";
import { helpOn } from "../../../relay/commands/help.ts";
import { help, helpTopics } from "../../../relay/options/help.ts";
import { VERSION } from "../../../src/version.ts";
import { FakeSystem } from "../../support/relay/fake_system.ts";

const SNAPSHOT = new URL("./help.txt", import.meta.url);

/** The output of a command line that does not fail. */
async function outputOf(...args: string[]): Promise<string> {
  const system = new FakeSystem();
  const status = await runCommandLine(args, system);
  assertEquals([status, system.errors], [0, ""], args.join(" "));
  return system.output;
}

Deno.test("The first help is what it was", async () => {
  // To change it: `deno task relay --help > tests/relay/commands/help.txt`.
  const snapshot = await Deno.readTextFile(SNAPSHOT);
  for (const args of [["--help"], ["-h"], ["help"], ["--port", "0", "-h"]]) {
    assertEquals(await outputOf(...args), snapshot, args.join(" "));
  }
});

Deno.test("The first help is short, and names every command and topic", async () => {
  const text = await helpOn();
  const lines = text.split("\n");
  assert(lines.length <= 40, `${lines.length}`);
  for (const line of lines) assert(line.length <= 79, line);
  for (const name of [...Object.keys(commands), ...helpTopics]) {
    assert(new RegExp(`\\b${name}\\b`).test(text), name);
  }
  assertEquals(text.match(/^ {2}rivulet .*\n {6}\S/gm)?.length, 3);
});

Deno.test("help on a topic is a part of the whole", async () => {
  for (const topic of helpTopics) {
    const text = await outputOf("help", topic);
    assertEquals(await outputOf("--help", topic), text);
    assertEquals(await outputOf(`--help=${topic}`), text);
    assert(help().includes(text), topic);
  }
  assertEquals(await outputOf("help", "all"), help());
});

Deno.test("help on a command says how to use it, and what permissions it needs", async () => {
  for (const name of Object.keys(commands)) {
    const text = await outputOf("help", name);
    assertEquals(await outputOf(name, "--help"), text, name);
    assertEquals(await outputOf(name, "--other", "-h"), text, name);
    assert(/^Usage: rivulet \[?\w+/m.test(text), name);
    assert(/^Permissions, instead of -A:\n {2}--allow-/m.test(text), name);
    for (const line of text.split("\n")) assert(line.length <= 79, line);
  }
});

Deno.test("help does not repeat a word that it does not know", async () => {
  const error = await assertRejects(() => helpOn("s3cr3t"), FlagError);
  assert(!error.message.includes("s3cr3t"), error.message);
});

Deno.test("The version is that of the package", async () => {
  const config = JSON.parse(
    await Deno.readTextFile(new URL("../../../deno.json", import.meta.url)),
  );
  assertEquals(VERSION, config.version);
  assertEquals(await outputOf("--version"), `rivulet ${VERSION}\n`);
  // E8: every command has it.
  for (const name of Object.keys(commands)) {
    for (const flag of ["--version", "-V"]) {
      assertEquals(await outputOf(name, flag), `rivulet ${VERSION}\n`, name);
    }
  }
  assertEquals(await outputOf("version"), `rivulet ${VERSION}\n`);
});
