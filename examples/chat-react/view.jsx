/** @jsxRuntime automatic */
/** @jsxImportSource react */
// The chat on the page. Nothing in it knows of a relay. It takes what useChat returns.
import { useState } from "react";

export function View({ messages, status, error, note, sendMessage, stop }) {
  const [text, setText] = useState("");
  const isBusy = status === "submitted" || status === "streaming";
  return (
    <main>
      <ol>
        {messages.map(({ id, role, parts }) => (
          <li key={id} data-role={role}>
            {parts.map((part, index) => {
              switch (part.type) {
                case "text":
                  return <p key={index} data-part="text">{part.text}</p>;
                case "reasoning":
                  return <i key={index} data-part="reasoning">{part.text}</i>;
                case "dynamic-tool":
                  return null;
                default:
                  return part.type.startsWith("tool-") && "input" in part
                    ? (
                      <code key={index} data-part={part.type}>
                        {JSON.stringify([part.input, part.output])}
                      </code>
                    )
                    : null;
              }
            })}
          </li>
        ))}
      </ol>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void sendMessage({ text });
          setText("");
        }}
      >
        <input
          value={text}
          onChange={(event) => setText(event.target.value)}
          disabled={isBusy}
        />
        <button type="submit" disabled={isBusy}>Send</button>
        <button type="button" onClick={() => void stop()} disabled={!isBusy}>
          Stop
        </button>
      </form>
      <p data-status={status}>{note || error?.message}</p>
    </main>
  );
}
