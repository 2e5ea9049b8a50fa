// This module is browser compatible.
import { PartialItems } from "./partial_items.ts";
import type { ResponseEvent } from "./response_event.ts";

/**
 * Turns a stream with deltas into one of whole items.
 *
 * Deltas and `output_item.added` are left out. All other events pass through at
 * once and in order. If the stream ends before an item does, by a last event or
 * by an error, the text so far (of a message, a refusal, or reasoning) comes
 * first, as an `output_item.done` whose item has the status `"incomplete"`. A
 * call that is cut off never does. `reset` drops everything so far.
 *
 * Leaving the iteration early ends the stream it reads.
 *
 * @param stream The events of a response.
 * @returns The events without deltas. It throws what the stream throws.
 *
 * @example Whole messages, also of a stream that breaks off
 * ```ts
 * import { aggregate, type ResponseEvent } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * async function* stream(): AsyncGenerator<ResponseEvent> {
 *   const at = { outputIndex: 0, contentIndex: 0 };
 *   yield { type: "output_text.delta", ...at, delta: "Hel" };
 *   yield { type: "output_text.delta", ...at, delta: "lo" };
 *   throw new Error("disconnected");
 * }
 *
 * const seen: unknown[] = [];
 * try {
 *   for await (const event of aggregate(stream())) {
 *     if (event.type === "output_item.done") seen.push(event.item["content"]);
 *   }
 * } catch (error) {
 *   seen.push(String(error));
 * }
 * assertEquals(seen, [
 *   [{ type: "output_text", text: "Hello", annotations: [] }],
 *   "Error: disconnected",
 * ]);
 * ```
 */
export async function* aggregate(
  stream: AsyncIterable<ResponseEvent>,
): AsyncGenerator<ResponseEvent, void, undefined> {
  const open = new PartialItems();
  // Not `for await`: what the consumer throws in here is not the stream's error.
  const iterator = stream[Symbol.asyncIterator]();
  let hasEnded = false;
  try {
    while (true) {
      let result: IteratorResult<ResponseEvent, unknown>;
      try {
        result = await iterator.next();
      } catch (error) {
        hasEnded = true;
        yield* flush(open);
        throw error;
      }
      if (result.done) {
        hasEnded = true;
        return yield* flush(open);
      }
      const event = result.value;
      switch (event.type) {
        case "output_item.added":
        case "output_text.delta":
        case "refusal.delta":
        case "reasoning_summary.delta":
        case "reasoning.delta":
        case "tool_call.delta":
          open.push(event);
          continue;
        case "output_item.done":
          open.push(event);
          break;
        case "reset":
          open.clear();
          break;
        case "completed":
        case "incomplete":
          yield* flush(open);
      }
      yield event;
    }
  } finally {
    if (!hasEnded) await iterator.return?.();
  }
}

/** Takes the text out of what has not come whole. */
function* flush(open: PartialItems): Generator<ResponseEvent, void, undefined> {
  for (const [outputIndex, partial] of open.inOrder()) {
    if (!partial.hasText) continue;
    yield { type: "output_item.done", item: partial.cutOff, outputIndex };
  }
  open.clear();
}
