/** @jsxRuntime automatic */
/** @jsxImportSource react */
// The page of the chat, with the transport of the AI SDK. The relay stands in front of the route.
import { Chat, useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { createRoot } from "react-dom/client";
import { followChat } from "@rivulet/rivulet/chat";
import { View } from "../chat-react/view.jsx";

const id = new URLSearchParams(location.search).get("chat") ?? "1";
const { user, relay } = document.documentElement.dataset;
const token = async () => await (await fetch("/api/chat/token")).text();
const load = async () => await (await fetch(`/api/chat/${id}`)).json();
const headers = async () => ({ "Rivulet-Token": await token() });
const api = `${relay}/chat/app`;
const options = { api, headers, credentials: "include" };
const transport = new DefaultChatTransport(options);
const chat = new Chat({ id, messages: await load(), transport });
const root = createRoot(document.querySelector("#root"));
const show = (note) => root.render(<Page note={note} />);
const onTurn = () => show("");
const onEnd = ({ reason = "" }) => show(reason);
const where = { relay, chat: "app", user, token };
const { stop } = followChat(chat, { ...where, load, onTurn, onEnd });
show("");

function Page({ note }) {
  return <View {...useChat({ chat })} note={note} stop={stop} />;
}
