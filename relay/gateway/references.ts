import { isFields } from "../../src/model/wires/event_data.ts";
import { endOfString, skipSpace } from "./json_steps.ts";
import { COLON, QUOTE } from "./json_bytes.ts";

/**
 * The fields of a run's body that name something at the provider, by their names in
 * lower case, and the beginning of its path there: `responses/resp_1`.
 */
export const COLLECTIONS: ReadonlyMap<string, string> = new Map([
  ["previous_response_id", "responses"],
  ["comparison_response_id", "responses"],
  ["previous_message_id", "messages"],
  ["conversation", "conversations"],
  ["prompt", "prompts"],
  ["container", "containers"],
  ["container_id", "containers"],
  ["file_id", "files"],
  ["file_ids", "files"],
  ["vector_store_id", "vector_stores"],
  ["vector_store_ids", "vector_stores"],
  ["skill_id", "skills"],
  ["tunnel_id", "tunnels"],
  ["voice", "audio/voices"],
]);

/** The beginnings of the paths of what a request may use at a provider. */
export const REFERENCED: ReadonlySet<string> = new Set(COLLECTIONS.values());

/** The fields that name something in every request; the others only in a run. */
const EVERYWHERE: ReadonlySet<string> = new Set([
  "previous_response_id",
  "previous_message_id",
  "conversation",
]);

/** The fields that name something only with an object that has an `id`: a text is itself. */
const WITH_ID: ReadonlySet<string> = new Set(["prompt", "voice"]);

/** The skills that Anthropic has for everybody: those of an account begin with `skill_`. */
const PUBLIC_SKILLS: ReadonlySet<string> = new Set([
  "docx",
  "pdf",
  "pptx",
  "xlsx",
]);

/**
 * The fields whose contents are the caller's own: parameters of its tools, and notes.
 * A provider looks for nothing in them. With `diagnostics`, Anthropic compares a request
 * with that of a message, and tells only whether the beginnings are the same.
 */
const OPAQUE: ReadonlySet<string> = new Set([
  "arguments",
  "diagnostics",
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
 * another spelling has an escape. The last three are words of many texts: what follows
 * them may be beyond the end of a piece.
 */
const NAMES =
  /(?:previous|comparison)_response_id|previous_message_id|conversation|(?:file|vector_store|container|skill|tunnel)_id|(?:container|prompt|voice)["']?\s*[:\/]|\\[ux]/i;

/** One of the words, whose colon may come with the next piece. */
const CUT_NAMES = /(?:container|prompt|voice)["']?\s*$/i;

/** The UTF-16 code units of the longest of these names. */
export const MAX_NAME = "comparison_response_id".length;

/** The work of a step: the values that are looked at. */
const STEP = 256;

/** The same for the items of a list, most of which are nothing to look at. */
const ITEMS = 8 * 1024;

/**
 * Whether a piece of a text may have one of the names in it. Pieces have to overlap by
 * {@linkcode MAX_NAME}.
 *
 * @param piece The piece.
 * @param isLast Whether nothing comes after it.
 */
export function mayRefer(piece: string, isLast: boolean): boolean {
  return NAMES.test(piece) || !isLast && CUT_NAMES.test(piece);
}

/**
 * Finds what a request uses that its provider has kept before, as paths there:
 * `responses/resp_1`, `files/file_1`.
 *
 * @param bytes The body of the request, which is JSON.
 * @param value The value of the body.
 * @param isRun Whether the request makes a run: it may name files and the like.
 * @returns The paths; `undefined` for a body that the relay cannot read as its provider
 * may.
 */
export function* referencesIn(
  bytes: Uint8Array,
  value: unknown,
  isRun: boolean,
): Generator<void, readonly string[] | undefined> {
  const paths: string[] = [];
  const names = yield* namesIn(value, isRun, paths);
  if (names === undefined) return undefined;
  // Of a name that is there twice, parsers take the first or the last.
  return names < (yield* countNames(bytes)) ? undefined : paths;
}

/**
 * Finds the same in the query of a request, which some servers read as fields of the
 * body: `?file_ids[]=file_1`.
 *
 * @param search The query, as it is written.
 * @param isRun Whether the request makes a run.
 */
export function referencesInQuery(
  search: string,
  isRun: boolean,
): readonly string[] {
  if (search === "") return [];
  const paths: string[] = [];
  for (const [written, id] of new URLSearchParams(search)) {
    // A name may lie in another field: `thread[previous_message_id]=msg_1`.
    const names = written.toLowerCase().split(/[[\]]+/);
    const at = names.findLastIndex((name) => COLLECTIONS.has(name));
    const { [at]: name = "", [at + 1]: within } = names;
    const collection = COLLECTIONS.get(name);
    if (collection === undefined || id === "") continue;
    if (names.slice(0, at).some((one) => OPAQUE.has(one))) continue;
    if (WITH_ID.has(name) && within !== "id") continue; // a text, as below
    if (PUBLIC_SKILLS.has(id) && name === "skill_id") continue;
    if (isRun || EVERYWHERE.has(name)) paths.push(`${collection}/${id}`);
  }
  return paths;
}

/** An object or an array that is to be looked through. */
interface Looked {
  readonly value: object;
  readonly depth: number;
  /** Whether it is the caller's own. */
  readonly isOwn: boolean;
}

/**
 * Collects the paths in a value.
 *
 * @returns The number of the names in it; `undefined` if it is nested too deeply.
 */
function* namesIn(
  body: unknown,
  isRun: boolean,
  paths: string[],
): Generator<void, number | undefined> {
  let count = 0;
  let worked = 0;
  const values: Looked[] = [];
  const add = (value: unknown, depth: number, isOwn: boolean): void => {
    if (typeof value !== "object" || value === null) return;
    values.push({ value, depth, isOwn });
  };
  add(body, 1, false);
  for (let next; (next = values.pop());) {
    const { value, depth, isOwn } = next;
    if (depth > MAX_DEPTH) return undefined;
    if (++worked % STEP === 0) yield;
    if (Array.isArray(value)) {
      let looked = 0;
      for (const one of value) {
        add(one, depth + 1, isOwn);
        if (++looked % ITEMS === 0) yield;
      }
      continue;
    }
    if (!isFields(value)) continue;
    // The body itself is none, whatever it says.
    const isToolUse = depth > 1 && typeof value.type === "string" &&
      TOOL_USE.test(value.type);
    for (const [name, field] of Object.entries(value)) {
      const key = name.toLowerCase();
      const collection = COLLECTIONS.get(key);
      if (collection !== undefined) {
        count++;
        if (!isOwn && (isRun || EVERYWHERE.has(key))) {
          for (const id of Array.isArray(field) ? field : [field]) {
            const named = nameOf(key, id);
            if (named !== undefined) paths.push(`${collection}/${named}`);
          }
        }
      }
      const hides = OPAQUE.has(key) || isToolUse && key === "input";
      add(field, depth + 1, isOwn || hides);
      if (++worked % STEP === 0) yield;
    }
  }
  return count;
}

/** Returns the id in a field: a text, or the `id` of an object. */
function nameOf(key: string, value: unknown): string | undefined {
  const id = isFields(value) ? value.id : value;
  // The prompt of a completion is a text, and that of a response an object.
  if (WITH_ID.has(key) && !isFields(value)) return undefined;
  if (typeof id !== "string") return undefined;
  return key === "skill_id" && PUBLIC_SKILLS.has(id) ? undefined : id;
}

/** The longest name that may stand for one of these, in UTF-16 code units: all of it are escapes. */
const MAX_WRITTEN = MAX_NAME * "\\u0000".length;

/** Counts the names in JSON, those too that `JSON.parse` drops. */
function* countNames(bytes: Uint8Array): Generator<void, number> {
  const decoder = new TextDecoder();
  let count = 0;
  let worked = 0;
  for (let start = bytes.indexOf(QUOTE); start >= 0;) {
    const end = yield* endOfString(bytes, start);
    if (end - start <= MAX_WRITTEN + 1) {
      const colon = yield* skipSpace(bytes, end + 1);
      if (bytes[colon] === COLON) {
        const json = decoder.decode(bytes.subarray(start, end + 1));
        const name: unknown = JSON.parse(json);
        if (COLLECTIONS.has(String(name).toLowerCase())) count++;
      }
    }
    if (++worked % STEP === 0) yield;
    start = bytes.indexOf(QUOTE, end + 1);
  }
  return count;
}
