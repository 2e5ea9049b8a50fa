// The page of a relay with workers, one of which answers it: it shows what all of them do.
import type { Browser } from "playwright-core";
import {
  isChromiumMissing,
  startChromium,
} from "../../support/client/chromium.ts";
import { PageTab } from "../../support/page/page_tab.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";

/** So many that no worker has all of them. */
const SUBSCRIBERS = 16;

async function showsAll(browser: Browser): Promise<void> {
  await using relay = await startRelay({}, "workers");
  await using stack = new AsyncDisposableStack();
  for (let count = 0; count < SUBSCRIBERS; count++) {
    const topic = `topic-${count}`;
    const socket = await RawWebSocket.open(relay.url, `/topics/${topic}`);
    stack.use(socket);
    const events = [{ data: "hello" }];
    await socket.say({ type: "publish", topic, events });
    await socket.message("published");
  }
  await using tab = await PageTab.open(browser, relay.url, { hash: "#/relay" });
  await tab.sees(`websocket ${SUBSCRIBERS}`, "dl");
  await tab.sees(`open ${SUBSCRIBERS}`, "dl");
  await tab.sees(/Workers\s*2/, "dl");
  await tab.go("#/");
  for (let count = 0; count < SUBSCRIBERS; count++) {
    await tab.sees(`topic-${count}`, "tbody");
  }
  // Each of these has the topic of one worker.
  await tab.go("#/topics/topic-0");
  await tab.sees("hello");
  await tab.go(`#/topics/topic-${SUBSCRIBERS - 1}`);
  await tab.sees("hello");
  tab.assertClean();
}

Deno.test({
  name: "The page of a relay with workers shows the figures of all of them",
  ignore: isChromiumMissing() || Deno.build.os !== "linux",
  fn: async () => {
    await using chromium = await startChromium();
    await showsAll(chromium);
  },
});
