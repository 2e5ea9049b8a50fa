/**
 * The sum of a recorded response, read in the simplest way: the whole text at
 * once, without anything of `src/`.
 *
 * @module
 */

/** A call of a function. */
export interface FoldedCall {
  name: string;
  arguments: string;
  /** `undefined` if the provider gives none. */
  id: string | undefined;
}

/** The sum of a response. */
export interface Folded {
  text: string;
  /** The reasoning, and its summaries. */
  reasoning: string;
  /** The calls that are whole, in order. */
  calls: FoldedCall[];
  /** `completed`, `incomplete: REASON`, `error: CODE: MESSAGE` or `truncated`. */
  ending: string;
  /** In, cached, out, reasoning, total. */
  usage: (number | undefined)[] | undefined;
  id: string;
  /** The number of events that have data. */
  events: number;
}

/** A block of a stream: its name, and its data as it was sent. */
export type Block = [name: string, data: string];

/** Splits a stream into its blocks that have data. */
export function split(bytes: Uint8Array): Block[] {
  const text = new TextDecoder().decode(bytes).replaceAll("\r\n", "\n")
    .replaceAll("\r", "\n");
  const blocks: Block[] = [];
  for (const block of text.split("\n\n").slice(0, -1)) {
    const lines = block.split("\n");
    const data = lines.filter((line) => line.startsWith("data:"))
      .map((line) => line.slice("data:".length).replace(/^ /, "")).join("\n");
    const name = lines.findLast((line) => line.startsWith("event:"))
      ?.slice("event:".length).trim();
    if (data !== "") blocks.push([name ?? "message", data]);
  }
  return blocks;
}

/**
 * Returns the value at a path in JSON; `undefined` if the path leads nowhere.
 */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    // Whatever it is, its fields are as unknown as it was.
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** A text; `""` for anything else. */
export function str(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A list; an empty one for anything else. */
export function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function num(...values: unknown[]): number | undefined {
  return values.find((value) => typeof value === "number");
}

function foldUsage(usage: unknown): Folded["usage"] {
  const input = num(at(usage, "input_tokens"), at(usage, "prompt_tokens"));
  const output = num(
    at(usage, "output_tokens"),
    at(usage, "completion_tokens"),
  );
  if (input === undefined || output === undefined) return undefined;
  return [
    input,
    num(
      at(usage, "input_tokens_details", "cached_tokens"),
      at(usage, "prompt_tokens_details", "cached_tokens"),
      at(usage, "prompt_cache_hit_tokens"),
    ),
    output,
    num(
      at(usage, "output_tokens_details", "reasoning_tokens"),
      at(usage, "completion_tokens_details", "reasoning_tokens"),
    ),
    num(at(usage, "total_tokens"), input + output),
  ];
}

function errorEnding(error: unknown): string {
  const code = at(error, "code") ?? at(error, "type");
  return `error: ${code}: ${str(at(error, "message"))}`;
}

/** Returns the sum before the first event. */
function nothingOf(events: number): Folded {
  return {
    text: "",
    reasoning: "",
    calls: [],
    ending: "truncated",
    usage: undefined,
    id: "",
    events,
  };
}

/** Folds a recording of the Responses API. */
export function foldResponses(bytes: Uint8Array): Folded {
  const blocks = split(bytes);
  const folded = nothingOf(blocks.length);
  let final: unknown;
  for (const [, data] of blocks) {
    if (data === "[DONE]") continue;
    const event: unknown = JSON.parse(data);
    const type = str(at(event, "type"));
    const response = at(event, "response");
    folded.id = str(at(response, "id")) || folded.id;
    if (type === "response.output_text.delta") {
      folded.text += str(at(event, "delta"));
    }
    if (/^response\.reasoning_(summary_)?text\.delta$/.test(type)) {
      folded.reasoning += str(at(event, "delta"));
    }
    if (type === "response.completed") folded.ending = "completed";
    if (type === "response.incomplete") {
      const reason = at(response, "incomplete_details", "reason");
      folded.ending = `incomplete: ${reason}`;
    }
    if (type === "error") folded.ending = errorEnding(at(event, "error"));
    if (type === "response.failed" && !folded.ending.startsWith("error")) {
      folded.ending = errorEnding(at(response, "error"));
    }
    if (/^response\.(completed|incomplete|failed)$/.test(type)) {
      folded.usage = foldUsage(at(response, "usage"));
      final = response;
    }
  }
  // Calls from where the decoder never looks: what is told again at the end.
  for (const item of list(at(final, "output"))) {
    if (at(item, "type") !== "function_call") continue;
    folded.calls.push({
      name: str(at(item, "name")),
      arguments: str(at(item, "arguments")),
      id: str(at(item, "call_id")) || undefined,
    });
  }
  return folded;
}

const COMPLETE = ["stop", "tool_calls", "function_call"];

/** Folds a recording of Chat Completions. */
export function foldChat(bytes: Uint8Array): Folded {
  const blocks = split(bytes);
  const folded = nothingOf(blocks.length);
  let finish = "";
  let error: unknown;
  let choices = 0;
  let isDone = false;
  const calls = new Map<unknown, FoldedCall>();
  for (const [, data] of blocks) {
    if (data === "[DONE]") {
      isDone = true;
      continue;
    }
    const chunk: unknown = JSON.parse(data);
    folded.id ||= str(at(chunk, "id"));
    error ??= at(chunk, "error");
    folded.usage = foldUsage(
      at(chunk, "usage") ?? at(chunk, "x_groq", "usage"),
    ) ?? folded.usage;
    const choice = at(chunk, "choices", 0);
    if (choice === undefined) continue;
    choices++;
    finish = str(at(choice, "finish_reason")) || finish;
    const delta = at(choice, "delta");
    const content = at(delta, "content");
    folded.text += str(content);
    for (const part of list(content)) {
      if (at(part, "type") === "text") folded.text += str(at(part, "text"));
      for (const thought of list(at(part, "thinking"))) {
        folded.reasoning += str(at(thought, "text"));
      }
    }
    folded.reasoning += str(at(delta, "reasoning_content")) ||
      str(at(delta, "reasoning"));
    for (const piece of list(at(delta, "tool_calls"))) {
      const index = at(piece, "index");
      const call = calls.get(index) ??
        { name: "", arguments: "", id: undefined };
      calls.set(index, call);
      call.name ||= str(at(piece, "function", "name"));
      call.arguments += str(at(piece, "function", "arguments"));
      call.id ??= str(at(piece, "id")) || undefined;
    }
  }
  if (error !== undefined) folded.ending = errorEnding(error);
  else if (finish === "length") folded.ending = "incomplete: max_output_tokens";
  else if (COMPLETE.includes(finish)) folded.ending = "completed";
  else if (finish !== "") folded.ending = `incomplete: ${finish}`;
  else if (isDone && choices > 0) folded.ending = "completed";
  if (folded.ending === "completed") folded.calls = [...calls.values()];
  return folded;
}

/** The endings of the reasons to stop; any other is `incomplete`, for itself. */
const STOPS: Record<string, string> = {
  end_turn: "completed",
  stop_sequence: "completed",
  tool_use: "completed",
  max_tokens: "incomplete: max_output_tokens",
  refusal: "incomplete: content_filter",
};

/** Folds a recording of Anthropic's Messages API. */
export function foldMessages(bytes: Uint8Array): Folded {
  const blocks = split(bytes);
  const folded = nothingOf(blocks.length);
  let stop = "";
  const usage: Record<string, unknown> = {};
  const calls = new Map<unknown, FoldedCall>();
  for (const [, data] of blocks) {
    const event: unknown = JSON.parse(data);
    const message = at(event, "message");
    folded.id ||= str(at(message, "id"));
    for (const told of [at(message, "usage"), at(event, "usage")]) {
      for (const [name, value] of Object.entries(told ?? {})) {
        if (value !== null) usage[name] = value;
      }
    }
    const index = at(event, "index");
    const start = at(event, "content_block");
    folded.text += str(at(start, "text"));
    folded.reasoning += str(at(start, "thinking"));
    if (at(start, "type") === "tool_use") {
      calls.set(index, {
        name: str(at(start, "name")),
        arguments: "",
        id: str(at(start, "id")),
      });
    }
    const delta = at(event, "delta");
    folded.text += str(at(delta, "text"));
    folded.reasoning += str(at(delta, "thinking"));
    const call = calls.get(index);
    if (call !== undefined) call.arguments += str(at(delta, "partial_json"));
    stop = str(at(delta, "stop_reason")) || stop;
    if (at(event, "type") === "message_stop") {
      folded.ending = STOPS[stop] ?? `incomplete: ${stop}`;
    }
    if (at(event, "type") === "error") {
      folded.ending = errorEnding(at(event, "error"));
    }
  }
  folded.calls = [...calls.values()].map((call) => ({
    ...call,
    arguments: call.arguments || "{}",
  }));
  const count = (name: string): number => num(usage[name]) ?? 0;
  const cached = num(usage["cache_read_input_tokens"]);
  const input = count("input_tokens") + (cached ?? 0) +
    count("cache_creation_input_tokens");
  const output = count("output_tokens");
  folded.usage = [
    input,
    cached,
    output,
    num(at(usage["output_tokens_details"], "thinking_tokens")),
    input + output,
  ];
  return folded;
}
