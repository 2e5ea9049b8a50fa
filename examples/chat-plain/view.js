// The chat on the page. Nothing in it knows of a relay.
/** The server's facts for the page: the user, and the relay's address. */
export const page = document.documentElement.dataset;

const root = document.querySelector("#root");
root.innerHTML = `<ol></ol>
<form><input><button type="submit">Send</button>
<button type="button">Stop</button></form><p></p>`;
const list = root.querySelector("ol");
const form = root.querySelector("form");
const input = root.querySelector("input");
const stop = root.querySelector("[type=button]");
const line = root.querySelector("p");

/**
 * Shows the conversation.
 *
 * @param {{
 *   messages: unknown[];
 *   status: string;
 *   note?: string;
 *   onSend?: (text: string) => void;
 *   onStop?: () => void;
 * }} shown The note is that of before where it is left out.
 */
export function show({ messages, status, note, onSend, onStop }) {
  list.replaceChildren(...messages.map(({ role, parts }) => {
    const item = document.createElement("li");
    item.dataset.role = role;
    for (const part of parts) {
      if (part.type !== "text" && part.type !== "reasoning") continue;
      const text = document.createElement("p");
      text.dataset.part = part.type;
      text.textContent = part.text;
      item.append(text);
    }
    return item;
  }));
  const isBusy = status === "submitted" || status === "streaming";
  input.disabled = isBusy;
  stop.disabled = !isBusy;
  line.dataset.status = status;
  if (note !== undefined) line.textContent = note;
  if (onStop) stop.onclick = onStop;
  if (!onSend) return;
  form.onsubmit = (event) => {
    event.preventDefault();
    onSend(input.value);
    input.value = "";
  };
}
