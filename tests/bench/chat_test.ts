// The table of docs/chat.md has the lines of code that each way to make a chat resumable takes.
import { assert, assertStringIncludes } from "@std/assert";
import { linesOf, WAYS } from "../../bench/chat/ways.ts";

const WAY_NAMES = Object.keys(WAYS) as (keyof typeof WAYS)[]; // they are its keys

Deno.test("An unchanged route and its page take 50 lines with --chat", async () => {
  const lines = await linesOf("relayed", "server") +
    await linesOf("relayed", "page");
  assert(lines <= 50, `they take ${lines}`);
});

Deno.test("docs/chat.md says how many lines each way takes", async () => {
  const text = await Deno.readTextFile(
    new URL("../../docs/chat.md", import.meta.url),
  );
  const plain = text.replaceAll(/ +/g, " ");
  for (const half of ["server", "page"] as const) {
    const lines = await Promise.all(
      WAY_NAMES.map((way) => linesOf(way, half)),
    );
    assertStringIncludes(
      plain,
      `| lines of code, ${half} | ${lines.join(" | ")} |`,
    );
  }
  assertStringIncludes(
    plain.replaceAll("\n", " "),
    `${await linesOf("relayed", "page")} lines beside the ${await linesOf(
      "relayed",
      "server",
    )} of`,
  );
});
