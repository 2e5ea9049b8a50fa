// The server of a chat: it answers messages, and lets pages in.
import { serve } from "@hono/node-server";
import {
  convertToModelMessages,
  type LanguageModel,
  streamText,
  type ToolSet,
  toUIMessageStream,
  type UIMessage,
} from "ai";
import { Hono } from "hono";
import { getCookie } from "hono/cookie";
import {
  chatTopic,
  createChatToken,
  publishChat,
} from "@rivulet/rivulet/chat/server";

/** The parts that the server needs. */
export interface ChatServerOptions {
  /** The relay, as this server reaches it. */
  relay: string;
  /** The secret of the relay (`--jwt-key-file`). */
  key: string;
  model: LanguageModel;
  tools?: ToolSet;
}

export function createChatServer(
  { relay, key, model, tools = {} }: ChatServerOptions,
): Hono<{ Variables: { user: string } }> {
  const app = new Hono<{ Variables: { user: string } }>();
  // In place of a database: the messages of each chat, by its topic.
  const chats = new Map<string, UIMessage[]>();

  // In place of a session: the user is whoever the cookie says.
  app.use(async (c, next) => {
    const user = getCookie(c, "user");
    if (!user) return c.text("Log in first.", 401);
    c.set("user", user);
    await next();
  });

  app.post("/api/chat", async (c) => {
    const { id, messages }: { id: string; messages: UIMessage[] } = await c.req
      .json();
    const topic = chatTopic({ chat: "chat", user: c.get("user"), id });
    return await publishChat({
      relay,
      key,
      topic,
      message: messages.at(-1),
      stream: async (abortSignal) => {
        chats.set(topic, messages);
        const { stream } = streamText({
          model,
          tools,
          messages: await convertToModelMessages(messages),
          abortSignal,
        });
        return toUIMessageStream({
          stream,
          originalMessages: messages,
          generateMessageId: () => crypto.randomUUID(),
          onError: () => "The model cannot be reached at the moment.",
          onEnd: ({ messages }) => void chats.set(topic, messages),
        });
      },
    });
  });

  app.get("/api/chat/token", async (c) => {
    return c.text(await createChatToken({ key, user: c.get("user") }));
  });

  app.get("/api/chat/:id", (c) => {
    const id = c.req.param("id");
    return c.json(
      chats.get(chatTopic({ chat: "chat", user: c.get("user"), id })) ?? [],
    );
  });

  return app;
}

/** Listens, and says where. */
export function listen(
  app: Pick<Hono, "fetch">,
  port: number,
  onListening: (port: number) => void,
): ReturnType<typeof serve> {
  return serve(
    { fetch: app.fetch, port, hostname: "127.0.0.1" },
    (address) => onListening(address.port),
  );
}
