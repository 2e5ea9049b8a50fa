/**
 * The server of a chat's pages, and of the application behind them.
 *
 * @module
 */
import { listen } from "../../../examples/chat-server-hono/server.ts";

/** A server of pages. */
export interface Pages extends AsyncDisposable {
  /** The port. */
  readonly port: number;
  /** The relay, as pages reach it. */
  relay: string;
}

/**
 * Serves an application, and its page at `/`.
 *
 * @param app Answers whatever is not of the page.
 * @param script The program of the page.
 */
export async function servePages(
  app: (request: Request) => Response | Promise<Response>,
  script: string,
): Promise<Pages> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const pages = { relay: "" };
  const server = listen(
    {
      fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === "/") return page(request, pages.relay);
        return pathname === "/page.js" ? javascript(script) : app(request);
      },
    },
    0,
    resolve,
  );
  return Object.assign(pages, {
    port: await promise,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        // A page keeps its connections.
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  });
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
