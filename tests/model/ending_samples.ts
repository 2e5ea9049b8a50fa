/**
 * The streams of servers in the endings table, and the events expected of them.
 *
 * @module
 */
import type { CompletedEvent, WireApi } from "../../src/model/mod.ts";

/** The streams of a server of the Responses API. */

/** The events, numbered, as OpenAI frames them. */
export function wire(
  ...events: { readonly type: string; readonly [field: string]: unknown }[]
): string[] {
  return events.map((event, sequence_number) =>
    `event: ${event.type}\ndata: ${
      JSON.stringify({ ...event, sequence_number })
    }\n\n`
  );
}

/** A response, in this state. */
export const response = (status: string, fields: object = {}) => ({
  id: "resp_1",
  object: "response",
  created_at: 1_778_037_177,
  model: "gpt-x",
  status,
  error: null,
  incomplete_details: null,
  output: [],
  usage: null,
  ...fields,
});

export const CREATED = {
  type: "response.created",
  response: response("in_progress"),
};

const message = (status: string, content: unknown[]) => ({
  id: "msg_1",
  type: "message",
  status,
  role: "assistant",
  content,
});

const ADDED = {
  type: "response.output_item.added",
  output_index: 0,
  item: message("in_progress", []),
};

const textDelta = (delta: string) => ({
  type: "response.output_text.delta",
  item_id: "msg_1",
  output_index: 0,
  content_index: 0,
  delta,
  logprobs: [],
});

export const itemDone = (text: string, status = "completed") => ({
  type: "response.output_item.done",
  output_index: 0,
  item: message(status, [{ type: "output_text", text, annotations: [] }]),
});

export const USAGE = {
  input_tokens: 5,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 2,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 7,
};

export const COMPLETED = {
  type: "response.completed",
  response: response("completed", {
    output: [itemDone("Hello").item],
    usage: USAGE,
  }),
};

export const START = [CREATED, ADDED, textDelta("Hel")];
export const WHOLE = [...START, textDelta("lo"), itemDone("Hello")];

/** The events expected of those. */
export const SEEN_START = ["created resp_1 gpt-x", "added message", "text Hel"];
export const SEEN_WHOLE = [...SEEN_START, "text lo", "done message Hello"];
export const SEEN_USAGE = "usage 5+2=7";

export const READ_USAGE = {
  inputTokens: 5,
  cachedInputTokens: 0,
  outputTokens: 2,
  reasoningOutputTokens: 0,
  totalTokens: 7,
};

export const AT_LAST: CompletedEvent = {
  type: "completed",
  responseId: "resp_1",
  usage: READ_USAGE,
  sequenceNumber: 5,
};

/** The streams of a server of the Chat API. */

const chunk = (fields: object): string =>
  `data: ${
    JSON.stringify({
      id: "chat_1",
      object: "chat.completion.chunk",
      created: 1_754_688_908,
      model: "gpt-x",
      ...fields,
    })
  }\n\n`;

export const choice = (
  delta: object,
  finish_reason: string | null = null,
  fields: object = {},
): string =>
  chunk({
    choices: [{ index: 0, delta, logprobs: null, finish_reason }],
    ...fields,
  });

export const CHAT_USAGE = {
  prompt_tokens: 5,
  completion_tokens: 2,
  total_tokens: 7,
};
export const READ_CHAT_USAGE = {
  inputTokens: 5,
  outputTokens: 2,
  totalTokens: 7,
};

export const CHAT_START = [
  choice({ role: "assistant", content: "" }),
  choice({ content: "Hel" }),
];
export const CHAT_WHOLE = [...CHAT_START, choice({ content: "lo" })];
export const STOP = choice({}, "stop");
export const USAGE_CHUNK = chunk({ choices: [], usage: CHAT_USAGE });
export const DONE = "data: [DONE]\n\n";

export const CHAT_SEEN_START = [
  "created chat_1 gpt-x",
  "added message",
  "text Hel",
];
export const CHAT_SEEN_TEXT = [...CHAT_SEEN_START, "text lo"];
export const CHAT_SEEN_WHOLE = [...CHAT_SEEN_TEXT, "done message Hello"];

export const CHAT_AT_LAST: CompletedEvent = {
  type: "completed",
  responseId: "chat_1",
  usage: undefined,
};
export const CHAT_AT_LAST_WITH_USAGE = {
  ...CHAT_AT_LAST,
  usage: READ_CHAT_USAGE,
};
export const CHAT_SEEN_WITH_USAGE = [
  ...CHAT_SEEN_TEXT,
  SEEN_USAGE,
  "done message Hello",
];

/** The start of a call of a tool, and how it goes on. */
export const call = (args: string): string =>
  choice({
    tool_calls: [{
      index: 0,
      id: "call_1",
      type: "function",
      function: { name: "weather", arguments: args },
    }],
  });

export const cutOffCall = (args: string) => ({
  type: "function_call" as const,
  call_id: "call_1",
  name: "weather",
  arguments: args,
  status: "incomplete",
});

/** The same things in each wire API. */
export interface Dialect {
  readonly wire: WireApi;
  /** The first half of an answer. */
  readonly start: readonly string[];
  readonly seenStart: readonly string[];
  /** All of it, with its end. */
  readonly whole: readonly string[];
  readonly seenWhole: readonly string[];
  readonly last: CompletedEvent;
  readonly responseId: string;
}

export const DIALECTS: readonly Dialect[] = [
  {
    wire: "responses",
    start: wire(...START),
    seenStart: SEEN_START,
    whole: wire(...WHOLE, COMPLETED),
    seenWhole: [...SEEN_WHOLE, SEEN_USAGE],
    last: AT_LAST,
    responseId: "resp_1",
  },
  {
    wire: "chat",
    start: CHAT_START,
    seenStart: CHAT_SEEN_START,
    whole: [...CHAT_WHOLE, STOP, USAGE_CHUNK, DONE],
    seenWhole: CHAT_SEEN_WITH_USAGE,
    last: CHAT_AT_LAST_WITH_USAGE,
    responseId: "chat_1",
  },
];
