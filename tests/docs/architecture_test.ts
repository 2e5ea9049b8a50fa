// ARCHITECTURE.md agrees with the code: its table has the rooms that are checked, and
// the symbols that it names stand in the files that it names beside them.
import { assert, assertEquals } from "@std/assert";
import { ROOMS } from "../../.ci/structure/rooms.ts";
import {
  codeIn,
  itemsOf,
  tableOf,
  tablesOf,
} from "../support/docs/markdown.ts";

const root = new URL("../../", import.meta.url);

const page = await Deno.readTextFile(new URL("ARCHITECTURE.md", root));

/** Returns the name by which the table calls a room that others may import. */
function nameOf(path: string): string {
  return path.split("/").filter(Boolean).at(-1)!.replace(/\.ts$/, "");
}

Deno.test("ARCHITECTURE.md has each room of the code, with its purpose and its imports", () => {
  assertEquals(
    tableOf(page, "room"),
    ROOMS.map(({ path, why, may }) => ({
      room: `\`${path}\``,
      purpose: why,
      "may import": may.map(nameOf).join(", "),
    })),
  );
});

Deno.test("ARCHITECTURE.md calls no two rooms by one name", () => {
  const paths = new Set(ROOMS.flatMap(({ may }) => may));
  const names = new Set([...paths].map(nameOf));
  assertEquals(names.size, paths.size);
});

/** A symbol, with the members that lead to it: `Pump`, `Pump.join`, `#take()`. */
const SYMBOL = /^#?[A-Za-z]\w*(?:\.#?\w+)*(?:\(\))?$/;

/** A comment, which may use the words of symbols that are gone. */
const COMMENT = /\/\*.*?\*\/|\/\/[^\n]*/gs;

Deno.test("ARCHITECTURE.md names symbols that stand in the files named beside them", async () => {
  const problems: string[] = [];
  let count = 0;
  const rows = tablesOf(page).flat().map((row) => Object.values(row).join(" "));
  for (const item of [...itemsOf(page), ...rows]) {
    const code = codeIn(item);
    const files = code.filter((path) => path.endsWith(".ts"));
    const texts = await Promise.all(
      files.map((path) => Deno.readTextFile(new URL(path, root))),
    );
    const words = new Set(
      texts.flatMap((text) => text.replaceAll(COMMENT, "").match(/\w+/g) ?? []),
    );
    for (
      const symbol of code.filter((code) =>
        SYMBOL.test(code) && !code.endsWith(".md")
      )
    ) {
      count++;
      const missing = (symbol.match(/\w+/g) ?? [])
        .filter((word) => !words.has(word));
      if (missing.length > 0) {
        problems.push(`${symbol} is not in ${files.join(", ") || "any file"}`);
      }
    }
  }
  assert(count > 100, `few symbols: ${count}`);
  assertEquals(problems, []);
});
