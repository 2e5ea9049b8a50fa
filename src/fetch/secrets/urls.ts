// This module is browser compatible.
import { REDACTED } from "./definition.ts";

/** A field of a query. */
export interface QueryField {
  /** The field as it is written. */
  readonly text: string;
  /** Its name, decoded. */
  readonly name: string;
  /** Its value, as it is written; empty if it has none. */
  readonly value: string;
}

const URLS = /\b(?:https?|wss?):\/\/[^\s"'<>()]+/gi;

/**
 * Makes a URL fit to be shown: without user name, password and fragment, and
 * with the names but not the values of its query, since any may be a key.
 *
 * @param url The URL.
 * @returns The part of it that may be shown.
 */
export function redactUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    // Relative, or no URL at all: only a path is sure to be harmless.
    return url.replace(/[?#].*$/s, "").replace(/^.*@/s, "");
  }
  if (parsed.protocol === "data:") {
    return `${url.slice(0, Math.max(0, url.indexOf(",")) || 5)},${REDACTED}`;
  }
  parsed.username = "";
  parsed.password = "";
  parsed.hash = "";
  if (parsed.search === "") return parsed.href;
  const query = parsed.search.slice(1).split("&").map((field) => {
    const equals = field.indexOf("=");
    return equals < 0 ? REDACTED : `${field.slice(0, equals)}=${REDACTED}`;
  });
  parsed.search = "";
  return `${parsed.href}?${query.join("&")}`;
}

/**
 * Makes the URLs in a text fit to be shown. A URL that hides nothing stays as it
 * is written.
 *
 * @param text The text.
 * @returns The text with them.
 */
export function redactUrls(text: string): string {
  return text.replaceAll(URLS, (url) => {
    if (!URL.canParse(url)) return redactUrl(url);
    const { username, password, search, hash } = new URL(url);
    return username || password || search || hash ? redactUrl(url) : url;
  });
}

/**
 * Splits the query of a URL into its fields.
 *
 * @param url A URL, or a path with a query.
 * @returns The fields; none without a query.
 */
export function queryFields(url: string): QueryField[] {
  const [, query] = /^[^?#]*\?([^#]*)/.exec(url) ?? [];
  if (query === undefined) return [];
  return query.split("&").map((text) => {
    const equals = text.indexOf("=");
    return equals < 0 ? { text, name: decoded(text), value: "" } : {
      text,
      name: decoded(text.slice(0, equals)),
      value: text.slice(equals + 1),
    };
  });
}

/**
 * Returns the forms that a part of a URL has when it is decoded.
 *
 * @param text The part, as it is written.
 * @returns The text itself, what its percent-encoding stands for, and the same
 * with a space for each plus.
 */
export function decodedForms(text: string): string[] {
  return [text, decoded(text), decoded(text.replaceAll("+", " "))];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not percent-encoded UTF-8: it has no other form
  }
}
