/**
 * A tab with a chat.
 *
 * @module
 */
import type { Page } from "playwright-core";
import { LIMIT } from "../within.ts";

/** The visible parts of a message, by their kinds. */
export interface ShownMessage {
  readonly role: string;
  readonly parts: readonly (readonly [kind: string, text: string])[];
}

/** The visible state of a tab. */
export interface Shown {
  readonly messages: readonly ShownMessage[];
  /** The status of the chat, in the words of the AI SDK. */
  readonly status: string;
  /** The text outside the messages. */
  readonly note: string;
}

/**
 * A tab. Its page has `li[data-role]` for messages, `[data-part]` for parts, one
 * `[data-status]`, whose text is the note, an input, and the buttons Send and Stop.
 */
export class ChatTab {
  readonly page: Page;
  /** The errors that the page has thrown. */
  readonly errors: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.errors.push(String(error)));
  }

  /** Waits until the page can be used. */
  async ready(): Promise<void> {
    await this.page.waitForSelector("[data-status]", {
      state: "attached",
    });
  }

  /** Loads the page again. */
  async reload(): Promise<void> {
    await this.page.reload();
    await this.ready();
  }

  /** Sends a message. */
  async send(text: string): Promise<void> {
    await this.page.fill("input", text);
    // While it grows, nothing in the page stands still long enough for a click.
    await this.page.dispatchEvent("text=Send", "click");
  }

  /** Presses Stop. */
  async stop(): Promise<void> {
    await this.page.dispatchEvent("text=Stop", "click");
  }

  /** Returns the visible state now. */
  async shown(): Promise<Shown> {
    return await this.page.evaluate(SHOWN);
  }

  /** The text of the last message of a role; empty if there is none. */
  async text(role: "user" | "assistant"): Promise<string> {
    return textOf(await this.shown(), role);
  }

  /**
   * Waits until it shows something.
   *
   * @param what What that is, for the failure.
   * @param isThere Whether it is there.
   */
  async until(
    what: string,
    isThere: (shown: Shown) => boolean,
    limit = LIMIT,
  ): Promise<Shown> {
    const start = performance.now();
    for (;;) {
      const shown = await this.shown();
      if (isThere(shown)) return shown;
      if (performance.now() - start > limit) {
        throw new Error(`${what}: the page shows ${JSON.stringify(shown)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** The text of the last message of a role; empty if there is none. */
export function textOf(
  { messages }: Pick<Shown, "messages">,
  role: string,
): string {
  const message = messages.findLast((message) => message.role === role);
  return (message?.parts ?? []).map(([kind, text]) =>
    kind === "text" ? text : ""
  ).join("");
}

/** Runs in the page, which has a type of its own. */
const SHOWN = `(() => {
  const status = document.querySelector("[data-status]");
  return {
    messages: [...document.querySelectorAll("li[data-role]")].map((item) => ({
      role: item.dataset.role,
      parts: [...item.querySelectorAll("[data-part]")].map((part) => [
        part.dataset.part,
        part.textContent,
      ]),
    })),
    status: status?.dataset.status ?? "",
    note: status?.textContent ?? "",
  };
})()`;
