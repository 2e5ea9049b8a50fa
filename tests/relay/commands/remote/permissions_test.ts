// Each command that talks to a relay needs the permissions that its help names, and
// no others.
import { assertEquals, assertMatch } from "@std/assert";
import { helpOn } from "../../../../relay/commands/help.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { runDeno } from "../../../support/run_deno.ts";

const COMMANDS: readonly (readonly string[])[] = [
  ["follow", "t"],
  ["publish", "u", "--end"],
  ["topics"],
  ["top", "--every", "1ms"],
  ["cancel", "v"],
];

Deno.test("Commands for a relay run with the permissions that their help names", async (t) => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  topic.append([{ data: "1" }]);
  topic.end("complete");
  server.relay.topics.create("u");
  server.relay.topics.create("v");
  for (const args of COMMANDS) {
    await t.step(args.join(" "), async () => {
      const help = await helpOn(args[0]);
      const permissions = [...help.matchAll(/^ {2}(--allow-\S+)/gm)]
        .map(([, flag = ""]) =>
          flag.replace("HOST:PORT", new URL(server.url).host)
        );
      assertEquals(permissions.length, 2);
      const run = (permissions: readonly string[]) =>
        runDeno(
          ["run", ...permissions, "--no-prompt", "relay/main.ts", ...args],
          { RIVULET_URL: server.url },
        );
      const { code, stderr } = await run(permissions);
      assertEquals([code, stderr], [0, ""]);
      // All of them reach the relay in one way: two show what is missing without.
      if (args[0] !== "follow" && args[0] !== "publish") return;
      for (const left of permissions) {
        const less = await run(permissions.filter((flag) => flag !== left));
        assertEquals(less.code === 0, false, left);
        assertMatch(less.stderr, /--allow-(?:net|env)/);
      }
    });
  }
});
