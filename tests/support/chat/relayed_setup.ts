/**
 * A chat whose route the relay stands in front of, as the example has it.
 *
 * @module
 */
import { createApp } from "../../../examples/chat-unchanged/app.ts";
import { bundlePage } from "./bundle_page.ts";
import type { ChatSetup, ChatSurroundings, RunningChat } from "./chat_world.ts";
import { CHAT_KEY } from "./chat_world.ts";
import { servePages } from "./serve_pages.ts";

/** `useChat` of React with its own transport, and `--chat`. */
export const relayedSetup: ChatSetup = {
  name: "--chat, React",
  restart: "breaks",
  async start({ model, tools, relay }: ChatSurroundings): Promise<RunningChat> {
    await using stack = new AsyncDisposableStack();
    const pages = stack.use(
      await servePages(
        createApp({ key: CHAT_KEY, model, tools }),
        await bundlePage("examples/chat-unchanged/page.jsx"),
      ),
    );
    const url = `http://127.0.0.1:${pages.port}/api/chat`;
    const running = stack.use(await relay({ chats: [{ name: "app", url }] }));
    const parts = stack.move();
    return {
      ports: { page: pages.port, relay: running.current.port },
      pageOf: "page",
      async serve({ page, relay }) {
        pages.relay = relay ?? "";
        // Cookies travel to a relay that knows the page.
        await running.restart({ origins: [page ?? ""] });
      },
      restart: () => running.restart(),
      [Symbol.asyncDispose]: () => parts.disposeAsync(),
    };
  },
};
