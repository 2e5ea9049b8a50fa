// The commands of each guide work from an empty folder, in the order in which a reader
// types them. `deno task guides` follows the programs, too, and says how long it takes.
import { assert, assertEquals } from "@std/assert";
import { lacksApart } from "../support/apart.ts";
import { followApart } from "../support/docs/guides/apart.ts";
import { GUIDES } from "../support/docs/guides/guides.ts";
import { blocksOf } from "../support/docs/markdown.ts";

const root = new URL("../../", import.meta.url);

Deno.test("GUIDES has every page of docs/", () => {
  const pages = [...Deno.readDirSync(new URL("docs/", root))]
    .map(({ name }) => `docs/${name}`).filter((path) => path.endsWith(".md"));
  assertEquals(
    GUIDES.map(({ page }) => page).sort(),
    ["README.md", ...pages].sort(),
  );
});

Deno.test({
  name: "The commands of the guides work from an empty folder",
  ignore: lacksApart(),
  async fn(t) {
    let commands = 0;
    for (const { page, cannot, lacks } of GUIDES) {
      const text = await Deno.readTextFile(new URL(page, root));
      const hasCommands = blocksOf(text)
        .some(({ language }) => language === "sh");
      if (cannot !== undefined || !hasCommands || lacks?.()) continue;
      await t.step(page, async () => {
        commands += (await followApart(page, "commands")).commands;
      });
    }
    assert(commands > 30, `few commands: ${commands}`);
  },
});
