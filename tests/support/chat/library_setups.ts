/**
 * Chats that are made with the library, as the examples have them.
 *
 * @module
 */
import {
  createChatServer,
  listen,
} from "../../../examples/chat-server-hono/server.ts";
import { bundlePage } from "./bundle_page.ts";
import {
  CHAT_KEY,
  type ChatSetup,
  type ChatSurroundings,
  type RunningChat,
} from "./chat_world.ts";

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
    async start(
      { model, tools, relay }: ChatSurroundings,
    ): Promise<RunningChat> {
      await using stack = new AsyncDisposableStack();
      const script = bundlePage(program);
      const running = stack.use(await relay());
      const server = createChatServer({
        relay: running.url,
        key: CHAT_KEY,
        model,
        tools,
      });
      let origin = "";
      const pages = {
        fetch: async (request: Request): Promise<Response> => {
          const { pathname } = new URL(request.url);
          if (pathname === "/") return page(request, origin);
          if (pathname === "/page.js") return javascript(await script);
          return await server.fetch(request);
        },
      };
      const { port, close } = await serve(pages);
      stack.defer(close);
      await script;
      const parts = stack.move();
      return {
        ports: { page: port, relay: running.current.port },
        pageOf: "page",
        serve: ({ relay = "" }) => void (origin = relay),
        restart: () => running.restart(),
        [Symbol.asyncDispose]: () => parts.disposeAsync(),
      };
    },
  };
}

/** Serves an application on a port of its own. */
async function serve(
  app: { fetch(request: Request): Response | Promise<Response> },
): Promise<{ port: number; close(): Promise<void> }> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = listen(app, 0, resolve);
  const port = await promise;
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // A page keeps its connections.
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}

/** A page, which knows who its user is and where the relay is. */
function page(request: Request, relay: string): Response {
  const [, user = ""] = /\buser=(\w+)/.exec(
    request.headers.get("cookie") ?? "",
  ) ?? [];
  return new Response(
    `<!doctype html><html data-user="${user}" data-relay="${relay}">
<meta charset="utf-8"><link rel="icon" href="data:,"><title>Chat</title><div id="root"></div>
<script type="module" src="/page.js"></script>`,
    { headers: { "content-type": "text/html" } },
  );
}

/** A program. */
function javascript(code: string): Response {
  return new Response(code, { headers: { "content-type": "text/javascript" } });
}
