// This module is browser compatible.
import { ChatEndingReader } from "./chat/endings.ts";
import type { EndingReader } from "./ending.ts";
import { MessagesEndingReader } from "./messages/endings.ts";
import { PlainEndingReader } from "./plain/endings.ts";
import { ResponsesEndingReader } from "./responses/endings.ts";
import { UiEndingReader } from "./ui/endings.ts";

/** The formats of streams; `plain` is any that is not known. */
export const WIRE_FORMATS = [
  "responses",
  "chat",
  "messages",
  "ui",
  "plain",
] as const;

/** A format of streams. */
export type WireFormat = typeof WIRE_FORMATS[number];

/** The header by which a stream of UI messages says that it is one. */
const UI_HEADER = "x-vercel-ai-ui-message-stream";

/** Headers of an answer, as far as they tell its format. */
export interface TellingHeaders {
  /** Returns the value of a header; `null` if it is not there. */
  get(name: string): string | null;
}

/**
 * Returns the format of a provider's stream.
 *
 * @param path The path of the request. Only its last names count: neither what is
 * in front of them, nor a query.
 * @param headers The headers of the answer: UI messages are told by theirs. Default:
 * none.
 * @returns The format.
 */
export function formatOf(path: string, headers?: TellingHeaders): WireFormat {
  if (headers?.get(UI_HEADER) != null) return "ui";
  const names = path.replace(/[?#].*$/s, "").split("/").filter(Boolean);
  const name = names.at(-1);
  // A response may also be asked for by its id.
  if (name === "responses" || names.at(-2) === "responses") return "responses";
  if (name === "completions") return "chat";
  return name === "messages" ? name : "plain";
}

/**
 * Makes the reader of a stream's ending.
 *
 * @param format The format of the stream.
 * @returns A reader for one stream.
 */
export function endingReader(format: WireFormat): EndingReader {
  switch (format) {
    case "responses":
      return new ResponsesEndingReader();
    case "chat":
      return new ChatEndingReader();
    case "messages":
      return new MessagesEndingReader();
    case "ui":
      return new UiEndingReader();
    case "plain":
      return new PlainEndingReader();
  }
}
