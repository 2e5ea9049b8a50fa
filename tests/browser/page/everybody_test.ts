// The page for everybody: axe finds nothing, the keyboard reaches all, and it fits.
import { assert, assertEquals } from "@std/assert";
import type { Browser } from "playwright-core";
import {
  isChromiumMissing,
  startChromium,
} from "../../support/client/chromium.ts";
import { PageTab } from "../../support/page/page_tab.ts";
import { startShowcase } from "../../support/page/showcase.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";

const ignore = isChromiumMissing();

/** The rules for each look: all of them, and those that colours can break. */
const RULES = {
  light: [
    ...["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "best-practice",
  ],
  dark: ["color-contrast"],
} as const;

/** axe as a script for a page. */
async function axeScript(): Promise<string> {
  const { default: axe } = await import("axe-core");
  return axe.source;
}

/** Returns what axe finds in the page as it is now. */
async function findings(
  tab: PageTab,
  rules: readonly string[],
): Promise<string[]> {
  return await tab.page.evaluate(`(async () => {
    const { violations } = await axe.run(document, {
      runOnly: ${JSON.stringify(rules)},
    });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => id + ": " + html.slice(0, 200) + " " + failureSummary.slice(0, 300)));
  })()`);
}

async function satisfiesAxe(browser: Browser): Promise<void> {
  await using showcase = await startShowcase();
  const source = await axeScript();
  for (const colorScheme of ["light", "dark"] as const) {
    await using tab = await PageTab.open(browser, showcase.url, {
      colorScheme,
      // The page's own policy would not let a test add a script.
      bypassCSP: true,
    });
    await tab.page.evaluate(source);
    for (const { hash, ready, prepare } of showcase.views) {
      await tab.go(hash);
      await tab.sees(ready);
      await prepare?.(tab);
      assertEquals(
        await findings(tab, RULES[colorScheme]),
        [],
        `${hash} in ${colorScheme}`,
      );
    }
    await tab.page.keyboard.press("Escape");
    await tab.page.click("#token");
    await tab.sees("Use a token");
    assertEquals(
      await findings(tab, RULES[colorScheme]),
      [],
      `the token in ${colorScheme}`,
    );
  }
}

async function fits(browser: Browser): Promise<void> {
  await using showcase = await startShowcase();
  await using tab = await PageTab.open(browser, showcase.url);
  for (const width of [320, 768, 2_560]) {
    await tab.page.setViewportSize({ width, height: 700 });
    for (const { hash, ready } of showcase.views) {
      await tab.go(hash);
      await tab.sees(ready);
      const over = await tab.page.evaluate(
        "document.documentElement.scrollWidth - innerWidth",
      );
      assert(Number(over) <= 0, `${hash} is ${over} px too wide for ${width}`);
    }
  }
  tab.assertClean();
}

/** The accessible name, or the text, of what has the focus. */
const FOCUSED = `(() => {
  const { activeElement: element } = document;
  return element.ariaLabel || element.labels?.[0]?.textContent || element.textContent.trim().slice(0, 40);
})()`;

async function worksByKeyboard(browser: Browser): Promise<void> {
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const { topics } = relay.relay;
  for (const name of ["alpha", "beta", "gamma"]) {
    await topics.create(name).append(
      [1, 2, 3].map((n) => ({
        event: "message",
        data: `${name} ${n}`,
        id: "",
      })),
    );
  }
  await using tab = await PageTab.open(browser, relay.url, {
    reducedMotion: "reduce",
  });
  const { page } = tab;
  const press = async (...keys: string[]): Promise<void> => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const focused = async (): Promise<string> =>
    String(await page.evaluate(FOCUSED));
  // The token has the focus at once, and is not to be read out.
  await tab.sees("This relay asks for a token");
  assertEquals(await focused(), "Token");
  assertEquals(await page.getAttribute("#secret", "type"), "password");
  await page.keyboard.type(
    await mintToken({ read: ["*"], cancel: ["*"] }),
  );
  await press("Enter");
  await tab.sees("gamma", "tbody");
  // To a row, and to its topic.
  await press("/");
  assertEquals(await focused(), "Search names");
  await press("ArrowDown", "ArrowDown");
  assertEquals(await focused(), "beta");
  await press("ArrowUp");
  assertEquals(await focused(), "alpha");
  await press("ArrowDown", "Enter");
  await tab.sees("beta 3", "table.events");
  // The new view has the focus: the next Tab is its first link.
  await press("Tab");
  assertEquals(await focused(), "← All topics");
  await press("Tab");
  assertEquals(await focused(), "Stop…");
  await press("Tab", "Tab", "Tab");
  assertEquals(await focused(), "Search events");
  await press("Tab", "Tab");
  assertEquals(await focused(), "1");
  await press("ArrowDown", "Enter");
  await tab.sees("Event 2", ".detail");
  // A stop: Escape keeps it running, and gives the focus back.
  await page.focus(".stop");
  await press("Enter");
  assertEquals(await focused(), "Reason, for those who follow");
  await press("Escape");
  assertEquals(await focused(), "Stop…");
  await press("Enter");
  await page.keyboard.type("by hand");
  await press("Enter");
  await tab.sees("by hand", ".end .reason");
  // Back, with what there was.
  await page.goBack();
  await tab.sees("gamma", "tbody");
  // Sort by a column.
  await page.focus("thead button >> text=Topic");
  await press("Enter");
  await page.waitForSelector("th[aria-sort=descending]");
  // Every state is a word, and not a colour alone.
  await tab.sees("■ cancelled", "tbody");
  tab.assertClean();
}

Deno.test({
  name: "The page is for everybody",
  ignore,
  async fn(t) {
    await using browser = await startChromium();
    await t.step("axe finds nothing", () => satisfiesAxe(browser));
    await t.step("it fits from 320 px on", () => fits(browser));
    await t.step("the keyboard is enough", () => worksByKeyboard(browser));
  },
});
