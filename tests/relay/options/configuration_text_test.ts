import { assertEquals } from "@std/assert";
import { configurationText } from "../../../relay/options/configuration_text.ts";
import { readConfiguration } from "../../../relay/options/read_configuration.ts";
import type { CommandOptions } from "../../../relay/options/schema.ts";

async function read(
  args: readonly string[],
  text?: string,
): Promise<CommandOptions> {
  const command = await readConfiguration(args, {
    environment: (name) =>
      name === "A_API_KEY" && text === undefined ? "key-of-a" : undefined,
    readText: () => Promise.resolve(text ?? ""),
  });
  if (command.kind === "print") throw new Error("Expected options");
  return command.options;
}

Deno.test("configurationText writes options that are read as they were, with their secrets", async () => {
  const key = "k".repeat(32);
  for (
    const args of [
      [],
      [
        ...["--host", "0.0.0.0", "--port", "0", "--workers", "auto"],
        ...["--jwt-key", key, "--allow-query-token", "--drain", "0s"],
        ...["--source", "s=https://a.example/x?key=1,from=now,once"],
        ...["--fixture", "f=a.sse,loop", "--known-topics-only"],
        ...["--provider", "a=http://127.0.0.1:1/v1,idempotent,topic=x:*"],
        ...["--provider", "openai", "--chat", "c=http://127.0.0.1:2/,shared"],
        ...["--max-age", "never", "--idle-cancel", "30", "--max-body", "3"],
        ...["--max-message-rate", "0.5", "--origin", "*"],
      ],
    ]
  ) {
    const options = await read(args);
    const again = await read(["--config", "x"], configurationText(options));
    assertEquals(again, options);
  }
  const ofFile = await read(["--jwt-key-file", "x"], key);
  const { jwtKeyFile, ...without } = ofFile;
  assertEquals(jwtKeyFile, "x");
  assertEquals(
    await read(["--config", "x"], configurationText(ofFile)),
    without,
  );
});
