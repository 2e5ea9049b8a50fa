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

/** The guides whose commands can be followed here. */
async function* followable(): AsyncGenerator<string, void> {
  for (const { page, cannot, lacks } of GUIDES) {
    const text = await Deno.readTextFile(new URL(page, root));
    const hasCommands = blocksOf(text).some(({ language }) =>
      language === "sh"
    );
    if (cannot === undefined && hasCommands && !lacks?.()) yield page;
  }
}

/** The guides that are followed at a time: more would take the processor from other tests. */
const AT_A_TIME = 2;

Deno.test({
  name: "The commands of the guides work from an empty folder",
  ignore: lacksApart(),
  async fn() {
    let commands = 0;
    const pages = followable();
    const failures: string[] = [];
    await Promise.all(
      Array.from({ length: AT_A_TIME }, async () => {
        for await (const page of pages) {
          try {
            const followed = await followApart(page, "commands");
            commands += followed.commands;
          } catch (error) {
            failures.push(`${page}: ${error}`);
          }
        }
      }),
    );
    assertEquals(failures, []);
    assert(commands > 30, `few commands: ${commands}`);
  },
});
