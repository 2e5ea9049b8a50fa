/** @jsxRuntime automatic */
/** @jsxImportSource react */
// The page of the chat, as the same guide has it.
import { useChat } from "@ai-sdk/react";
import { createRoot } from "react-dom/client";
import { View } from "../../../examples/chat-react/view.jsx";

const id = new URLSearchParams(location.search).get("chat") ?? "1";
const messages = await (await fetch(`/api/chat/${id}`)).json();
createRoot(document.querySelector("#root")).render(<Page />);

function Page() {
  const chat = useChat({ id, messages, resume: true });
  const stop = async () => {
    await fetch(`/api/chat/${id}/stop`, { method: "POST" });
    await chat.stop();
  };
  return <View {...chat} stop={stop} />;
}
