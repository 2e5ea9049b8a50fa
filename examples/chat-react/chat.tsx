/** @jsxRuntime automatic */
/** @jsxImportSource react */
/** @jsxImportSourceTypes @types/react */
// A chat that survives a reload and a lost network, and that all tabs follow.
import { useChat } from "@ai-sdk/react";
import type { UIMessage } from "ai";
// @ts-types="@types/react"
import { type JSX, useEffect, useMemo, useState } from "react";
import { joinTurn, RivuletChatTransport } from "@rivulet/rivulet/chat";
import { View } from "./view.jsx";

export function Chat(
  { id, user, relay, history }: {
    id: string;
    user: string;
    relay: string;
    history: UIMessage[];
  },
): JSX.Element {
  const transport = useMemo(() =>
    new RivuletChatTransport<UIMessage>({
      relay,
      user,
      token: async () => await (await fetch("/api/chat/token")).text(),
    }), [relay, user]);
  const [note, setNote] = useState("");
  const { messages, setMessages, sendMessage, resumeStream, status, error } =
    useChat({ id, transport, messages: history });

  useEffect(() =>
    transport.watch(id, {
      messages: history,
      onTurn: (message) => {
        setNote("");
        setMessages((messages) => joinTurn(messages, message));
        void resumeStream();
      },
      onEnd: ({ status }) => setNote(status === "cancelled" ? "Stopped." : ""),
    }), [transport, id]);

  return (
    <View
      messages={messages}
      status={status}
      note={note || error?.message || ""}
      onSend={(text: string) => void sendMessage({ text })}
      onStop={() => void transport.stop(id)}
    />
  );
}
