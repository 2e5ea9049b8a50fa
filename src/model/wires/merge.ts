// This module is browser compatible.

/**
 * Makes one delta of several, before anything has decoded them: whoever reads
 * the events of a response puts the same response together, with fewer events.
 *
 * What merges is what only ever adds text to one place. Everything else in two
 * events has to be the same, so that it does not matter whether it is told once or
 * twice; what could add up as well, such as `reasoning_details`, has to be empty.
 *
 * @module
 */

import { type Fields, hasContent, isFields } from "./event_data.ts";

/** The deltas of the Responses API whose text is in `delta`. */
const RESPONSES_DELTAS: ReadonlySet<string> = new Set([
  "response.output_text.delta",
  "response.refusal.delta",
  "response.reasoning_text.delta",
  "response.reasoning_summary_text.delta",
  "response.function_call_arguments.delta",
  "response.custom_tool_call_input.delta",
  "response.mcp_call_arguments.delta",
]);

/** The texts of a delta of Chat; an empty one says nothing. */
const CHAT_TEXTS = [
  "content",
  "reasoning",
  "reasoning_content",
  "refusal",
] as const;

/** What a delta of Chat may have beside its text: it says whose it is. */
const CHAT_FACTS: ReadonlySet<string> = new Set(["role", "channel"]);

/** What a fragment of a call may have: nothing that could begin another call. */
const FRAGMENT_FACTS: ReadonlySet<string> = new Set(["index", "type"]);

/** What a choice may have: besides its delta nothing that adds up, or ends it. */
const CHOICE_FIELDS: ReadonlySet<string> = new Set([
  "index",
  "delta",
  "logprobs",
  "seed",
  "content_filter_results",
]);

/** Where the text is: in a field of a Responses event, or of a Chat delta, or in a call. */
type TextField = "delta" | typeof CHAT_TEXTS[number] | "arguments";

/** An event of the wire that adds text to one place, taken apart. */
export interface WireDelta {
  /** The event's name. */
  readonly name: string;
  /** Which field has the text. */
  readonly field: TextField;
  /** The event's data as JSON without what may differ between deltas that merge. */
  readonly rest: string;
  /** What it adds. */
  readonly text: string;
  /** The number of the event, where it has one. */
  readonly sequenceNumber?: number;
  /** When the chunk was made, where it says so. */
  readonly created?: number;
  /** The log probabilities of its tokens, where it has such. */
  readonly logprobs?: readonly unknown[];
}

/** A Responses event that {@linkcode WireDelta.rest} was made of. */
interface ResponsesRest {
  delta: string;
  sequence_number?: number;
  logprobs?: readonly unknown[];
}

/** A Chat chunk that {@linkcode WireDelta.rest} was made of. */
interface ChatRest {
  created?: number;
  choices: [{
    delta: Record<string, unknown>;
    logprobs?: { content?: readonly unknown[] };
  }];
}

/**
 * Takes an event apart.
 *
 * @param name The event's name.
 * @param data The event's data.
 * @returns `undefined` if it is no delta, or one that has to stay as it is.
 */
export function readDelta(name: string, data: string): WireDelta | undefined {
  // Without parsing it, as most of what is not of a model can be told by this.
  if (!data.includes('"delta"') || name === "error") return undefined;
  let wire: unknown;
  try {
    wire = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (!isFields(wire) || wire.error != null || wire.object === "error") {
    return undefined;
  }
  return "choices" in wire
    ? readChunk(name, wire)
    : readResponsesDelta(name, wire);
}

/**
 * Whether a delta can be merged with one that comes right after it.
 *
 * @param a The one.
 * @param b The other.
 * @returns Whether they add to the same place, and are the same in all else.
 */
export function isSameItem(a: WireDelta, b: WireDelta): boolean {
  return a.field === b.field && a.rest === b.rest && a.name === b.name;
}

/**
 * Puts adjacent deltas together.
 *
 * @param deltas One at least, all of the same item.
 * @returns The data of the event that takes their place: the first's, with the
 * text and the log probabilities of all of them, and the last's number.
 * @throws {RangeError} If there is none.
 */
export function mergeDeltas(deltas: readonly WireDelta[]): string {
  const first = deltas[0];
  const last = deltas.at(-1);
  if (!first || !last) throw new RangeError("There is nothing to merge");
  const text = deltas.map((delta) => delta.text).join("");
  const logprobs = first.logprobs &&
    deltas.flatMap((delta) => delta.logprobs ?? []);
  // It was written in `readResponsesDelta` or `readChunk`.
  const rest = JSON.parse(first.rest) as ResponsesRest | ChatRest;
  if ("choices" in rest) {
    const [choice] = rest.choices;
    if (first.created !== undefined) rest.created = first.created;
    if (choice.logprobs && logprobs) choice.logprobs.content = logprobs;
    if (first.field === "arguments") {
      // `readFragment` has found both.
      const [fragment] = choice.delta.tool_calls as [
        { function: { arguments: string } },
      ];
      fragment.function.arguments = text;
    } else choice.delta[first.field] = text;
  } else {
    rest.delta = text;
    if (logprobs) rest.logprobs = logprobs;
    if (last.sequenceNumber !== undefined) {
      rest.sequence_number = last.sequenceNumber;
    }
  }
  return JSON.stringify(rest);
}

function readResponsesDelta(name: string, wire: Fields): WireDelta | undefined {
  const { type = name, delta, sequence_number: number, logprobs } = wire;
  if (typeof type !== "string" || !RESPONSES_DELTAS.has(type)) return undefined;
  if (typeof delta !== "string") return undefined;
  const isNumbered = typeof number === "number";
  const hasLogprobs = Array.isArray(logprobs);
  const rest: Fields = {
    ...wire,
    delta: "",
    ...(isNumbered && { sequence_number: 0 }),
    ...(hasLogprobs && { logprobs: [] }),
    obfuscation: undefined,
  };
  return {
    name,
    field: "delta",
    rest: JSON.stringify(rest),
    text: delta,
    ...(isNumbered && { sequenceNumber: number }),
    ...(hasLogprobs && { logprobs }),
  };
}

function readChunk(name: string, wire: Fields): WireDelta | undefined {
  const { choices, created } = wire;
  // To a decoder of Responses it could be one of its events.
  if ("type" in wire || "delta" in wire) return undefined;
  if (wire.usage != null || wire.x_groq != null) return undefined;
  if (!Array.isArray(choices) || choices.length !== 1) return undefined;
  const choice: unknown = choices[0];
  if (!isFields(choice)) return undefined;
  for (const field in choice) {
    if (!CHOICE_FIELDS.has(field) && hasContent(choice[field])) {
      return undefined;
    }
  }
  if (!isFields(choice.delta)) return undefined;
  const { field, text, delta } = readText(choice.delta) ?? {};
  if (field === undefined || text === undefined) return undefined;

  const { logprobs } = choice;
  let tokens: readonly unknown[] | undefined;
  if (isFields(logprobs)) {
    for (const field in logprobs) {
      if (field !== "content" && hasContent(logprobs[field])) return undefined;
    }
    if (Array.isArray(logprobs.content)) tokens = logprobs.content;
    else if (hasContent(logprobs.content)) return undefined;
  } else if (hasContent(logprobs)) return undefined;

  const isTimed = typeof created === "number";
  const rest: Fields = {
    ...wire,
    ...(isTimed && { created: 0 }),
    choices: [{
      ...choice,
      delta,
      ...(tokens && isFields(logprobs) && {
        logprobs: { ...logprobs, content: [] },
      }),
    }],
    obfuscation: undefined,
    p: undefined,
  };
  return {
    name,
    field,
    rest: JSON.stringify(rest),
    text,
    ...(isTimed && { created }),
    ...(tokens && { logprobs: tokens }),
  };
}

/** The text of a delta, and the delta without it. */
interface TextOfDelta {
  readonly field: TextField;
  readonly text: string;
  readonly delta: Fields;
}

function readText(delta: Fields): TextOfDelta | undefined {
  let found: typeof CHAT_TEXTS[number] | undefined;
  let texts = 0;
  let empty = 0;
  for (const field of CHAT_TEXTS) {
    const text = delta[field];
    if (typeof text !== "string") {
      if (text != null) return undefined;
    } else if (text !== "") {
      texts++;
      found = field;
    } else {
      empty++;
      if (texts === 0) found = field;
    }
  }
  const { tool_calls: calls } = delta;
  const hasCalls = hasContent(calls);
  for (const field in delta) {
    if (
      !CHAT_FACTS.has(field) && !isText(field) && field !== "tool_calls" &&
      hasContent(delta[field])
    ) return undefined;
  }
  if (hasCalls) return texts > 0 ? undefined : readFragment(delta, calls);
  // Of several that are empty none tells what comes next.
  if (found === undefined || texts > 1 || texts === 0 && empty > 1) {
    return undefined;
  }
  const text = delta[found];
  if (typeof text !== "string") return undefined;
  return { field: found, text, delta: { ...delta, [found]: "" } };
}

function isText(field: string): boolean {
  // A list of literals does not say that it may have any string.
  return (CHAT_TEXTS as readonly string[]).includes(field);
}

/** A fragment of a call that has nothing but arguments: a name or an id may begin another. */
function readFragment(
  delta: Fields,
  calls: unknown,
): TextOfDelta | undefined {
  if (!Array.isArray(calls) || calls.length !== 1) return undefined;
  const fragment: unknown = calls[0];
  if (!isFields(fragment)) return undefined;
  const { function: body } = fragment;
  if (!isFields(body) || typeof body.arguments !== "string") return undefined;
  for (const field in fragment) {
    if (
      field !== "function" && !FRAGMENT_FACTS.has(field) &&
      hasContent(fragment[field])
    ) return undefined;
  }
  for (const field in body) {
    if (field !== "arguments" && hasContent(body[field])) return undefined;
  }
  const rest = { ...fragment, function: { ...body, arguments: "" } };
  return {
    field: "arguments",
    text: body.arguments,
    delta: { ...delta, tool_calls: [rest] },
  };
}
