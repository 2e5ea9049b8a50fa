import { assert, assertEquals } from "@std/assert";
import { help } from "../../../relay/config/help.ts";
import { variableOf } from "../../../relay/config/setting.ts";
import { settings } from "../../../relay/config/settings.ts";
import { relayOptions } from "../../../relay/options.ts";

const SNAPSHOT = new URL("./help.txt", import.meta.url);

Deno.test("help is what it was", async () => {
  // Where it has to change: `deno task relay --help > tests/relay/config/help.txt`.
  assertEquals(`${help()}\n`, await Deno.readTextFile(SNAPSHOT));
});

Deno.test("help fits a terminal", () => {
  for (const line of help().split("\n")) {
    assert(line.length <= 79, line);
    assertEquals(line, line.trimEnd());
  }
});

Deno.test("help has every setting once", () => {
  const flags = Object.values(settings).map(({ flag }) => flag);
  for (const flag of [...flags, "config", "print-config", "help"]) {
    const lines = help().split("\n")
      .filter((line) => line.trimStart().split(" ")[0] === `--${flag}`);
    assertEquals(lines.length, 1, flag);
  }
});

Deno.test("Every option of the relay is a setting, but the clock", () => {
  const options = Object.keys(relayOptions.shape)
    .filter((option) => option !== "clock");
  const own = ["drain", "jwtKeyFile", "logFormat", "logLevel"];
  assertEquals(Object.keys(settings).sort(), [...options, ...own].sort());
});

Deno.test("Settings have flags of their own, and variables that a shell takes", () => {
  const all = Object.values(settings);
  assertEquals(new Set(all.map(({ flag }) => flag)).size, all.length);
  for (const setting of all) {
    assert(/^RIVULET_[A-Z_]+$/.test(variableOf(setting)), setting.flag);
  }
});
