// This module is browser compatible.
import { parseItem, type ResponseItem } from "../../item.ts";
import { type Fields, isFields, textOf } from "../event_data.ts";

/**
 * Reads an item as far as it can be read: providers leave out what they have no
 * value for, or have it in the shape of Chat.
 *
 * @param value The value that came as an item.
 * @param callId Makes the id of a call that has none.
 * @returns The item: the same object where it is as it should be; `undefined` if
 * it is none, or lacks something that nothing stands for.
 */
export function readItem(
  value: unknown,
  callId: () => string,
): ResponseItem | undefined {
  const item = parseItem(value);
  if (item !== undefined && !isOdd(item)) return item;
  return isFields(value) ? parseItem(mended(value, callId)) : undefined;
}

/** Whether an item that is in shape has to be mended all the same. */
function isOdd(item: ResponseItem): boolean {
  switch (item.type as string) {
    case "function_call":
    case "custom_tool_call":
      // Its output could not be sent back.
      return item["call_id"] === "";
    case "function":
    case "tool_call":
      return true;
    default:
      return false;
  }
}

function mended(item: Fields, callId: () => string): Fields {
  switch (item.type ?? typeOf(item)) {
    case "message":
      return {
        ...item,
        type: "message",
        role: textOf(item.role) || "assistant",
        content: partsOf(item.content ?? item.text, "output_text"),
      };
    case "reasoning":
      return {
        ...item,
        type: "reasoning",
        summary: partsOf(item.summary, "summary_text"),
        ...(item.content == null
          ? {}
          : { content: partsOf(item.content, "reasoning_text") }),
      };
    case "function_call":
    case "tool_call":
    case "function": {
      const body = isFields(item.function) ? item.function : item;
      return {
        ...item,
        type: "function_call",
        call_id: idOf(item, callId),
        name: item.name ?? body.name,
        arguments: textFor(
          body.arguments ?? item.arguments ?? item.input ?? item.parameters,
        ),
      };
    }
    case "custom_tool_call":
      return {
        ...item,
        call_id: idOf(item, callId),
        input: textFor(item.input ?? item.arguments),
      };
    default:
      return item;
  }
}

/** The type of an item that does not say it. */
function typeOf(item: Fields): string {
  if (item.role !== undefined || item.content !== undefined) return "message";
  const isCall = "arguments" in item || isFields(item.function);
  return isCall ? "function_call" : "";
}

function idOf(item: Fields, callId: () => string): string {
  return textOf(item.call_id) || textOf(item.tool_call_id) ||
    textOf(item.id) || callId();
}

/** Arguments as text: some servers send them as an object. */
function textFor(value: unknown): string {
  if (typeof value === "string") return value;
  return value == null ? "" : JSON.stringify(value);
}

/** Parts, of what may be a text, one part, or parts without types. */
function partsOf(value: unknown, type: string): Fields[] {
  if (value == null) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const parts: Fields[] = [];
  for (const part of list) {
    if (typeof part === "string") {
      if (part !== "") parts.push(partOf({ text: part }, type));
    } else if (isFields(part)) {
      parts.push(typeof part.type === "string" ? part : partOf(part, type));
    }
  }
  return parts;
}

function partOf(part: Fields, type: string): Fields {
  if (typeof part.refusal === "string") return { type: "refusal", ...part };
  return type === "output_text"
    ? { annotations: [], ...part, type }
    : { ...part, type };
}
