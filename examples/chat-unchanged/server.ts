// The route of a chat, as the guide of the AI SDK has it. Nothing in it knows of a relay.
import {
  convertToModelMessages,
  createUIMessageStreamResponse,
  type LanguageModel,
  streamText,
  toUIMessageStream,
  type UIMessage,
} from "ai";

/** A chat's route, and the messages that it keeps in place of a database. */
export interface ChatApp {
  POST(request: Request): Promise<Response>;
  history(id: string): UIMessage[];
}

export function createChatApp(model: LanguageModel): ChatApp {
  const chats = new Map<string, UIMessage[]>();
  return {
    async POST(request) {
      const { id, messages }: { id: string; messages: UIMessage[] } =
        await request.json();
      chats.set(id, messages);
      const { stream } = streamText({
        model,
        messages: await convertToModelMessages(messages),
        abortSignal: request.signal,
      });
      return createUIMessageStreamResponse({
        stream: toUIMessageStream({
          stream,
          originalMessages: messages,
          generateMessageId: () => crypto.randomUUID(),
          onError: () => "The model cannot be reached at the moment.",
          onEnd: ({ messages }) => void chats.set(id, messages),
        }),
      });
    },
    history: (id) => chats.get(id) ?? [],
  };
}
