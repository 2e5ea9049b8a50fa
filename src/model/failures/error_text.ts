// This module is browser compatible.
import { readSaidError } from "./said_error.ts";

/** An error in a line of a body: `error: {...}`, as an event, or as one of many JSON values. */
const LINE = /^(?:(?:error|data)\s*:\s*)?([[{].*)$/;

/** The words in JSON that was cut off. */
const CUT_WORDS = /"(?:message|detail)"\s*:\s*("(?:[^"\\]|\\.)*")/;

const PAGE = /^\s*(?:<!doctype html|<html|<head|<body|<h1)/i;
const TITLE = /<title[^>]*>([^<]+)<|<h1[^>]*>([^<]+)</gi;

/**
 * Finds the error in a body: JSON, JSON that was cut off, a line `error: {...}` or
 * `data: {...}`, the title of a page.
 *
 * @param text The body.
 * @returns The error, as `readFailure` takes it; `undefined` if the body has none
 * in a known shape.
 */
export function errorInText(text: string): unknown {
  const trimmed = text.replace(/^\ufeff/, "").trim();
  if (PAGE.test(trimmed)) return titleOf(trimmed);
  const whole = parse(trimmed);
  if (whole !== undefined) return whole.error;
  for (const line of trimmed.split(/\r\n|\r|\n/, 100)) {
    const [, json = ""] = LINE.exec(line.trim()) ?? [];
    const error = json === "" ? undefined : parse(json)?.error;
    if (error !== undefined) return error;
  }
  const [, words] = CUT_WORDS.exec(trimmed) ?? [];
  const cut = words === undefined || !/^[[{]/.test(trimmed)
    ? undefined
    : parse(`[${words}]`);
  return cut?.error;
}

/** The error in JSON, if it is JSON, and there is one. */
function parse(json: string): { readonly error: unknown } | undefined {
  if (!/^[[{"]/.test(json)) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  const { message, names } = readSaidError(value, 0);
  return { error: message !== "" || names.length > 0 ? value : undefined };
}

function titleOf(page: string): string | undefined {
  for (const [, title, heading] of page.matchAll(TITLE)) {
    const words = (title ?? heading ?? "").replace(/\s+/g, " ").trim();
    if (words !== "") return words;
  }
  return undefined;
}
