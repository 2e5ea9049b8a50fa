// This module is browser compatible.
import { type Fields, hasContent, isFields } from "../event_data.ts";
import type { WireDelta } from "../wire_delta.ts";

/** The texts of a delta of Chat; an empty one says nothing. */
const CHAT_TEXTS = [
  "content",
  "reasoning",
  "reasoning_content",
  "refusal",
] as const;

/**
 * The fields that a Chat delta may have beside its text: they say whose text it
 * is.
 */
const CHAT_FACTS: ReadonlySet<string> = new Set(["role", "channel"]);

/**
 * The fields that a fragment of a call may have: none that could begin another
 * call.
 */
const FRAGMENT_FACTS: ReadonlySet<string> = new Set(["index", "type"]);

/**
 * The fields that a choice may have: none besides its delta that adds to the
 * text, or ends it.
 */
const CHOICE_FIELDS: ReadonlySet<string> = new Set([
  "index",
  "delta",
  "logprobs",
  "seed",
  "content_filter_results",
]);

/** The field with the text of a delta: one of its own, or that of a call. */
type TextField = typeof CHAT_TEXTS[number] | "arguments";

/** A Chat chunk that {@linkcode WireDelta.rest} was made of. */
export interface ChatRest {
  created?: number;
  choices: [{
    delta: Record<string, unknown>;
    logprobs?: { content?: readonly unknown[] };
  }];
}

/**
 * Takes a chunk of Chat apart.
 *
 * @param name The event's name.
 * @param wire The event's data.
 * @returns `undefined` if it is no delta that merges.
 */
export function readChatDelta(
  name: string,
  wire: Fields,
): WireDelta | undefined {
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

/**
 * Puts the text of several deltas of one item into the chunk that takes their
 * place.
 *
 * @param chunk The first one's {@linkcode WireDelta.rest}, parsed; it is changed.
 * @param first The first delta.
 * @param text The text of all of them.
 * @param logprobs The log probabilities of all of them, if they have such.
 */
export function fillChatDelta(
  chunk: ChatRest,
  { field, created }: WireDelta,
  text: string,
  logprobs: readonly unknown[] | undefined,
): void {
  const [choice] = chunk.choices;
  if (created !== undefined) chunk.created = created;
  if (choice.logprobs && logprobs) choice.logprobs.content = logprobs;
  if (field === "arguments") {
    // `readFragment` has found both.
    const [fragment] = choice.delta.tool_calls as [
      { function: { arguments: string } },
    ];
    fragment.function.arguments = text;
  } else choice.delta[field] = text;
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
