import { hasToken, urlOf } from "./access.ts";
import { copyable, h } from "./dom.ts";

/** Says how to follow a topic elsewhere. No token is in it. */
export function followView(name: string): HTMLElement {
  const { href } = urlOf(`topics/${name}`);
  const socket = href.replace(/^http/, "ws");
  const header = hasToken() ? " -H 'Authorization: Bearer TOKEN'" : "";
  const ways: readonly (readonly [string, string])[] = [
    ["curl", `curl -N${header} ${href}`],
    ["wscat", `npx --yes wscat@6.1.0${header} -c ${socket}`],
    [
      "subscribe()",
      `import { subscribe } from "@rivulet/rivulet/client";

for await (const message of subscribe("${socket}"${
        hasToken() ? ", { token: TOKEN }" : ""
      })) {
  console.log(message);
}`,
    ],
    [
      "EventSource",
      hasToken()
        ? "// EventSource cannot send a token: use subscribe()."
        : `new EventSource("${href}").onmessage = ({ data }) => console.log(data);`,
    ],
  ];
  return h(
    "section",
    h("h2", "Follow this topic"),
    ...ways.map(([title, text]) =>
      h("details", h("summary", title), copyable(text, title))
    ),
  );
}
