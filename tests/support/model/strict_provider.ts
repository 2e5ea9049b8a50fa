/**
 * Providers that refuse what the real ones refuse, and answer with reasoning and
 * calls that have to come back as they went out.
 *
 * The rules are those of the providers' documentation and of the errors that
 * their users report (`field.md`, section 7: G8).
 *
 * @module
 */
import { sse } from "./scripted_model.ts";

type Fields = Record<string, unknown>;

/** The rules of a provider of Chat. */
export interface ChatRules {
  /** Fields of messages that it takes beside those of all. */
  readonly messageFields?: readonly string[];
  /** Fields of the body that it refuses, as some refuse what they do not know. */
  readonly refuses?: readonly string[];
  /** The field in which it reports reasoning. */
  readonly thinks:
    | "reasoning_content"
    | "reasoning"
    | "reasoning_details"
    | "parts"
    | "nothing";
  /**
   * The messages of the model that must, or must not, have `reasoning_content`.
   */
  readonly reasoningContent?:
    | "turn"
    | "all"
    | "calls"
    | "forbidden"
    | undefined;
  /** Whether the first call of a message must have the signature that it came with. */
  readonly signsCalls?: boolean;
}

/** Thrown where a provider refuses. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function demand(isRight: unknown, message: string, status = 400): void {
  if (!isRight) throw new Refusal(status, message);
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function fieldsOf(value: unknown): Fields {
  if (!isFields(value)) throw new Refusal(400, "not an object");
  return value;
}

function listOf(value: unknown): readonly Fields[] {
  if (!Array.isArray(value)) throw new Refusal(400, "not an array");
  return value.map(fieldsOf);
}

function demandKnown(
  fields: Fields,
  known: readonly string[],
  where: string,
): void {
  for (const field of Object.keys(fields)) {
    demand(known.includes(field), `Unknown parameter: '${where}.${field}'.`);
  }
}

/**
 * Whether a turn of the model is its last, in which it answers. In all others
 * it makes two calls.
 */
function isLast(turn: number, turns: number): boolean {
  return turn >= turns;
}

/** A provider's `fetch`, and what it was asked. */
export interface StrictProvider {
  readonly fetch: (
    input: string | URL | Request,
    init?: RequestInit,
  ) => Promise<Response>;
  /** The bodies of the requests that it has answered. */
  readonly accepted: Fields[];
  /** The reasons of its refusals. */
  readonly refusals: string[];
}

function provider(
  answer: (body: Fields, turn: number) => string,
): StrictProvider {
  const accepted: Fields[] = [];
  const refusals: string[] = [];
  return {
    accepted,
    refusals,
    async fetch(input, init) {
      const body = fieldsOf(await new Request(input, init).json());
      try {
        const stream = answer(body, accepted.length + 1);
        accepted.push(body);
        return new Response(stream, {
          headers: { "Content-Type": "text/event-stream" },
        });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        refusals.push(error.message);
        const { status, message } = error;
        return Response.json({ error: { message } }, { status });
      }
    },
  };
}

// The Responses API

const RESPONSES_BODY = [
  "model",
  "instructions",
  "input",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "reasoning",
  "store",
  "stream",
  "include",
  "text",
];

const ITEM_FIELDS: Readonly<Record<string, readonly string[]>> = {
  message: ["type", "role", "content", "id", "status"],
  reasoning: ["type", "id", "summary", "content", "encrypted_content"],
  function_call: ["type", "id", "call_id", "name", "arguments", "status"],
  function_call_output: ["type", "id", "call_id", "output", "status"],
};

/**
 * OpenAI's Responses API with `store: false`.
 *
 * @param turns In which turn the model answers.
 * @param reasons Whether the model reasons: others have no encrypted reasoning.
 * @returns The provider.
 */
export function strictResponses(
  turns: number,
  reasons = true,
): StrictProvider {
  return provider((body, turn) => {
    demandKnown(body, RESPONSES_BODY, "body");
    demand(body.stream === true && body.store === false, "stream, not stored");
    demandTools(body);
    const include: readonly unknown[] = Array.isArray(body.include)
      ? body.include
      : [];
    const isEncrypted = include.includes("reasoning.encrypted_content");
    demand(
      reasons || !isEncrypted,
      "Encrypted content is not supported with this model.",
    );
    demandItems(listOf(body.input));
    return responsesAnswer(turn, isLast(turn, turns), reasons, isEncrypted);
  });
}

function demandTools(body: Fields): void {
  const tools = body.tools === undefined ? undefined : listOf(body.tools);
  demand(tools === undefined || tools.length > 0, "[] is too short - 'tools'");
  demand(
    tools !== undefined ||
      body.tool_choice === undefined && body.parallel_tool_calls === undefined,
    "'tool_choice' is only allowed when 'tools' are specified.",
  );
}

function demandItems(items: readonly Fields[]): void {
  const pending = new Set<unknown>();
  for (const [index, item] of items.entries()) {
    const type = String(item.type ?? "message");
    demandKnown(item, ITEM_FIELDS[type] ?? [], `input[${index}]`);
    switch (type) {
      case "message":
        for (const part of listOf(item.content)) {
          demand(
            part.type ===
              (item.role === "assistant" ? "output_text" : "input_text"),
            `Invalid value: '${part.type}'.`,
          );
        }
        break;
      case "reasoning":
        demand(Array.isArray(item.summary), "Missing 'summary'.");
        demand(
          item.encrypted_content === `sealed:${String(item.id)}`,
          `Item with id '${item.id}' not found. Items are not persisted when \`store\` is set to false.`,
          404,
        );
        demand(
          items[index + 1]?.type === "function_call" ||
            items[index + 1]?.role === "assistant",
          `Item '${item.id}' of type 'reasoning' was provided without its required following item.`,
        );
        break;
      case "function_call":
        demand(
          ["call_id", "name", "arguments"].every((field) =>
            typeof item[field] === "string"
          ),
          `Missing required parameter: 'input[${index}]'.`,
        );
        demand(
          items[index - 1]?.type !== "function_call_output" ||
            turnOf(items[index - 1]) !== turnOf(item),
          "calls that were made at once must stay together",
        );
        pending.add(item.call_id);
        break;
      case "function_call_output":
        demand(
          pending.delete(item.call_id),
          `No tool call found for function call output with call_id ${item.call_id}.`,
        );
        demand(typeof item.output === "string", "Invalid type for 'output'.");
    }
  }
  demand(
    pending.size === 0,
    `No tool output found for function call ${[...pending].join()}.`,
  );
}

/** The turn of a call, or of its output: as `call_7a` has it. */
function turnOf(item: Fields | undefined): string {
  return String(item?.call_id).slice(0, -1);
}

function responsesAnswer(
  turn: number,
  isLast: boolean,
  reasons: boolean,
  isEncrypted: boolean,
): string {
  const id = `rs_${turn}`;
  const items: Fields[] = [];
  if (reasons) {
    items.push({
      id,
      type: "reasoning",
      summary: [],
      ...(isEncrypted ? { encrypted_content: `sealed:${id}` } : {}),
    });
  }
  if (isLast) {
    items.push({
      id: `msg_${turn}`,
      type: "message",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: "Done.", annotations: [] }],
    });
  } else {
    for (const name of ["a", "b"]) {
      items.push({
        id: `fc_${turn}${name}`,
        type: "function_call",
        status: "completed",
        call_id: `call_${turn}${name}`,
        name: "weather",
        arguments: `{"city":"${name}"}`,
      });
    }
  }
  const response = { id: `resp_${turn}`, model: "m" };
  return sse(
    { type: "response.created", response },
    ...items.flatMap((item, output_index) => [
      { type: "response.output_item.added", output_index, item },
      { type: "response.output_item.done", output_index, item },
    ]),
    {
      type: "response.completed",
      response: { ...response, status: "completed", output: items },
    },
  );
}

// Chat Completions

const CHAT_BODY = [
  "model",
  "messages",
  "stream",
  "stream_options",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "reasoning_effort",
  "response_format",
];

/**
 * A provider of Chat Completions.
 *
 * @param turns In which turn the model answers.
 * @param rules What it wants.
 * @returns The provider.
 */
export function strictChat(turns: number, rules: ChatRules): StrictProvider {
  return provider((body, turn) => {
    for (const field of rules.refuses ?? []) {
      demand(!(field in body), `Extra inputs are not permitted: ${field}`);
    }
    demandKnown(body, CHAT_BODY, "body");
    demand(body.stream === true, "stream");
    demandTools(body);
    demandMessages(listOf(body.messages), rules);
    return chatAnswer(turn, isLast(turn, turns), rules);
  });
}

function demandMessages(messages: readonly Fields[], rules: ChatRules): void {
  let pending: unknown[] = [];
  for (const [index, message] of messages.entries()) {
    const where = `messages[${index}]`;
    const { role } = message;
    demandKnown(message, [
      "role",
      "content",
      ...(role === "assistant"
        ? ["tool_calls", ...(rules.messageFields ?? [])]
        : []),
      ...(role === "tool" ? ["tool_call_id"] : []),
    ], where);
    if (role === "tool") {
      demand(typeof message.content === "string", `${where}: no text`);
      demand(
        pending.includes(message.tool_call_id),
        "messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
      );
      pending = pending.filter((id) => id !== message.tool_call_id);
      continue;
    }
    demand(
      pending.length === 0,
      `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id': ${pending.join()}`,
    );
    if (role !== "assistant") continue;
    const before = messages[index - 1];
    demand(
      before?.role !== "assistant",
      "calls that were made at once must stay in one message",
    );
    const calls = message.tool_calls === undefined
      ? []
      : listOf(message.tool_calls);
    demand(
      calls.length > 0 || typeof message.content === "string",
      `${where}: content or tool_calls must be set`,
    );
    pending = calls.map(({ id }) => id);
    demandReasoning(message, calls, rules);
  }
  demand(pending.length === 0, "calls without answers");
}

function demandReasoning(
  message: Fields,
  calls: readonly Fields[],
  { reasoningContent, thinks, signsCalls }: ChatRules,
): void {
  const isRequired = reasoningContent === "turn" ||
    reasoningContent === "all" ||
    reasoningContent === "calls" && calls.length > 0;
  demand(
    !isRequired || typeof message.reasoning_content === "string",
    "The `reasoning_content` in the thinking mode must be passed back to the API.",
  );
  demand(
    reasoningContent !== "forbidden" || !("reasoning_content" in message),
    "The reasoning_content field is not allowed in the input messages.",
  );
  if (thinks === "reasoning_details") {
    const [detail] = listOf(message.reasoning_details);
    demand(
      detail?.text === "Let me think." && detail.signature === "sealed",
      "Invalid `signature` in `thinking` block",
    );
  }
  if (!signsCalls || calls.length === 0) return;
  const google = fieldsOf(fieldsOf(calls[0]?.extra_content).google);
  demand(
    google.thought_signature === `sealed:${String(calls[0]?.id)}`,
    "Function call is missing a thought_signature in functionCall parts.",
  );
}

function chatAnswer(turn: number, isLast: boolean, rules: ChatRules): string {
  const chunk = (delta: Fields, finish_reason: string | null = null) => ({
    id: `chat_${turn}`,
    object: "chat.completion.chunk",
    model: "m",
    choices: [{ index: 0, delta, finish_reason }],
  });
  const call = (name: string, index: number) => {
    const id = `call_${turn}${name}`;
    return {
      index,
      id,
      type: "function",
      function: { name: "weather", arguments: `{"city":"${name}"}` },
      ...(rules.signsCalls && index === 0
        ? { extra_content: { google: { thought_signature: `sealed:${id}` } } }
        : {}),
    };
  };
  return sse(
    chunk({ role: "assistant", content: "" }),
    ...thoughts(rules).map((delta) => chunk(delta)),
    isLast
      ? chunk({ content: "Done." })
      : chunk({ tool_calls: [call("a", 0), call("b", 1)] }),
    chunk({}, isLast ? "stop" : "tool_calls"),
  ) + "data: [DONE]\n\n";
}

function thoughts({ thinks }: ChatRules): Fields[] {
  switch (thinks) {
    case "reasoning_content":
    case "reasoning":
      return [{ [thinks]: "Let me " }, { [thinks]: "think." }];
    case "reasoning_details": {
      const detail = { type: "reasoning.text", index: 0, format: "x" };
      return [
        { reasoning: "Let me ", [thinks]: [{ ...detail, text: "Let me " }] },
        { reasoning: "think.", [thinks]: [{ ...detail, text: "think." }] },
        { [thinks]: [{ ...detail, signature: "sealed" }] },
      ];
    }
    case "parts": {
      const thinking = [{ type: "text", text: "Let me think." }];
      return [{ content: [{ type: "thinking", thinking }] }];
    }
    case "nothing":
      return [];
  }
}
