// This module is browser compatible.
import {
  fullInstructions,
  inputItems,
  type Prompt,
  type RequestFacts,
  type Tool,
} from "../../prompt.ts";
import { type Fields, hasContent, isFields, textOf } from "../event_data.ts";
import { ReasoningDetails } from "./reasoning_details.ts";

/** What goes after a provider's `baseUrl`. */
export const chatPath = "/chat/completions";

/**
 * The body of a request to the Chat Completions API.
 *
 * The conversation is translated from the items of the Responses API. Where Chat
 * has no place for something, it is left out: items that the provider of Responses
 * runs or keeps itself, reasoning but for its `reasoning_details`, tools that are
 * not functions, images within the output of a function, and `previousResponseId`,
 * `store`, `include` and `background`.
 *
 * @param facts What the body is made from.
 * @param options Whether the usage is asked for: not every server knows how.
 * @returns The body.
 */
export function chatBody(
  { model, prompt, reasoning }: RequestFacts,
  { includeUsage }: { includeUsage: boolean },
): Record<string, unknown> {
  const tools = toolsOf(prompt);
  const effort = reasoning?.effort;
  const format = isFields(prompt.text?.format)
    ? responseFormat(prompt.text.format)
    : undefined;
  const verbosity = prompt.text?.verbosity;
  return {
    model,
    messages: messagesOf(prompt),
    stream: true,
    ...(includeUsage ? { stream_options: { include_usage: true } } : {}),
    ...(tools.length > 0 ? { tools } : {}),
    ...(effort && effort !== "none" ? { reasoning_effort: effort } : {}),
    ...(format ? { response_format: format } : {}),
    ...(verbosity == null ? {} : { verbosity }),
    ...prompt.extra,
  };
}

function toolsOf({ tools = [] }: Prompt): Fields[] {
  return tools.filter(({ type }) => type === "function").map(chatTool);
}

function chatTool(tool: Tool): Fields {
  if (isFields(tool.function)) return tool; // is one already
  const { type, ...definition } = tool;
  return { type, function: definition };
}

function responseFormat(format: Fields): Fields | undefined {
  if (format.type === "text") return undefined; // is the default
  if (format.type !== "json_schema" || isFields(format.json_schema)) {
    return format;
  }
  const { type, ...schema } = format;
  return { type, json_schema: schema };
}

/** The fields of a call that are not its own on the wire of Chat. */
const NOT_OF_CHAT: ReadonlySet<string> = new Set([
  "type",
  "id",
  "call_id",
  "name",
  "arguments",
  "input",
  "status",
]);

function messagesOf(prompt: Prompt): Fields[] {
  const conversation = new Conversation();
  const instructions = fullInstructions(prompt);
  if (instructions !== undefined) {
    conversation.say({ role: "system", content: instructions });
  }
  for (const item of inputItems(prompt)) conversation.add(item);
  return conversation.messages;
}

/**
 * What the model said in one go.
 *
 * The reference sends a message for each call. OpenAI refuses that for calls that
 * were made at once: each answer must follow the message with its call. So the
 * items of one answer become one message again.
 */
interface Turn {
  /** What is sent for it. */
  readonly message: Record<string, unknown>;
  readonly calls: Fields[];
  readonly details: ReasoningDetails;
  /** Whether the last item was a message: one that follows at once is another turn's. */
  isAfterMessage: boolean;
}

class Conversation {
  readonly messages: Fields[] = [];
  #turn: Turn | undefined;

  say(message: Fields): void {
    this.#turn = undefined;
    this.messages.push(message);
  }

  add(item: Fields): void {
    switch (item.type ?? "message") {
      case "message":
        if (item.role === "assistant") this.#addAnswer(item);
        else this.say({ role: item.role, content: contentOf(item.content) });
        break;
      case "reasoning":
        this.#addDetails(item);
        break;
      case "function_call":
        this.#addCall(item, {
          id: item.call_id,
          type: "function",
          function: { name: item.name, arguments: item.arguments },
        });
        break;
      case "custom_tool_call":
        this.#addCall(item, {
          id: item.call_id,
          type: "custom",
          custom: { name: item.name, input: item.input },
        });
        break;
      case "local_shell_call":
        // As the reference has it. No server but its own takes it.
        this.#addCall({}, {
          id: item.id ?? item.call_id ?? "",
          type: "local_shell_call",
          status: item.status,
          action: item.action,
        });
        break;
      case "function_call_output":
      case "custom_tool_call_output":
        this.say({
          role: "tool",
          tool_call_id: item.call_id,
          content: plainText(item.output, "text"),
        });
        break;
      default:
        if (this.#turn) this.#turn.isAfterMessage = false;
    }
  }

  #addAnswer(item: Fields): void {
    if (this.#turn?.isAfterMessage) this.#turn = undefined;
    const turn = this.#say();
    const { message } = turn;
    const text = plainText(item.content, "text");
    const refusal = plainText(item.content, "refusal");
    message.content = textOf(message.content) + text;
    if (refusal !== "") message.refusal = textOf(message.refusal) + refusal;
    if (item.reasoning_details !== undefined) this.#addDetails(item);
    turn.isAfterMessage = true;
  }

  #addCall(item: Fields, call: Record<string, unknown>): void {
    const turn = this.#say();
    for (const field of Object.keys(item)) {
      if (!NOT_OF_CHAT.has(field)) call[field] = item[field];
    }
    turn.calls.push(call);
    turn.message.tool_calls = turn.calls;
    turn.message.content ||= null;
    turn.isAfterMessage = false;
  }

  #addDetails(item: Fields): void {
    const pieces = item.reasoning_details;
    if (this.#turn) this.#turn.isAfterMessage = false;
    if (!Array.isArray(pieces) || !hasContent(pieces)) return;
    const turn = this.#say();
    turn.details.add(pieces);
    turn.message.reasoning_details = turn.details.list;
  }

  /** The model's turn: the one under way, or a new one. */
  #say(): Turn {
    if (this.#turn) return this.#turn;
    const message: Record<string, unknown> = { role: "assistant", content: "" };
    this.say(message);
    return this.#turn = {
      message,
      calls: [],
      details: new ReasoningDetails(),
      isAfterMessage: false,
    };
  }
}

/** The text of content, or what it says in refusal. */
function plainText(content: unknown, kind: "text" | "refusal"): string {
  if (!Array.isArray(content)) return kind === "text" ? textOf(content) : "";
  let text = "";
  // Array.isArray makes it any[].
  for (const part of content as readonly unknown[]) {
    if (isFields(part) && (part.type === "refusal") === (kind === "refusal")) {
      text += textOf(part[kind]);
    }
  }
  return text;
}

/** The content of a message that is not the model's: text, unless there is more. */
function contentOf(content: unknown): string | Fields[] {
  if (!Array.isArray(content)) return textOf(content);
  // Array.isArray makes it any[].
  const parts = (content as readonly unknown[]).filter(isFields).map(chatPart);
  return parts.every(({ type }) => type === "text")
    ? plainText(content, "text")
    : parts;
}

/** The reference drops images. What Chat may not know is for its server to refuse. */
function chatPart(part: Fields): Fields {
  switch (part.type) {
    case "input_text":
    case "output_text":
      return { type: "text", text: part.text };
    case "input_image": {
      const { image_url: url, detail } = part;
      if (typeof url !== "string") return part;
      return {
        type: "image_url",
        image_url: detail == null ? { url } : { url, detail },
      };
    }
    case "input_file": {
      const { type: _, ...file } = part;
      return { type: "file", file };
    }
    default:
      return part;
  }
}
