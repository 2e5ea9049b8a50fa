// The parts of an application besides its chat route: a model, sessions, a
// database; and, for the relay, a token for each user.
import type { LanguageModel, ToolSet, UIMessage } from "ai";
import { createChatToken } from "@rivulet/rivulet/chat/server";
import { chatRoute } from "./route.ts";

export type Handler = (request: Request) => Promise<Response>;

export interface App {
  settings: { model: LanguageModel; tools: ToolSet };
  save(request: Request, id: string, messages: UIMessage[]): void;
}

/** Makes an application: a chat, whose users are who their cookies say. */
export function createApp(
  { key, ...settings }: App["settings"] & { key: string },
): Handler {
  const chats = new Map<string, UIMessage[]>();
  const keyOf = (request: Request, id: string) => `${userOf(request)}/${id}`;
  const answer = chatRoute({
    settings,
    save: (request, id, messages) =>
      void chats.set(keyOf(request, id), messages),
  });
  return async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/chat") return await answer(request);
    if (pathname === "/api/chat/token") {
      const user = userOf(request);
      return new Response(
        await createChatToken({ key, user, chat: "app", send: true }),
      );
    }
    const id = pathname.replace("/api/chat/", "");
    return Response.json(chats.get(keyOf(request, id)) ?? []);
  };
}

/** In place of a session. */
function userOf(request: Request): string {
  const [, user = ""] =
    /\buser=(\w+)/.exec(request.headers.get("cookie") ?? "") ?? [];
  return user;
}
