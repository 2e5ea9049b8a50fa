// This module is browser compatible.
import type { InputItem } from "./item.ts";
import { inputItems, type Prompt } from "./prompt.ts";

/** A call, or the output of one. */
interface Mark {
  readonly kind: "call" | "output";
  /** The id that the call and its output share. */
  readonly id: string;
  /** The path of its place. */
  readonly path: string;
}

/**
 * Refuses a conversation in which a call has no output, or an output no call:
 * providers refuse it too, but not all say which.
 *
 * Nothing is refused if the provider keeps a part of the conversation: that may have
 * the call.
 *
 * @param prompt The prompt, which is valid.
 * @throws {TypeError} If a call or an output stands alone.
 */
export function checkPendingCalls(prompt: Prompt): void {
  const items = inputItems(prompt);
  if (isKept(prompt, items)) return;
  // As a list of each: some providers give the same ids in every response.
  const pending = new Map<string, Mark[]>();
  for (const mark of items.flatMap(marksOf)) {
    const calls = pending.get(mark.id) ?? [];
    if (mark.kind === "call") pending.set(mark.id, [...calls, mark]);
    else if (calls.length === 0) {
      throw alone(mark, "output of a call that is not there before it");
    } else pending.set(mark.id, calls.slice(1));
  }
  for (const [call] of pending.values()) {
    if (call) throw alone(call, "call without its output");
  }
}

function alone({ id, path }: Mark, what: string): TypeError {
  return new TypeError(
    `Cannot stream as '${path}' is the ${what} (${
      JSON.stringify(id)
    }): send both, or neither`,
  );
}

function isKept(prompt: Prompt, items: readonly InputItem[]): boolean {
  const { previousResponseId, extra = {} } = prompt;
  return previousResponseId !== undefined || "conversation" in extra ||
    "previous_response_id" in extra || "input" in extra ||
    "messages" in extra ||
    items.some(({ type }) => type === "item_reference");
}

function marksOf(item: InputItem, index: number): Mark[] {
  const path = `prompt.input.${index}`;
  switch (item.type ?? "message") {
    case "function_call":
    case "custom_tool_call":
      return mark("call", item.call_id, path);
    case "function_call_output":
    case "custom_tool_call_output":
      return mark("output", item.call_id, path);
    case "message": {
      // Chat's own shape.
      const { role, tool_calls, tool_call_id } = item;
      if (role === "tool") return mark("output", tool_call_id, path);
      if (!Array.isArray(tool_calls)) return [];
      // Array.isArray makes it any[]; the prompt's check has seen the ids.
      return (tool_calls as readonly { id: string }[]).flatMap(({ id }, at) =>
        mark("call", id, `${path}.tool_calls.${at}`)
      );
    }
    default:
      return [];
  }
}

function mark(kind: Mark["kind"], id: unknown, path: string): Mark[] {
  return typeof id === "string" ? [{ kind, id, path }] : [];
}
