// This module is browser compatible.
import { type Fields, isFields, parseData, textOf } from "../event_data.ts";
import { refuse } from "../refusal.ts";
import { blocksOf, MESSAGES } from "./parts.ts";

/** One message of one side. */
interface Turn {
  readonly role: "user" | "assistant";
  readonly content: Fields[];
  /** The number of its blocks that are results of tools, which have to come first. */
  results: number;
}

/** Items that are blocks of this API as they are: calls and results of the provider's own tools, and the like. */
const BLOCK =
  /^(?:\w+_tool_use|\w+_tool_result|tool_result|tool_reference|compaction|fallback|container_upload|mcp_tool_listing|thinking|redacted_thinking|tool_use|text|image|document|search_result)$/;

/**
 * The conversation as the Messages API has it: what one side says in one go is one
 * message, as the results of calls made at once have to be; and the results come
 * before all else in it.
 */
export class Conversation {
  /** The messages so far. */
  readonly messages: Fields[] = [];
  readonly #system: Fields[] = [];
  #turn: Turn | undefined;

  /**
   * Begins a conversation.
   *
   * @param instructions The instructions to the model, if there are any.
   */
  constructor(instructions: string | undefined) {
    if (instructions !== undefined) {
      this.#system.push({ type: "text", text: instructions });
    }
  }

  /** The text before the conversation; `undefined` if there is none. */
  get system(): string | Fields[] | undefined {
    const [first, second] = this.#system;
    if (first === undefined) return undefined;
    const isText = second === undefined && Object.keys(first).length === 2;
    return isText ? textOf(first.text) : this.#system;
  }

  /**
   * Adds an item.
   *
   * @param item The item.
   * @param path Its path in the prompt.
   * @throws {TypeError} If this API has no place for it, or for a part of it.
   */
  add(item: Fields, path: string): void {
    switch (item.type ?? "message") {
      case "message":
        this.#addMessage(item, path);
        break;
      case "reasoning":
        this.#addReasoning(item);
        break;
      case "function_call":
        this.#addCall(item, item, path);
        break;
      case "function_call_output":
        this.#addResult(item, item.call_id, item.output, path);
        break;
      default:
        // Blocks of the user's own are parts of messages.
        if (!BLOCK.test(textOf(item.type))) {
          refuse(
            MESSAGES,
            path,
            `an item of the type ${JSON.stringify(item.type)}`,
          );
        }
        this.#say("assistant").content.push(item);
    }
  }

  #addMessage(item: Fields, path: string): void {
    const { role, content } = item;
    const where = `${path}.content`;
    switch (role) {
      case "system":
      case "developer": {
        const blocks = blocksOf(content, where);
        mark(blocks, item);
        if (this.messages.length === 0) this.#system.push(...blocks);
        else {
          this.#turn = undefined;
          this.messages.push({ role: "system", content: blocks });
        }
        break;
      }
      case "user": {
        const blocks = blocksOf(content, where);
        mark(blocks, item);
        this.#say("user").content.push(...blocks);
        break;
      }
      case "assistant":
        this.#addAnswer(item, path);
        break;
      case "tool": // in the shape of Chat
        this.#addResult(item, item.tool_call_id, content, path);
        break;
      default:
        refuse(MESSAGES, `${path}.role`, `the role ${JSON.stringify(role)}`);
    }
    if (item.name !== undefined && role !== "tool") {
      refuse(MESSAGES, `${path}.name`, "say in the text who speaks");
    }
  }

  #addAnswer(item: Fields, path: string): void {
    // It refuses text that is empty, which it may have sent itself.
    const blocks = blocksOf(item.content, `${path}.content`)
      .filter(({ type, text }) => type !== "text" || text !== "");
    mark(blocks, item);
    if (blocks.length > 0) this.#say("assistant").content.push(...blocks);
    if (!Array.isArray(item.tool_calls)) return;
    // Array.isArray makes it any[].
    const calls = item.tool_calls as readonly unknown[];
    for (const [index, call] of calls.entries()) {
      const where = `${path}.tool_calls.${index}`;
      if (!isFields(call) || !isFields(call.function)) {
        refuse(MESSAGES, where, "a call must be one of a function");
      }
      this.#addCall(call.function, { call_id: call.id }, where);
    }
  }

  /** Thinking that Anthropic has signed, or sealed; it refuses all other. */
  #addReasoning(item: Fields): void {
    const { redacted_data: data, signature, content, status } = item;
    if (data !== undefined) {
      this.#say("assistant").content.push({ type: "redacted_thinking", data });
    } else if (typeof signature === "string" && status !== "incomplete") {
      const thinking = Array.isArray(content)
        ? (content as readonly unknown[]) // Array.isArray makes it any[].
          .map((part) => isFields(part) ? textOf(part.text) : "").join("")
        : "";
      this.#say("assistant").content.push({
        type: "thinking",
        thinking,
        signature,
      });
    }
  }

  #addCall(call: Fields, item: Fields, path: string): void {
    const json = textOf(call.arguments).trim();
    const input = json === "" ? {} : parseData(json);
    if (!isFields(input)) {
      refuse(MESSAGES, `${path}.arguments`, "they must be a JSON object");
    }
    this.#say("assistant").content.push({
      type: "tool_use",
      id: idOf(item.call_id),
      name: call.name,
      input,
      ...pick(item, ["caller", "toolset_name", "cache_control"]),
    });
  }

  #addResult(item: Fields, id: unknown, output: unknown, path: string): void {
    const content = typeof output === "string"
      ? output
      : Array.isArray(output)
      ? blocksOf(output, `${path}.output`)
      : JSON.stringify(output ?? "");
    const turn = this.#say("user");
    turn.content.splice(turn.results++, 0, {
      type: "tool_result",
      tool_use_id: idOf(id),
      content,
      ...pick(item, ["is_error", "toolset_name", "cache_control"]),
    });
  }

  /** The turn of a side: the one under way, or a new one. */
  #say(role: Turn["role"]): Turn {
    if (this.#turn?.role === role) return this.#turn;
    const content: Fields[] = [];
    this.messages.push({ role, content });
    return this.#turn = { role, content, results: 0 };
  }
}

/** An id of another provider's may have characters that Anthropic refuses. */
function idOf(id: unknown): string {
  return String(id).replace(/[^a-zA-Z0-9_-]/g, "_");
}

function pick(item: Fields, fields: readonly string[]): Fields {
  return Object.fromEntries(
    fields.filter((field) => item[field] != null)
      .map((field) => [field, item[field]]),
  );
}

/** A mark for the cache that is on the message goes onto its last block. */
function mark(blocks: Fields[], { cache_control: mark }: Fields): void {
  const last = blocks.at(-1);
  if (mark == null || last === undefined) return;
  blocks[blocks.length - 1] = { ...last, cache_control: mark };
}
