// The commands of docs/terminal.md print what the page says, one after the other,
// against one relay.
import { assert, assertEquals } from "@std/assert";
import { RelayCommand } from "../support/relay/relay_command.ts";
import { blocksOf } from "../support/docs/markdown.ts";

const root = new URL("../../", import.meta.url);

async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir();
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

Deno.test({
  name: "The commands of docs/terminal.md print what it says",
  ignore: Deno.build.os === "windows",
  async fn(t) {
    const page = await Deno.readTextFile(new URL("docs/terminal.md", root));
    const [install, ...blocks] = blocksOf(page).filter(({ language }) =>
      language === "sh" || language === "text"
    );
    // The command of Deno that fetches the package: shown by nothing.
    assertEquals(
      install?.text.trim(),
      "deno install -g -A -n rivulet jsr:@rivulet/rivulet/cli",
    );
    assert(blocks.length >= 8);
    await using relay = await RelayCommand.start();
    await using folder = await temporaryFolder();
    await Deno.writeTextFile(
      `${folder.path}/rivulet`,
      `#!/bin/sh\nexec "${Deno.execPath()}" run -A relay/main.ts "$@"\n`,
      { mode: 0o755 },
    );
    const env = {
      NO_COLOR: "1",
      RIVULET_URL: relay.url,
      PATH: `${folder.path}:${Deno.env.get("PATH")}`,
    };
    const decoder = new TextDecoder();
    for (const [index, { language, text }] of blocks.entries()) {
      if (language !== "sh") continue;
      const expected = blocks[index + 1];
      assertEquals(expected?.language, "text");
      await t.step(text.trim(), async () => {
        const { code, stdout, stderr } = await new Deno.Command("sh", {
          args: ["-ec", text],
          cwd: root,
          env,
        }).output();
        assertEquals(decoder.decode(stderr), "");
        assertEquals([code, decoder.decode(stdout)], [0, expected?.text]);
      });
    }
  },
});
