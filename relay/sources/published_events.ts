import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { issueText } from "../issue_text.ts";
import { PublishError } from "./publish_error.ts";

/** The most events of a body of JSON: it is added as a whole, and meanwhile nobody else has a turn. */
const MAX_EVENTS = 65_536;

/** The most names and values of an event: it has three of each, and JSON may repeat them. */
const MAX_STRINGS = 32;

/** The time that parsing may take before it yields to other work, in milliseconds. */
const SLICE = 5;

/** After how many events it is looked how long that was. */
const LOOK = 64;

const LINE_END = /\r\n?/g;

/** An event stream has no way to write a CR within data: subscribers of both doors get the same. */
const dataText = z.string().transform((text) => text.replace(LINE_END, "\n"));

const fieldText = z.string().regex(
  /^[^\r\n\0]*$/,
  "Expected text without CR, LF and NUL",
);

const publishedEvent = z.strictObject({
  event: fieldText.optional(),
  data: dataText,
  id: fieldText.optional(),
}).transform(({ event, data, id }): ServerSentEvent => ({
  event: event || "message",
  data,
  id: id ?? "",
}));

/**
 * Reads the event that a text is.
 *
 * @param text The data, with any line ends.
 */
export function eventOfText(text: string): ServerSentEvent {
  return { event: "message", data: dataText.parse(text), id: "" };
}

/**
 * Reads events that were parsed already, up to the first that is wrong.
 *
 * @param values One at least.
 * @throws {PublishError} If one is wrong.
 */
export function eventsOfValues(values: readonly unknown[]): ServerSentEvent[] {
  return values.map(eventOfValue);
}

/**
 * Reads the events of a body of JSON: one, or an array of them.
 *
 * They are parsed one by one. To parse 15 MiB of `{},{},...` at once takes seconds,
 * in which nobody else is served; here the first ends it, and those that are right
 * are read in slices of time.
 *
 * @param text The body.
 * @throws {PublishError} At the first event that is wrong, or one too many.
 */
export async function eventsOfJson(text: string): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  let start = performance.now();
  for (const [json, index] of elementsOf(text)) {
    if (events.length === MAX_EVENTS) {
      throw new PublishError(
        "body_too_large",
        `Expected at most ${MAX_EVENTS} events in a body of JSON: send more of them as an event stream`,
      );
    }
    events.push(eventOfValue(parse(json), index));
    if (events.length % LOOK > 0 || performance.now() - start < SLICE) continue;
    // A timer: with an immediate the loop would not look at its sockets.
    await setTimeout(1);
    start = performance.now();
  }
  return events;
}

function eventOfValue(value: unknown, index?: number): ServerSentEvent {
  const { data, error } = publishedEvent.safeParse(value);
  if (data) return data;
  throw invalidEvent(issueText(error), index);
}

function invalidEvent(problem: string, index?: number): PublishError {
  const place = index === undefined ? "" : `[${index}]: `;
  return new PublishError(
    "invalid_body",
    `Expected {event?, data, id?}, or an array of these: ${place}${problem}`,
  );
}

function notJson(cause?: unknown): PublishError {
  return new PublishError("invalid_body", "Expected a body of JSON", { cause });
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw notJson(cause);
  }
}

/** Finds the events of a body, as JSON, each with its index in the array, if there is one. */
function* elementsOf(
  text: string,
): Generator<readonly [json: string, index: number | undefined]> {
  let at = skipSpace(text, 0);
  const isArray = text[at] === "[";
  if (isArray) at = skipSpace(text, at + 1);
  if (isArray && text[at] === "]") throw invalidEvent("there is none");
  for (let index = 0;; index++) {
    const place = isArray ? index : undefined;
    const end = endOfObject(text, at, place);
    yield [text.slice(at, end), place];
    at = skipSpace(text, end);
    if (!isArray || text[at] !== ",") break;
    at = skipSpace(text, at + 1);
  }
  if (isArray && text[at] !== "]") throw notJson();
  if (skipSpace(text, isArray ? at + 1 : at) < text.length) throw notJson();
}

/** Returns where an object ends that has nothing nested in it. */
function endOfObject(text: string, start: number, index?: number): number {
  if (start >= text.length) throw notJson();
  if (text[start] !== "{") throw invalidEvent("expected an object", index);
  let strings = 0;
  for (let at = start + 1; at < text.length; at++) {
    switch (text[at]) {
      case '"':
        if (++strings > MAX_STRINGS) {
          throw invalidEvent("expected no other fields", index);
        }
        at = endOfString(text, at);
        break;
      case "{":
      case "[":
        throw invalidEvent("expected fields that are strings", index);
      case "}":
        return at + 1;
    }
  }
  throw notJson();
}

/** Returns where the closing quote of a string is. */
function endOfString(text: string, start: number): number {
  for (
    let quote = text.indexOf('"', start + 1);
    quote >= 0;
    quote = text.indexOf('"', quote + 1)
  ) {
    let escapes = 0;
    while (text[quote - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return quote;
  }
  throw notJson();
}

function skipSpace(text: string, from: number): number {
  let at = from;
  // The four that JSON has; beyond the end there is none.
  while (" \t\r\n".includes(text[at] ?? "-")) at++;
  return at;
}
