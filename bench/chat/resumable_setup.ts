/**
 * A chat that is made resumable with `resumable-stream` and Redis.
 *
 * @module
 */
import { bundlePage } from "../../tests/support/chat/bundle_page.ts";
import type { ChatSetup } from "../../tests/support/chat/chat_world.ts";
import { servePages } from "../../tests/support/chat/serve_pages.ts";
import { RedisServer } from "./redis_server.ts";
import { createApp } from "./resumable_stream/app.ts";

/** `useChat` of React with `resume`, and `resumable-stream`. */
export const resumableSetup: ChatSetup = {
  name: "`resumable-stream` 2.2, Redis 7.0",
  restart: "goes on",
  async start({ model, tools }) {
    await using stack = new AsyncDisposableStack();
    const redis = stack.use(await RedisServer.start());
    const app = await createApp({ redis: redis.url, model, tools });
    stack.defer(app.close);
    const script = await bundlePage("bench/chat/resumable_stream/page.jsx");
    const pages = stack.use(await servePages(app.fetch, script));
    const parts = stack.move();
    return {
      ports: { page: pages.port },
      pageOf: "page",
      serve() {},
      restart: () => redis.restart(),
      [Symbol.asyncDispose]: () => parts.disposeAsync(),
    };
  },
};
