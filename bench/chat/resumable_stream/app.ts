// The parts of an application besides its chat routes: a model, sessions, a
// database.
import { createClient } from "redis";
import { createResumableStreamContext } from "resumable-stream/generic";
import { chatRoutes } from "./route.ts";
import type { App, Kept } from "./types.ts";

/** An application, and what ends its connections. */
export interface RunningApp {
  fetch(request: Request): Promise<Response>;
  close(): Promise<void>;
}

/** Makes an application: a chat, whose users are who their cookies say. */
export async function createApp(
  { redis, ...settings }: App["settings"] & { redis: string },
): Promise<RunningApp> {
  const chats = new Map<string, Kept>();
  const clients = [createClient({ url: redis }), createClient({ url: redis })];
  for (const client of clients) {
    client.on("error", () => {}); // it connects again
    await client.connect();
  }
  const [publisher, subscriber] = clients;
  const keyOf = (request: Request, id: string) => {
    const [, user] = /\buser=(\w+)/.exec(request.headers.get("cookie") ?? "") ??
      [];
    return `${user}/${id}`;
  };
  const readChat: App["readChat"] = (request, id) =>
    chats.get(keyOf(request, id)) ?? { messages: [], activeStreamId: null };
  const { post, resume, stop } = chatRoutes({
    settings,
    readChat,
    saveChat: (request, id, chat) =>
      void chats.set(keyOf(request, id), { ...readChat(request, id), ...chat }),
  }, createResumableStreamContext({ waitUntil: null, publisher, subscriber }));
  return {
    fetch(request) {
      const { pathname } = new URL(request.url);
      const [, id = "", what] = /^\/api\/chat\/(\w+)(?:\/(\w+))?$/.exec(
        pathname,
      ) ?? [];
      if (pathname === "/api/chat") return post(request, id);
      if (what === "stream") return resume(request, id);
      if (what === "stop") return stop(request, id);
      return Promise.resolve(Response.json(readChat(request, id).messages));
    },
    async close() {
      for (const client of clients) await client.disconnect();
    },
  };
}
