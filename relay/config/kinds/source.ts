import type { RelayOptions } from "../../options.ts";
import type { ValueKind } from "./kind.ts";

type Source = NonNullable<RelayOptions["sources"]>[number];

/** Takes the options off the end of `URL,from=now,once`; a URL may have commas of its own. */
function readOptions(text: string): Omit<Source, "name"> {
  const [, url, option] =
    /^(.*),(from=start|from=now|once|drop-repeats)$/.exec(text) ?? [];
  if (url === undefined) return { url: text };
  const others = readOptions(url);
  switch (option) {
    case "once":
      return { ...others, reconnect: false };
    case "drop-repeats":
      return { ...others, repeats: "drop" };
    default:
      return { ...others, from: option === "from=now" ? "now" : "start" };
  }
}

function fromText(text: string): Source | undefined {
  const equals = text.indexOf("=");
  const { url, ...options } = readOptions(text.slice(equals + 1));
  return equals > 0 && URL.canParse(url)
    ? { name: text.slice(0, equals), url, ...options }
    : undefined;
}

/** An SSE stream: `news=https://example.com/events,from=now`. */
export const source: ValueKind = {
  takes: "value",
  hint: "NAME=URL[,OPTION ...]",
  wanted: "NAME=URL, and options after commas",
  fromText,
  fromJson: (value) =>
    typeof value === "string" ? fromText(value) ?? value : value,
  toJson: (value) => value,
};
