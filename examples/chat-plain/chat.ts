// The same chat without a framework: a page's own DOM.
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from "ai";
import { joinTurn, RivuletChatTransport } from "@rivulet/rivulet/chat";
import { page, show } from "./view.js";

const chatId = new URLSearchParams(location.search).get("chat") ?? "1";
const { user = "", relay = "" } = page;
const transport = new RivuletChatTransport<UIMessage>({
  relay,
  user,
  token: async () => await (await fetch("/api/chat/token")).text(),
});
let messages: UIMessage[] = await (await fetch(`/api/chat/${chatId}`)).json();

/** Shows an answer as it comes. */
async function answer(
  stream: Promise<ReadableStream<UIMessageChunk> | null>,
): Promise<void> {
  show({ messages, status: "submitted", note: "" });
  try {
    const chunks = await stream;
    const before = messages;
    if (chunks) {
      const answers = readUIMessageStream({
        stream: chunks,
        terminateOnError: true,
      });
      for await (const message of answers) {
        messages = [...before, message];
        show({ messages, status: "streaming", note: "" });
      }
    }
    show({ messages, status: "ready" });
  } catch (error) {
    const note = error instanceof Error ? error.message : String(error);
    show({ messages, status: "error", note });
  }
}

transport.watch(chatId, {
  messages,
  onTurn: (message) => {
    messages = joinTurn(messages, message);
    void answer(transport.reconnectToStream({ chatId }));
  },
  onEnd: ({ status }) => {
    if (status === "cancelled") {
      show({ messages, status: "ready", note: "Stopped." });
    }
  },
});

show({
  messages,
  status: "ready",
  onSend: (text: string) => {
    const parts = [{ type: "text", text } as const];
    const message = { id: crypto.randomUUID(), role: "user", parts } as const;
    messages = [...messages, { ...message, parts }];
    void answer(transport.sendMessages({
      trigger: "submit-message",
      chatId,
      messageId: undefined,
      messages,
      abortSignal: undefined,
    }));
  },
  onStop: () => void transport.stop(chatId),
});
