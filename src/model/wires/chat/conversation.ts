// This module is browser compatible.
import { fullInstructions, inputItems, type Prompt } from "../../prompt.ts";
import { type Fields, hasContent, isFields, textOf } from "../event_data.ts";
import { refuse } from "../refusal.ts";
import type { ReasoningBack } from "../server_traits.ts";
import { CHAT, contentOf, outputOf, plainText, rest } from "./parts.ts";
import { ReasoningDetails } from "./reasoning_details.ts";

/** The fields of items that Chat has other places for, or that ask for nothing. */
const OF_MESSAGES: ReadonlySet<string> = new Set([
  "type",
  "role",
  "content",
  "id",
  "status",
  "phase",
  "tool_calls",
  "reasoning_details",
]);
const OF_CALLS: ReadonlySet<string> = new Set([
  "type",
  "id",
  "call_id",
  "name",
  "arguments",
  "input",
  "status",
]);
const OF_OUTPUTS: ReadonlySet<string> = new Set([
  "type",
  "id",
  "call_id",
  "output",
  "status",
]);
/**
 * Translates a conversation to the messages of Chat.
 *
 * @param prompt The prompt.
 * @param reasoningBack The messages that go back with their reasoning.
 * @returns The messages.
 * @throws {TypeError} If Chat has no place for something in it.
 */
export function messagesOf(
  prompt: Prompt,
  reasoningBack: ReasoningBack,
): Fields[] {
  const conversation = new Conversation();
  const instructions = fullInstructions(prompt);
  if (instructions !== undefined) {
    conversation.say({ role: "system", content: instructions });
  }
  for (const [index, item] of inputItems(prompt).entries()) {
    conversation.add(item, `prompt.input.${index}`);
  }
  conversation.sendReasoning(reasoningBack);
  return conversation.messages;
}

/**
 * One turn of the model.
 *
 * The reference sends a message for each call. OpenAI refuses that for calls that
 * were made at once: each answer must follow the message with its call. So the
 * items of one answer become one message again.
 */
interface Turn {
  /** The message that is sent for the turn. */
  readonly message: Record<string, unknown>;
  readonly calls: Fields[];
  readonly details: ReasoningDetails;
  /** The model's reasoning. */
  reasoning: string;
  /** The index of the user's message that it answers. */
  readonly question: number;
  /** Whether the last item was a message: one that follows at once is another turn's. */
  isAfterMessage: boolean;
}

class Conversation {
  readonly messages: Fields[] = [];
  readonly #turns: Turn[] = [];
  #turn: Turn | undefined;
  /** The reasoning of a message that is still to come. */
  #reasoning = "";
  #questions = 0;

  say(message: Fields): void {
    this.#turn = undefined;
    this.#reasoning = "";
    if (message.role === "user") this.#questions++;
    this.messages.push(message);
  }

  add(item: Fields, path: string): void {
    switch (item.type ?? "message") {
      case "message":
        if (item.role === "assistant") this.#addAnswer(item, path);
        else {
          this.say({
            role: item.role,
            content: contentOf(item.content, `${path}.content`),
            ...rest(item, OF_MESSAGES),
          });
        }
        break;
      case "reasoning":
        this.#addReasoning(item);
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
      case "local_shell_call_output":
        this.say({
          role: "tool",
          tool_call_id: item.call_id ?? item.id,
          content: outputOf(item.output, `${path}.output`),
          ...rest(item, OF_OUTPUTS),
        });
        break;
      default:
        refuse(CHAT, path, `an item of the type ${JSON.stringify(item.type)}`);
    }
  }

  /** Sends reasoning back, with the messages that a server wants to see it with. */
  sendReasoning(which: ReasoningBack): void {
    if (which === "none") return;
    const withCalls = new Set(
      this.#turns.filter(({ calls }) => calls.length > 0)
        .map(({ question }) => question),
    );
    for (const { message, calls, reasoning, question } of this.#turns) {
      const isWanted = which === "all" ||
        (which === "turn" ? withCalls.has(question) : calls.length > 0);
      if (isWanted && reasoning !== "") {
        message.reasoning_content ??= reasoning;
      }
    }
  }

  #addAnswer(item: Fields, path: string): void {
    if (this.#turn?.isAfterMessage) this.#turn = undefined;
    const turn = this.#say();
    const { message } = turn;
    const refusal = plainText(item.content, "refusal");
    const content = Array.isArray(item.content)
      ? contentOf(
        // Array.isArray makes it any[].
        (item.content as readonly unknown[]).filter((part) =>
          !isFields(part) ||
          part.type !== "refusal" && part.type !== "output_image"
        ),
        `${path}.content`,
      )
      : textOf(item.content);
    message.content = joined(message.content, content);
    if (refusal !== "") message.refusal = textOf(message.refusal) + refusal;
    const images = imagesIn(item.content);
    if (images.length > 0) {
      const before: unknown = message.images;
      message.images = [...Array.isArray(before) ? before : [], ...images];
    }
    Object.assign(message, rest(item, OF_MESSAGES));
    if (Array.isArray(item.tool_calls)) {
      // Array.isArray makes it any[].
      for (const call of item.tool_calls as readonly unknown[]) {
        if (isFields(call)) this.#addCall({}, { ...call });
      }
    }
    if (item.reasoning_details !== undefined) this.#addDetails(item);
    turn.isAfterMessage = true;
  }

  #addCall(item: Fields, call: Record<string, unknown>): void {
    const turn = this.#say();
    turn.calls.push({ ...call, ...rest(item, OF_CALLS) });
    turn.message.tool_calls = turn.calls;
    if (turn.message.content === "") turn.message.content = null;
    turn.isAfterMessage = false;
  }

  #addReasoning(item: Fields): void {
    const text = thoughtsOf(item.content) || thoughtsOf(item.summary);
    if (this.#turn) this.#turn.reasoning += text;
    else this.#reasoning += text;
    this.#addDetails(item);
    const { reasoning_opaque } = item;
    if (!hasContent(reasoning_opaque)) return;
    // Copilot's signature, which is of no use without the text that it signs.
    const signed = text === "" ? {} : { reasoning_text: text };
    Object.assign(this.#say().message, signed, { reasoning_opaque });
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
    const reasoning = this.#reasoning;
    const message: Record<string, unknown> = { role: "assistant", content: "" };
    this.say(message);
    this.#turn = {
      message,
      calls: [],
      details: new ReasoningDetails(),
      reasoning,
      question: this.#questions,
      isAfterMessage: false,
    };
    this.#turns.push(this.#turn);
    return this.#turn;
  }
}

/** Content after content: text, unless there is more in one of them. */
function joined(before: unknown, content: string | Fields[]): unknown {
  if (typeof content === "string" && !Array.isArray(before)) {
    return textOf(before) + content;
  }
  return [...listOf(before), ...listOf(content)];
}

function listOf(content: unknown): readonly unknown[] {
  // Array.isArray makes it any[].
  if (Array.isArray(content)) return content as readonly unknown[];
  const text = textOf(content);
  return text === "" ? [] : [{ type: "text", text }];
}

/** The text of the parts of reasoning. */
function thoughtsOf(parts: unknown): string {
  return plainText(Array.isArray(parts) ? parts : undefined, "text");
}

/** The images that the model has made, in the shape that it sends them in (OpenRouter). */
function imagesIn(content: unknown): Fields[] {
  if (!Array.isArray(content)) return [];
  // Array.isArray makes it any[].
  return (content as readonly unknown[]).filter(isFields)
    .filter(({ type }) => type === "output_image")
    .map(({ image_url: url }) => ({ type: "image_url", image_url: { url } }));
}
