import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { LogEntry } from "../topics/log.ts";
import { jsonString } from "./text_pieces.ts";

/**
 * The size of each of the two generations of cached JSON, in UTF-16 code units. It
 * is enough for the last 1,000 events or so, which readers at the end of a log share.
 */
const GENERATION_SIZE = 256 * 1024;

/** The longest JSON that is remembered: one alone would take the place of all others. */
const MAX_REMEMBERED = 8 * GENERATION_SIZE;

/** The size of an event up to which its JSON is written in one piece, in bytes. */
const WHOLE = 16 * 1024;

/** The approximate cost of a cache entry besides the length of its JSON. */
const ENTRY_COST = 128;

let recent = new Map<LogEntry, string>();
let older = new Map<LogEntry, string>();
let recentSize = 0;

/**
 * Writes the fields of an event as members of a JSON object, without the braces
 * around them. A name of `message` and an empty id are left out.
 */
export function eventFields({ event, data, id }: ServerSentEvent): string {
  const name = event === "message" ? "" : `"event":${quoted(event)},`;
  const last = id === "" ? "" : `,"id":${quoted(id)}`;
  return `${name}"data":${quoted(data)}${last}`;
}

/**
 * Writes a string as JSON. To escape 16 MiB of control characters takes V8 3.5 s at
 * once, and 0.2 s in pieces of 16 Ki.
 */
function quoted(text: string): string {
  return text.length <= WHOLE
    ? JSON.stringify(text)
    : [...jsonString(text)].join("");
}

/** Writes an event as {@linkcode eventJson} does, in pieces that are small however long it is. */
export function* eventJsonPieces(entry: LogEntry): Generator<string, void> {
  if (entry.size <= WHOLE) return yield entryJson(entry);
  const { event, data, id } = entry.event;
  yield "{";
  if (event !== "message") {
    yield '"event":';
    yield* jsonString(event);
    yield ",";
  }
  yield '"data":';
  yield* jsonString(data);
  if (id !== "") {
    yield ',"id":';
    yield* jsonString(id);
  }
  yield "}";
}

/** Writes an event as JSON, `{event?, data, id?}` (PROTOCOL.md, section 2). */
export function eventJson(event: ServerSentEvent): string {
  return `{${eventFields(event)}}`;
}

/**
 * Writes an event of a log as {@linkcode eventJson} does. The JSON of recent
 * events is remembered: readers with windows share no frames, and would have each
 * event encoded for each of them.
 *
 * To keep the JSON of all events that are retained would double their memory.
 */
export function entryJson(entry: LogEntry): string {
  const known = recent.get(entry);
  if (known !== undefined) return known;
  const json = older.get(entry) ?? eventJson(entry.event);
  if (json.length > MAX_REMEMBERED) return json;
  recent.set(entry, json);
  recentSize += json.length + ENTRY_COST;
  if (recentSize > GENERATION_SIZE) {
    older = recent;
    recent = new Map();
    recentSize = 0;
  }
  return json;
}
