import { isDeeper, isFields } from "../../src/model/wires/event_data.ts";

/**
 * The fields of a run's body that name something at the provider, by their names in
 * lower case, and the beginning of its path there: `responses/resp_1`.
 */
const COLLECTIONS: ReadonlyMap<string, string> = new Map([
  ["previous_response_id", "responses"],
  ["conversation", "conversations"],
  ["prompt", "prompts"],
  ["container", "containers"],
  ["container_id", "containers"],
  ["file_id", "files"],
  ["file_ids", "files"],
  ["vector_store_id", "vector_stores"],
  ["vector_store_ids", "vector_stores"],
]);

/** The beginnings of the paths of what a request may use at a provider. */
export const REFERENCED: ReadonlySet<string> = new Set(COLLECTIONS.values());

/** The fields that name something in every request; the others only in a run. */
const EVERYWHERE: ReadonlySet<string> = new Set([
  "previous_response_id",
  "conversation",
]);

/**
 * The fields whose contents are the caller's own: parameters of its tools, and notes.
 * A provider looks for nothing in them.
 */
const OPAQUE: ReadonlySet<string> = new Set([
  "arguments",
  "input_schema",
  "metadata",
  "parameters",
  "schema",
]);

/** The types of an item whose `input` is what a model has said to a tool. */
const TOOL_USE = /tool_use$/;

/** The deepest nesting that is looked through: schemas of tools have some tens of levels. */
const MAX_DEPTH = 500;

/**
 * One of the names, in the spellings of lenient parsers, which take names without quotes;
 * another spelling has an escape. The last two are words of many texts.
 */
const NAMES =
  /previous_response_id|conversation|file_id|vector_store_id|container_id|(?:container|prompt)["']?\s*[:\/]|\\[ux]/i;

/**
 * Returns what a request uses that its provider has kept before, as paths there:
 * `responses/resp_1`, `files/file_1`; `undefined` for a body that the relay cannot read
 * as its provider may.
 *
 * @param body The body of the request.
 * @param isRun Whether the request makes a run: it may name files and the like.
 */
export function referencesIn(
  body: Uint8Array,
  isRun: boolean,
): readonly string[] | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    // A NUL is in no JSON, and in all of UTF-16.
    if (!text.trimStart().startsWith("{") || text.includes("\0")) {
      return undefined;
    }
    // To parse 16 MiB takes a tenth of a second, in which nobody else is served.
    if (!NAMES.test(text)) return [];
    const paths: string[] = [];
    const value: unknown = JSON.parse(text);
    if (isDeeper(value, MAX_DEPTH)) return undefined;
    const names = namesIn(value, isRun, paths);
    // Of a name that is there twice, parsers take the first or the last.
    return names < countNames(text) ? undefined : paths;
  } catch {
    return undefined; // it is no JSON
  }
}

/** Collects the paths in a value; returns the number of the names in it. */
function namesIn(value: unknown, isRun: boolean, paths: string[]): number {
  if (Array.isArray(value)) {
    return value.reduce<number>(
      (count, one) => count + namesIn(one, isRun, paths),
      0,
    );
  }
  if (!isFields(value)) return 0;
  let count = 0;
  const isToolUse = TOOL_USE.test(String(value.type));
  for (const [name, field] of Object.entries(value)) {
    const key = name.toLowerCase();
    const collection = COLLECTIONS.get(key);
    if (collection !== undefined) count++;
    const isOwn = OPAQUE.has(key) || isToolUse && key === "input";
    if (collection !== undefined && (isRun || EVERYWHERE.has(key))) {
      const ids = key.endsWith("s") && Array.isArray(field) ? field : [field];
      for (const id of ids) {
        const named = nameOf(key, id);
        if (named !== undefined) paths.push(`${collection}/${named}`);
      }
    }
    count += namesIn(field, isRun, isOwn ? [] : paths);
  }
  return count;
}

/** Returns the id in a field: a text, or the `id` of an object. */
function nameOf(key: string, value: unknown): string | undefined {
  const id = isFields(value) ? value.id : value;
  // The prompt of a completion is a text, and that of a response an object.
  if (key === "prompt" && !isFields(value)) return undefined;
  return typeof id === "string" ? id : undefined;
}

/** Counts the names of a text of JSON, those too that `JSON.parse` drops. */
function countNames(text: string): number {
  let count = 0;
  for (let start = text.indexOf('"'); start >= 0;) {
    const end = endOfString(text, start);
    const isName = end - start < 200 &&
      /^\s*:/.test(text.slice(end + 1, end + 50));
    if (isName) {
      const name: unknown = JSON.parse(text.slice(start, end + 1));
      if (COLLECTIONS.has(String(name).toLowerCase())) count++;
    }
    start = text.indexOf('"', end + 1);
  }
  return count;
}

/** Returns where the closing quote of a string is, in a text of JSON. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1);;) {
    let escapes = 0;
    while (text[quote - 1 - escapes] === "\\") escapes++;
    if (escapes % 2 === 0) return quote;
    quote = text.indexOf('"', quote + 1);
  }
}
