// A document of a provider's comes from the origin of the relay's page, and gets
// nothing of what that page keeps.
import { assertEquals } from "@std/assert";
import type { Browser } from "playwright-core";
import {
  isChromiumMissing,
  startChromium,
} from "../support/client/chromium.ts";
import { startGateway } from "../support/gateway/gateway_world.ts";

const DOCUMENT = `<title>harmless</title><p>read me</p>
<script>
  document.title = "ran: " + sessionStorage.getItem("secret");
</script>`;

const HEADERS = {
  "Clear-Site-Data": '"cookies", "storage"',
  "Refresh": "0; url=/page/elsewhere",
  "Set-Cookie": "a=b; Path=/",
};

async function hasNoPart(browser: Browser): Promise<void> {
  await using world = await startGateway();
  const page = await browser.newPage();
  await page.goto(`${world.url}/`);
  await page.evaluate(`
    localStorage.setItem("secret", "1");
    sessionStorage.setItem("secret", "1");
  `);
  const url = `${world.url}/v1/models`;
  const asked = page.goto(url);
  const exchange = await world.provider.next();
  await exchange.answer(200, {
    "Content-Type": "text/html",
    ...HEADERS,
  }, DOCUMENT);
  await asked;
  const shown = await page.evaluate(`({
    url: location.href,
    title: document.title,
    text: document.querySelector("p").textContent,
    origin: self.origin,
  })`);
  assertEquals(shown, {
    url,
    title: "harmless",
    text: "read me",
    origin: "null",
  });
  await page.goto(`${world.url}/`);
  const kept = await page.evaluate(`({
    secrets: [localStorage.getItem("secret"), sessionStorage.getItem("secret")],
    cookie: document.cookie,
  })`);
  assertEquals(kept, { secrets: ["1", "1"], cookie: "" });
}

Deno.test({
  name: "A document of a provider's runs no script in the origin of the page",
  ignore: isChromiumMissing(),
  async fn() {
    await using browser = await startChromium();
    await hasNoPart(browser);
  },
});
