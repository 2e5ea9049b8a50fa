/** @jsxRuntime automatic */
/** @jsxImportSource react */
// What the chat looks like: nothing in it knows of a relay.
import { useState } from "react";

export function View({ messages, status, note, onSend, onStop }) {
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
          onSend(text);
          setText("");
        }}
      >
        <input
          value={text}
          onChange={(event) => setText(event.target.value)}
          disabled={isBusy}
        />
        <button type="submit" disabled={isBusy}>Send</button>
        <button type="button" onClick={onStop} disabled={!isBusy}>Stop</button>
      </form>
      <p data-status={status}>{note}</p>
    </main>
  );
}
