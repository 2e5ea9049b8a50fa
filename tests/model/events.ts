/**
 * Events of made-up responses.
 *
 * @module
 */
import fc from "fast-check";
import type { ResponseItem } from "../../src/model/item.ts";
import type { ResponseEvent } from "../../src/model/response_event.ts";

/** A kind of item, with the events that make it and what it is when it is whole. */
export interface Piece {
  readonly kind:
    | "text"
    | "refusal"
    | "summary"
    | "reasoning"
    | "call"
    | "input";
  /** Of its part, where its kind has parts. */
  readonly part: number;
  readonly delta: string;
}

/** An item of a made-up response. */
export interface ScriptItem {
  readonly type: ResponseItem["type"];
  readonly pieces: readonly Piece[];
  /** Whether it is added before its deltas. */
  readonly isAdded: boolean;
  /** Whether it comes whole at its end. */
  readonly isDone: boolean;
}

const KINDS = {
  message: ["text", "refusal"],
  reasoning: ["summary", "reasoning"],
  function_call: ["call"],
  custom_tool_call: ["input"],
} as const;

/** A delta of an item. */
function deltaOf(
  { kind, part, delta }: Piece,
  outputIndex: number,
): ResponseEvent {
  // Ids that change from event to event, as some providers have it.
  const at = { outputIndex, itemId: `${outputIndex}.${delta}` };
  switch (kind) {
    case "text":
      return { type: "output_text.delta", ...at, contentIndex: part, delta };
    case "refusal":
      return { type: "refusal.delta", ...at, contentIndex: part, delta };
    case "reasoning":
      return { type: "reasoning.delta", ...at, contentIndex: part, delta };
    case "summary":
      return {
        type: "reasoning_summary.delta",
        ...at,
        summaryIndex: part,
        delta,
      };
    default:
      return { type: "tool_call.delta", ...at, delta };
  }
}

/** The text of the pieces of a part, put together in the plainest way. */
export function textOf(
  pieces: readonly Piece[],
  kind: Piece["kind"],
  part: number,
): string {
  return pieces.filter((piece) => piece.kind === kind && piece.part === part)
    .map(({ delta }) => delta).join("");
}

/** An item with the text of some of its pieces; without any, as it is added. */
export function itemOf(
  type: ResponseItem["type"],
  pieces: readonly Piece[],
  status: string,
): ResponseItem {
  const list = (made: Partial<Record<Piece["kind"], [string, string]>>) => {
    const parts = new Map<string, [Piece, Record<string, unknown>]>();
    for (const piece of pieces) {
      const [type, field] = made[piece.kind] ?? [];
      if (!type || !field) continue;
      parts.set(`${piece.part}${type}`, [piece, {
        type,
        [field]: textOf(pieces, piece.kind, piece.part),
        ...(type === "output_text" ? { annotations: [] } : {}),
      }]);
    }
    return [...parts.values()].sort(([a], [b]) => a.part - b.part)
      .map(([, part]) => part);
  };
  const all = pieces.map(({ delta }) => delta).join("");
  const call = { call_id: "c", name: "f", status };
  const items: Record<string, Record<string, unknown>> = {
    message: {
      role: "assistant",
      status,
      content: list({
        text: ["output_text", "text"],
        refusal: ["refusal", "refusal"],
      }),
    },
    reasoning: {
      status,
      summary: list({ summary: ["summary_text", "text"] }),
      content: list({ reasoning: ["reasoning_text", "text"] }),
    },
    function_call: { ...call, arguments: all },
    custom_tool_call: { ...call, input: all },
  };
  // Each is in the shape that its type has.
  return { type, ...items[type] } as ResponseItem;
}

const piecesOf = (type: keyof typeof KINDS): fc.Arbitrary<Piece[]> =>
  fc.array(
    fc.record({
      kind: fc.constantFrom(...KINDS[type]),
      part: type in { message: 0, reasoning: 0 }
        ? fc.nat({ max: 2 })
        : fc.constant(0),
      delta: fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 }),
    }),
    { maxLength: 8 },
  );

/** Items of which some are not added, and some not done. */
const scriptItems: fc.Arbitrary<ScriptItem[]> = fc.array(
  fc.constantFrom(
    "message" as const,
    "reasoning" as const,
    "function_call" as const,
    "custom_tool_call" as const,
  ).chain((type) =>
    fc.record({
      type: fc.constant(type),
      pieces: piecesOf(type),
      // A delta of a custom tool does not say what it belongs to.
      isAdded: type === "custom_tool_call" ? fc.constant(true) : fc.boolean(),
      isDone: fc.boolean(),
    })
  ),
  { maxLength: 5 },
);

/** The events of an item. */
export function eventsOf(
  { type, pieces, isAdded, isDone }: ScriptItem,
  outputIndex: number,
): ResponseEvent[] {
  const events = pieces.map((piece) => deltaOf(piece, outputIndex));
  if (isAdded) {
    const item = itemOf(type, [], "in_progress");
    events.unshift({ type: "output_item.added", item, outputIndex });
  }
  if (isDone) {
    const item = itemOf(type, pieces, "completed");
    events.push({ type: "output_item.done", item, outputIndex });
  }
  return events;
}

/** Streams in one, each in its own order; `order` says whose turn it is. */
function interleave<T>(streams: T[][], order: readonly number[]): T[] {
  const left = streams.map((stream) => [...stream]);
  const events: T[] = [];
  for (let i = 0; left.some(({ length }) => length > 0); i++) {
    const open = left.filter(({ length }) => length > 0);
    const next = open[(order[i % order.length] ?? 0) % open.length]?.shift();
    if (next !== undefined) events.push(next);
  }
  return events;
}

/** The items of a response, and all its events but the last, in any order. */
export const scripts: fc.Arbitrary<
  { items: ScriptItem[]; events: ResponseEvent[] }
> = fc.tuple(
  scriptItems,
  fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 40 }),
).map(([items, order]) => {
  const others: ResponseEvent[] = [
    { type: "rate_limits", rateLimits: { primary: 1 } },
    { type: "other", event: { type: "response.in_progress" } },
    { type: "usage", usage: USAGE },
  ];
  return {
    items,
    events: [
      { type: "created", responseId: "r", model: "m" },
      ...interleave([...items.map(eventsOf), others], order),
    ],
  };
});

/** The usage of a made-up response. */
export const USAGE = { inputTokens: 3, outputTokens: 4, totalTokens: 7 };

/** A value that throws when anything of it is changed. */
export function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const field of Object.values(value)) frozen(field);
    Object.freeze(value);
  }
  return value;
}
