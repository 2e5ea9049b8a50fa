import { z } from "zod";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { issueText } from "../issue_text.ts";
import {
  beforeEscape,
  endOfString,
  skipSpace,
  TEXT_STEP,
} from "../json_text.ts";
import { atOnce } from "../slices.ts";
import { PublishError } from "./publish_error.ts";

/** The most events of a body of JSON: it is added as a whole, and meanwhile nobody else has a turn. */
const MAX_EVENTS = 65_536;

/** The most names and values of an event: it has three of each, and JSON may repeat them. */
const MAX_STRINGS = 32;

/** The units that an event counts for, besides its own. */
const EVENT_COST = 256;

/** The part of a text that is looked through in a step for one character: that is quickly done. */
const LOOK = 8 * TEXT_STEP;

/** An event whose JSON is longer is parsed in steps. In UTF-16 code units. */
const LONG = 32 * 1024;

const CR = 13;
const LF = 10;

const LINE_END = /\r\n?/g;

/** Not as one expression for all of a text: that takes 40 ms for 16 MiB, this one. */
const NO_FIELD = /[\r\n\0]/;

const fieldText = z.string().refine(
  (text) => !NO_FIELD.test(text),
  "Expected text without CR, LF and NUL",
);

const publishedEvent = z.strictObject({
  event: fieldText.optional(),
  data: z.string(),
  id: fieldText.optional(),
});

/**
 * Reads the event that a text is.
 *
 * @param text The data, with any line ends.
 */
export function* eventOfText(
  text: string,
): Generator<void, ServerSentEvent> {
  return { event: "message", data: yield* withLineFeeds(text), id: "" };
}

/**
 * Reads events that were parsed already, up to the first that is wrong.
 *
 * @param values One at least.
 * @throws {PublishError} If one is wrong.
 */
export function eventsOfValues(values: readonly unknown[]): ServerSentEvent[] {
  return values.map((value, index) => atOnce(eventOfValue(value, index)));
}

/**
 * Reads the events of a body of JSON: one, or an array of them.
 *
 * They are parsed one by one, and a long one in pieces. To parse 15 MiB of
 * `{},{},...` at once takes seconds, in which nobody else is served; here the first
 * ends it, and those that are right are read in steps.
 *
 * @param text The body.
 * @throws {PublishError} At the first event that is wrong, or one too many.
 */
export function* eventsOfJson(
  text: string,
): Generator<void, ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  let at = yield* skipSpace(text, 0);
  const isArray = text[at] === "[";
  if (isArray) at = yield* skipSpace(text, at + 1);
  if (isArray && text[at] === "]") throw invalidEvent("there is none");
  let looked = 0;
  for (;;) {
    const index = isArray ? events.length : undefined;
    const end = yield* endOfObject(text, at, index);
    if (events.length === MAX_EVENTS) {
      throw new PublishError(
        "body_too_large",
        `Expected at most ${MAX_EVENTS} events in a body of JSON: send more of them as an event stream`,
      );
    }
    const value = end - at > LONG
      ? yield* longObject(text, at, index)
      : parse(text.slice(at, end));
    events.push(yield* eventOfValue(value, index));
    looked += end - at + EVENT_COST;
    if (looked >= TEXT_STEP) {
      yield;
      looked = 0;
    }
    at = yield* skipSpace(text, end);
    if (!isArray || text[at] !== ",") break;
    at = yield* skipSpace(text, at + 1);
  }
  if (isArray && text[at] !== "]") throw notJson();
  const end = yield* skipSpace(text, isArray ? at + 1 : at);
  if (end < text.length) throw notJson();
  return events;
}

function* eventOfValue(
  value: unknown,
  index?: number,
): Generator<void, ServerSentEvent> {
  const { data: fields, error } = publishedEvent.safeParse(value);
  if (!fields) throw invalidEvent(issueText(error), index);
  const { event, data, id = "" } = fields;
  return {
    event: event || "message",
    data: yield* withLineFeeds(data),
    id,
  };
}

/** An event stream has no way to write a CR within data: subscribers of both doors get the same. */
function* withLineFeeds(text: string): Generator<void, string> {
  if (text.length <= TEXT_STEP) {
    return text.includes("\r") ? text.replace(LINE_END, "\n") : text;
  }
  if (!(yield* hasCr(text))) return text;
  const pieces: string[] = [];
  for (let at = 0; at < text.length;) {
    let end = at + TEXT_STEP;
    if (text.charCodeAt(end - 1) === CR && text.charCodeAt(end) === LF) end++;
    pieces.push(text.slice(at, end).replace(LINE_END, "\n"));
    at = end;
    yield;
  }
  return pieces.join("");
}

function* hasCr(text: string): Generator<void, boolean> {
  for (let at = 0; at < text.length; at += LOOK) {
    if (text.slice(at, at + LOOK).includes("\r")) return true;
    yield;
  }
  return false;
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

/**
 * Returns where an object ends that has nothing nested in it.
 *
 * @param start Its start, if there is one.
 */
function* endOfObject(
  text: string,
  start: number,
  index?: number,
): Generator<void, number> {
  if (start >= text.length) throw notJson();
  if (text[start] !== "{") throw invalidEvent("expected an object", index);
  let strings = 0;
  for (let at = start + 1; at < text.length; at++) {
    switch (text[at]) {
      case '"':
        if (++strings > MAX_STRINGS) {
          throw invalidEvent("expected no other fields", index);
        }
        at = yield* quoteAfter(text, at);
        break;
      case "{":
      case "[":
        throw invalidEvent("expected fields that are strings", index);
      case "}":
        return at + 1;
    }
    if ((at - start) % TEXT_STEP === 0) yield;
  }
  throw notJson();
}

function* quoteAfter(text: string, start: number): Generator<void, number> {
  const quote = yield* endOfString(text, start);
  if (quote < 0) throw notJson();
  return quote;
}

/** Parses an object whose fields are strings, as `JSON.parse` does, in steps. */
function* longObject(
  text: string,
  start: number,
  index?: number,
): Generator<void, unknown> {
  const fields: [name: string, value: string][] = [];
  let at = yield* skipSpace(text, start + 1);
  for (;;) {
    if (text[at] !== '"') throw notJson();
    let end = yield* quoteAfter(text, at);
    const name = yield* stringOf(text, at, end);
    at = yield* skipSpace(text, end + 1);
    if (text[at] !== ":") throw notJson();
    at = yield* skipSpace(text, at + 1);
    if (text[at] !== '"') {
      throw invalidEvent("expected fields that are strings", index);
    }
    end = yield* quoteAfter(text, at);
    fields.push([name, yield* stringOf(text, at, end)]);
    at = yield* skipSpace(text, end + 1);
    if (text[at] === "}") return Object.fromEntries(fields);
    if (text[at] !== ",") throw notJson();
    at = yield* skipSpace(text, at + 1);
  }
}

/** Parses the string between two quotes. */
function* stringOf(
  text: string,
  start: number,
  end: number,
): Generator<void, string> {
  const pieces: string[] = [];
  for (let at = start + 1; at < end;) {
    const next = Math.min(at + TEXT_STEP, end);
    const cut = next < end ? beforeEscape(text, at, next) : end;
    const piece = parse(`"${text.slice(at, cut)}"`);
    if (typeof piece !== "string") throw notJson();
    pieces.push(piece);
    at = cut;
    yield;
  }
  return pieces.join("");
}
