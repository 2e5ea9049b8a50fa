import { assert, assertEquals } from "@std/assert";
import { help } from "../../../relay/options/help.ts";
import { settings } from "../../../relay/options/schema.ts";

const SNAPSHOT = new URL("./help.txt", import.meta.url);

Deno.test("help is what it was", async () => {
  // To change it: `deno task relay help all > tests/relay/options/help.txt`.
  assertEquals(help(), await Deno.readTextFile(SNAPSHOT));
});

Deno.test("help fits a terminal", () => {
  for (const line of help().split("\n")) {
    assert(line.length <= 79, line);
    assertEquals(line, line.trimEnd());
  }
});

Deno.test("help has every setting once", () => {
  const flags = settings.map(({ flag }) => flag);
  for (const flag of [...flags, "config", "print-config"]) {
    const lines = help().split("\n")
      .filter((line) => line.trimStart().split(" ")[0] === `--${flag}`);
    assertEquals(lines.length, 1, flag);
  }
});

Deno.test("Settings have flags and keys of their own, and variables that a shell takes", () => {
  for (const column of ["flag", "file"] as const) {
    const names = settings.map((setting) => setting[column]);
    assertEquals(new Set(names).size, settings.length, column);
  }
  for (const { variable } of settings) {
    assert(/^RIVULET_[A-Z_]+$/.test(variable), variable);
  }
});
