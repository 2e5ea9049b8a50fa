// The EventSource of a browser follows all topics of a prefix, and comes back to each.
import { assertEquals } from "@std/assert";
import {
  isChromiumMissing,
  startChromium,
} from "../support/client/chromium.ts";
import { CuttableLine } from "../support/http/cuttable_line.ts";
import { startRelay } from "../support/relay/relay.ts";
import { LIMIT, until } from "../support/within.ts";

const FOLLOW = `
  globalThis.seen = [];
  globalThis.opened = 0;
  const source = new EventSource("/topics/p:*");
  source.onopen = () => opened++;
  source.onmessage = ({ data }) => {
    const { type, topic, offset, events, status } = JSON.parse(data);
    if (type === "events") {
      events.forEach(({ data }, at) => seen.push([topic, offset + at, data].join(" ")));
    }
    if (type === "end") seen.push([topic, offset, status].join(" "));
  };
`;

Deno.test({
  name:
    "Chromium's EventSource follows a prefix, and misses nothing when it comes back",
  ignore: isChromiumMissing(),
  async fn() {
    await using relay = await startRelay();
    await using line = await CuttableLine.start(relay.port);
    await using browser = await startChromium();
    const { topics } = relay.relay;
    const add = (name: string, data: string) =>
      topics.create(name).append([{ data }]);
    await add("p:a", "1");
    const page = await browser.newPage();
    await page.goto(`${line.url}/healthz`);
    await page.evaluate(FOLLOW);
    const has = (count: number) =>
      until(
        async () =>
          await page.evaluate<number>("seen.length") >= count || undefined,
        LIMIT,
        `${count} lines`,
      );
    await has(1);
    line.cut();
    await add("p:a", "2");
    await add("p:short", "away");
    topics.get("p:short")!.end("complete");
    line.mend();
    await has(4);
    await add("p:a", "3");
    await has(5);
    assertEquals((await page.evaluate<string[]>("seen")).toSorted(), [
      "p:a 1 1",
      "p:a 2 2",
      "p:a 3 3",
      "p:short 1 away",
      "p:short 2 complete",
    ]);
    assertEquals(await page.evaluate("opened"), 2);
  },
});
