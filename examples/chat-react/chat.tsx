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
  const chat = useChat({ id, transport, messages: history });
  const { setMessages, resumeStream } = chat;

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

  return <View {...chat} note={note} stop={() => transport.stop(id)} />;
}
