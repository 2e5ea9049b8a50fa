/** @jsxRuntime automatic */
/** @jsxImportSource react */
// The page: its URL is /?chat=ID, and its server says who the user is and where the relay is.
import { createRoot } from "react-dom/client";
import { Chat } from "./chat.tsx";

const id = new URLSearchParams(location.search).get("chat") ?? "1";
const { user = "", relay = "" } = document.documentElement.dataset;
const history = await (await fetch(`/api/chat/${id}`)).json();
createRoot(document.querySelector("#root")).render(
  <Chat id={id} user={user} relay={relay} history={history} />,
);
