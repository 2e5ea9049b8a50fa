// The page's table of topics, in Chromium.
import { assert, assertEquals } from "@std/assert";
import {
  isChromiumMissing,
  startChromium,
} from "../../support/client/chromium.ts";
import { PageTab } from "../../support/page/page_tab.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";

const ignore = isChromiumMissing();

Deno.test({
  name: "The page shows topics as they come, and holds the token in its memory",
  ignore,
  async fn(t) {
    await using browser = await startChromium();

    await t.step(
      "nothing yet, then a topic, its rate and its end",
      async () => {
        await using relay = await startRelay();
        await using tab = await PageTab.open(browser, relay.url);
        await tab.sees("There are no topics yet");
        await tab.sees(
          `curl -d 'Hello' -H 'Content-Type: text/plain' ${relay.url}/topics/hello`,
        );
        const topic = relay.relay.topics.create("first");
        await tab.sees("first", "tbody");
        assertEquals(
          await tab.text("tbody tr:not([aria-hidden]) .state"),
          "○ pending",
        );
        topic.append([{ event: "message", data: "a", id: "" }]);
        await tab.sees("● open", "tbody");
        topic.end("failed", "it rained");
        await tab.sees("✕ failed", "tbody");
        await tab.page.selectOption(
          "select[aria-label=State]",
          "state=pending",
        );
        await tab.sees("No topic matches");
        await tab.page.click("text=Show all topics");
        await tab.sees("✕ failed", "tbody");
        tab.assertClean();
      },
    );

    await t.step("only as many rows as fit are in the document", async () => {
      await using relay = await startRelay();
      for (let i = 0; i < 1_000; i++) {
        relay.relay.topics.create(`t-${String(i).padStart(4, "0")}`);
      }
      await using tab = await PageTab.open(browser, relay.url, {
        hash: "#/?limit=1000",
      });
      await tab.sees("t-0000", "tbody");
      const rows = tab.page.locator("tbody tr:not([aria-hidden])");
      assert(await rows.count() < 60, `${await rows.count()} rows`);
      await tab.page.keyboard.press("/");
      // From the search box into the table, and on beyond the edge of the window.
      for (let i = 0; i < 40; i++) await tab.page.keyboard.press("ArrowDown");
      assertEquals(
        await tab.page.evaluate("document.activeElement.textContent"),
        "t-0039",
      );
      await tab.page.evaluate(
        "document.querySelector('.scroll').scrollTop = 1e9",
      );
      await tab.sees("t-0999", "tbody");
      assert(await rows.count() < 60, `${await rows.count()} rows`);
      tab.assertClean();
    });

    await t.step("the relay's figures, for whoever may see them", async () => {
      await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
      await using tab = await PageTab.open(browser, relay.url, {
        hash: "#/relay",
      });
      await tab.sees("This relay asks for a token");
      await tab.use(await mintToken({ read: ["*"] }));
      await tab.sees("This token may not see that");
      await tab.use(await mintToken({ admin: true }));
      await tab.sees("Events delivered/s", "figure");
      assertEquals(await tab.page.locator("figure").count(), 8);
      // Two answers make a line.
      await tab.page.waitForSelector("polyline[points*=' ']", {
        state: "attached",
      });
      await tab.sees("forbidden 1", "dl");
      // A link sends no token.
      assertEquals(await tab.page.locator("a[href=metrics]").count(), 0);
      tab.assertClean();
    });

    await t.step("a token is asked for, taken, and kept nowhere", async () => {
      await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
      relay.relay.topics.create("mine");
      relay.relay.topics.create("secret");
      await using tab = await PageTab.open(browser, relay.url);
      await tab.sees("This relay asks for a token");
      await tab.use("nonsense");
      await tab.sees("The relay does not take this token");
      const token = await mintToken({ rivulet: { read: ["mine"] } });
      await tab.use(`Bearer ${token} `);
      await tab.sees("mine", "tbody");
      assertEquals(await tab.page.locator("text=secret").count(), 0);
      const kept = await tab.page.evaluate(
        "location.href + JSON.stringify([localStorage, sessionStorage, history.state]) + document.cookie + document.documentElement.outerHTML",
      );
      assert(!String(kept).includes(token));
      await tab.page.reload();
      await tab.sees("This relay asks for a token");
      tab.assertClean();
    });
  },
});
