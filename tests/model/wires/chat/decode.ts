import type { ResponseItem } from "../../../../src/model/item.ts";
import type { ResponseEvent } from "../../../../src/model/response_event.ts";
import { ChatDecoder } from "../../../../src/model/wires/chat/decoder.ts";
import { type Decoded, decodeWith } from "../decoded.ts";

/** The end of a stream, as most servers send it. */
export const DONE = "[DONE]";

/** A chunk with fields of its own. */
export function chunk(fields: Record<string, unknown>): string {
  return JSON.stringify({
    id: "c1",
    object: "chat.completion.chunk",
    created: 1,
    model: "m",
    ...fields,
  });
}

/** A chunk with one choice. */
export function choice(
  delta: unknown,
  finish_reason: string | null = null,
  fields: Record<string, unknown> = {},
): string {
  return chunk({ choices: [{ index: 0, delta, finish_reason, ...fields }] });
}

/** A chunk with fragments of tool calls. */
export function calls(...fragments: unknown[]): string {
  return choice({ tool_calls: fragments });
}

/** A chunk that says how it ends, and nothing else. */
export function finish(reason: string): string {
  return choice({}, reason);
}

/** Decodes data, or events of a name: `["error", data]`. */
export function decode(
  stream: readonly (string | readonly [string, string])[],
  deltas = true,
  hasSeveral = false,
): Decoded {
  return decodeWith(
    new ChatDecoder({ deltas, hasSeveral }),
    stream.map((event) =>
      typeof event === "string" ? ["message", event] : event
    ),
  );
}

/** The items that are done, in order. */
export function itemsOf({ events }: Decoded): ResponseItem[] {
  return events.flatMap((event) =>
    event.type === "output_item.done" ? [event.item] : []
  );
}

/** Returns the events passed on as they came. */
export function othersOf({ events }: Decoded): unknown[] {
  return events.flatMap((event) => event.type === "other" ? [event.event] : []);
}

/** The text of the deltas of an item. */
export function textOf(
  { events }: Decoded,
  type: ResponseEvent["type"],
  outputIndex: number,
): string {
  return events.map((event) =>
    event.type === type && "delta" in event && event.outputIndex === outputIndex
      ? event.delta
      : ""
  ).join("");
}
