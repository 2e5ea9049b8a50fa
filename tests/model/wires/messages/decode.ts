import type { ResponseItem } from "../../../../src/model/item.ts";
import { MessagesDecoder } from "../../../../src/model/wires/messages/decoder.ts";
import { type Decoded, decodeWith } from "../decoded.ts";

/** An event of the wire. */
export type Wire = Readonly<Record<string, unknown>>;

/** The first event. */
export const START: Wire = {
  type: "message_start",
  message: {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude",
    content: [],
    usage: { input_tokens: 5, output_tokens: 1 },
  },
};

/** The last event. */
export const STOP: Wire = { type: "message_stop" };

/** A block that begins. */
export function begin(index: number, content_block: unknown): Wire {
  return { type: "content_block_start", index, content_block };
}

/** A delta of a block. */
export function delta(index: number, delta: unknown): Wire {
  return { type: "content_block_delta", index, delta };
}

/** A piece of text. */
export function text(index: number, text: string): Wire {
  return delta(index, { type: "text_delta", text });
}

/** A piece of thinking. */
export function thinking(index: number, thinking: string): Wire {
  return delta(index, { type: "thinking_delta", thinking });
}

/** A piece of a call's input. */
export function json(index: number, partial_json: string): Wire {
  return delta(index, { type: "input_json_delta", partial_json });
}

/** A block that is over. */
export function over(index: number): Wire {
  return { type: "content_block_stop", index };
}

/** The reason to stop, and the last event. */
export function stop(stop_reason: string, more: Wire = {}): Wire[] {
  return [
    {
      type: "message_delta",
      delta: { stop_reason, stop_sequence: null },
      usage: { output_tokens: 7 },
      ...more,
    },
    STOP,
  ];
}

/** A whole block. */
export function whole(index: number, block: Wire, ...deltas: Wire[]): Wire[] {
  return [begin(index, block), ...deltas, over(index)];
}

/** A whole block of text. */
export function said(index: number, ...pieces: string[]): Wire[] {
  return whole(
    index,
    { type: "text", text: "" },
    ...pieces.map((piece) => text(index, piece)),
  );
}

/** A whole call. */
export function called(
  index: number,
  id: string,
  ...pieces: string[]
): Wire[] {
  return whole(
    index,
    { type: "tool_use", id, name: "f", input: {} },
    ...pieces.map((piece) => json(index, piece)),
  );
}

/** Decodes events, the name of each as the API gives it. */
export function decode(stream: readonly Wire[], deltas = true): Decoded {
  return decodeData(
    stream.map((event) => [String(event.type), JSON.stringify(event)]),
    deltas,
  );
}

/** Decodes events by name and data. */
export function decodeData(
  stream: readonly (readonly [name: string, data: string])[],
  deltas = true,
): Decoded {
  return decodeWith(new MessagesDecoder({ deltas }), stream);
}

/** The items that are done, in the order of the output. */
export function itemsOf({ events }: Decoded): ResponseItem[] {
  return events.filter((event) => event.type === "output_item.done")
    .sort((a, b) => a.outputIndex - b.outputIndex).map(({ item }) => item);
}

/** Returns the events passed on as they came. */
export function othersOf({ events }: Decoded): unknown[] {
  return events.flatMap((event) => event.type === "other" ? [event.event] : []);
}
