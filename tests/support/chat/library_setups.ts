/**
 * Chats that are made with the library, as the examples have them.
 *
 * @module
 */
import { createChatServer } from "../../../examples/chat-server-hono/server.ts";
import { bundlePage } from "./bundle_page.ts";
import {
  CHAT_KEY,
  type ChatSetup,
  type ChatSurroundings,
  type RunningChat,
} from "./chat_world.ts";
import { servePages } from "./serve_pages.ts";

/** `useChat` of React, with the transport. */
export const reactSetup: ChatSetup = librarySetup(
  "RivuletChatTransport, React",
  "examples/chat-react/main.jsx",
);

/** The transport in a page without a framework. */
export const plainSetup: ChatSetup = librarySetup(
  "RivuletChatTransport, plain DOM",
  "examples/chat-plain/chat.ts",
);

function librarySetup(name: string, program: string): ChatSetup {
  return {
    name,
    restart: "goes on",
    async start(
      { model, tools, relay }: ChatSurroundings,
    ): Promise<RunningChat> {
      await using stack = new AsyncDisposableStack();
      const running = stack.use(await relay());
      const server = createChatServer({
        relay: running.url,
        key: CHAT_KEY,
        model,
        tools,
      });
      const pages = stack.use(
        await servePages(
          (request) => server.fetch(request),
          await bundlePage(program),
        ),
      );
      const parts = stack.move();
      return {
        ports: { page: pages.port, relay: running.current.port },
        pageOf: "page",
        serve: ({ relay = "" }) => void (pages.relay = relay),
        restart: () => running.restart(),
        [Symbol.asyncDispose]: () => parts.disposeAsync(),
      };
    },
  };
}
