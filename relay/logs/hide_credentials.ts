import { redactUrl } from "../../src/fetch/redact.ts";

const URLS = /\b(?:https?|wss?):\/\/[^\s"'<>()]+/gi;

function hide(url: string): string {
  if (!URL.canParse(url)) return redactUrl(url);
  const { username, password, search } = new URL(url);
  // One that has nothing to hide stays as it was written.
  return username || password || search ? redactUrl(url) : url;
}

/** Takes users, passwords and what queries say, which may be a key, out of the URLs in a text. */
export function hideCredentials(text: string): string {
  return text.replaceAll(URLS, hide);
}
