// The snippets of docs/chat_library.md are those of the examples.
import { assert } from "@std/assert";
import { blocksOf } from "../support/docs/markdown.ts";

const ROOT = new URL("../../", import.meta.url);

const EXAMPLES = [
  "examples/chat-server-hono/server.ts",
  "examples/chat-react/chat.tsx",
];

/** Code as one line: where it stands in a file does not count. */
function inOneLine(code: string): string {
  return code.replaceAll(/\s+/g, " ").trim();
}

Deno.test("The code in docs/chat_library.md is that of the examples", async () => {
  const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));
  const code = inOneLine((await Promise.all(EXAMPLES.map(read))).join("\n"));
  const blocks = blocksOf(await read("docs/chat_library.md"))
    .filter(({ language }) => language === "text");
  assert(blocks.length >= 4);
  for (const block of blocks) {
    assert(code.includes(inOneLine(block.text)), block.text);
  }
});
