// The chats of the examples, in a real browser.
import {
  isChromiumMissing,
  startChromium,
} from "../../support/client/chromium.ts";
import { CHAT_SCENARIOS, quiet } from "../../support/chat/chat_scenarios.ts";
import { ChatWorld } from "../../support/chat/chat_world.ts";
import { plainSetup, reactSetup } from "../../support/chat/library_setups.ts";

const ignore = isChromiumMissing();

/** The page without a framework has the transport of the other: it shows what that can. */
const PLAIN = CHAT_SCENARIOS.slice(0, 3);

for (
  const [setup, scenarios] of [
    [reactSetup, CHAT_SCENARIOS],
    [plainSetup, PLAIN],
  ] as const
) {
  Deno.test({
    name: `A chat stands everything (${setup.name})`,
    ignore,
    async fn(test) {
      await using browser = await startChromium();
      await using world = await ChatWorld.start(setup, browser);
      for (const { name, run } of scenarios) {
        await test.step(name, async () => {
          await run(world);
          await quiet(world);
        });
      }
    },
  });
}
