import type { ResponseOutcome } from "../../../../src/model/wires/decoder.ts";
import type { ResponseItem } from "../../../../src/model/item.ts";
import type { ResponseEvent } from "../../../../src/model/response_event.ts";
import { ChatDecoder } from "../../../../src/model/wires/chat/decoder.ts";

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

/** What has come of a stream. */
export interface Decoded {
  readonly events: readonly ResponseEvent[];
  readonly state: string;
  readonly outcome: ResponseOutcome;
}

/** Decodes data, or events of a name: `["error", data]`. */
export function decode(
  stream: readonly (string | readonly [string, string])[],
  deltas = true,
  hasSeveral = false,
): Decoded {
  const decoder = new ChatDecoder({ deltas, hasSeveral });
  const events: ResponseEvent[] = [];
  for (const event of stream) {
    const [name, data] = typeof event === "string" ? ["message", event] : event;
    decoder.push(name, data, events);
  }
  const { state } = decoder;
  const outcome = decoder.end(events);
  return { events, state, outcome };
}

/** The last event; throws what the stream would. */
export function lastOf({ outcome }: Decoded) {
  if ("error" in outcome) throw outcome.error;
  return outcome.last;
}

/** The error; throws if there is none. */
export function errorOf({ outcome }: Decoded) {
  if ("error" in outcome) return outcome.error;
  throw new Error(`ended with ${outcome.last.type}`);
}

/** The items that are done, in order. */
export function itemsOf({ events }: Decoded): ResponseItem[] {
  return events.flatMap((event) =>
    event.type === "output_item.done" ? [event.item] : []
  );
}

/** What was passed on as it came. */
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
