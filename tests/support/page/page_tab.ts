/**
 * A tab with the relay's page, which tells all that went wrong in it.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";

/**
 * The browser's own message about a refused request, which the page cannot hold
 * back.
 */
const REFUSED =
  /^(?:Failed to load resource|WebSocket connection to '[^']+' failed|The resource .+ was preloaded)/;

/** A tab of a browser of its own memory. */
export class PageTab implements AsyncDisposable {
  readonly page: Page;
  /** Errors, warnings, and what the policy of the page has forbidden. */
  readonly troubles: string[] = [];
  readonly #url: string;

  private constructor(page: Page, url: string) {
    this.page = page;
    this.#url = url;
    page.on("pageerror", (error) => this.troubles.push(String(error)));
    page.on("console", (message) => {
      const text = message.text();
      if (!REFUSED.test(text)) this.troubles.push(`${message.type()}: ${text}`);
    });
  }

  /** Opens one. */
  static async open(
    browser: Browser,
    url: string,
    { hash = "", ...options }: BrowserContextOptions & { hash?: string } = {},
  ): Promise<PageTab> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const tab = new PageTab(page, url);
    await page.addInitScript(`
      addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
        console.error("policy: " + violatedDirective + " " + blockedURI);
      });
    `);
    await page.goto(`${url}/${hash}`);
    return tab;
  }

  /** Goes to another view. */
  async go(hash: string): Promise<void> {
    await this.page.goto(`${this.#url}/${hash}`);
  }

  /** Waits until the page shows a text. */
  async sees(text: string | RegExp, within = "body"): Promise<void> {
    await this.page.locator(within).filter({ hasText: text }).first()
      .waitFor({ state: "visible" });
  }

  /** The text of what a selector finds. */
  async text(selector: string): Promise<string> {
    return (await this.page.locator(selector).first().innerText()).trim();
  }

  /** Types a token, and uses it. */
  async use(token: string): Promise<void> {
    await this.page.fill("#secret", token);
    await this.page.keyboard.press("Enter");
  }

  /** Requires that nothing went wrong. */
  assertClean(): void {
    assertEquals(this.troubles, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}
