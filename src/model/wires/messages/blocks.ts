// This module is browser compatible.
import { type MessageItem, parseItem, type ResponseItem } from "../../item.ts";
import { DeltaShape } from "../delta_shape.ts";
import {
  type Fields,
  hasContent,
  isFields,
  parseData,
  textOf,
} from "../event_data.ts";

/** The kind of a block, by what is added to it. */
export type BlockKind = "text" | "thinking" | "call" | "other";

/** A kind of delta: the field that has its text, and the kind of block that it adds to. */
export interface DeltaKind {
  /** The field. */
  readonly field: string;
  /** The kinds of the blocks, the one that it begins first. */
  readonly adds: readonly BlockKind[];
}

/** The deltas that add text, by type. */
export const DELTA_KINDS: ReadonlyMap<unknown, DeltaKind> = new Map([
  ["text_delta", { field: "text", adds: ["text"] }],
  ["thinking_delta", { field: "thinking", adds: ["thinking"] }],
  ["input_json_delta", { field: "partial_json", adds: ["call", "other"] }],
]);

/** The fields of an item that all wires have, so that none of them is an extra field. */
const KNOWN: Readonly<Record<BlockKind, ReadonlySet<string>>> = {
  text: new Set(["type", "text", "citations"]),
  thinking: new Set(["type", "thinking", "signature", "data"]),
  call: new Set(["type", "id", "name", "input"]),
  other: new Set(),
};

/** A block of content that is under way. */
export class Block {
  /** The deltas that are added to the block. */
  readonly kind: BlockKind;
  /** The block, as it was at its start. */
  readonly start: Fields;
  /** The place of its item in the output, from 0. */
  readonly outputIndex: number;
  /** The place of its part within the item's content, from 0. */
  readonly contentIndex: number;
  /** The made-up id of its item. */
  readonly itemId: string;
  /** Its text so far, or the JSON of its input. */
  text = "";
  /** Whether `content_block_stop` has come. */
  isStopped = false;
  /** Whether its item was told as a whole. */
  isTold = false;
  #shape: DeltaShape | undefined;
  readonly #citations: unknown[];
  /** The fields that deltas have added to. */
  #fields: Record<string, unknown> = {};

  constructor(
    start: Fields,
    kind: BlockKind,
    place: { responseId: string; outputIndex: number; contentIndex: number },
  ) {
    this.start = start;
    this.kind = kind;
    this.outputIndex = place.outputIndex;
    this.contentIndex = place.contentIndex;
    this.itemId = `${place.responseId}:${place.outputIndex}`;
    this.#citations = Array.isArray(start.citations)
      ? [...start.citations as readonly unknown[]] // Array.isArray makes it any[]
      : [];
  }

  /**
   * Returns the reader of the block's deltas: its own, as they have its index.
   *
   * @param field The field that has their text.
   */
  shape(field: string): DeltaShape {
    return this.#shape ??= new DeltaShape(field, (event) => ({
      text: isFields(event) && isFields(event.delta)
        ? event.delta[field]
        : undefined,
    }));
  }

  /** The text that came with the start of the block. */
  get startText(): string {
    switch (this.kind) {
      case "text":
        return textOf(this.start.text);
      case "thinking":
        return textOf(this.start.thinking);
      default:
        return "";
    }
  }

  /** The input that came with the start of the block, as JSON; `""` if it is empty. */
  get startInput(): string {
    const { input } = this.start;
    if (this.kind !== "call" || !hasContent(input)) return "";
    return typeof input === "string" ? input : JSON.stringify(input);
  }

  /**
   * Takes a delta in that is no text: a signature, a citation, the summary of a
   * compaction.
   */
  add(delta: Fields): void {
    const { citation } = delta;
    if (citation !== undefined) this.#citations.push(citation);
    for (const [field, value] of Object.entries(delta)) {
      if (field === "type" || field === "citation" || value == null) continue;
      const before = this.#fields[field] ?? this.start[field];
      this.#fields[field] = typeof value === "string" &&
          typeof before === "string" && field !== "signature"
        ? before + value
        : value;
    }
  }

  /** Whether its input, if it has any, is whole: JSON of an object. */
  get hasWholeInput(): boolean {
    return this.kind === "text" || this.kind === "thinking" ||
      this.text === "" || isFields(parseData(this.text));
  }

  /** The part of a message that a block of text is. */
  get part(): MessageItem["content"][number] {
    return {
      type: "output_text",
      text: this.text,
      annotations: this.#citations.map((citation) =>
        annotationOf(citation, this.text.length)
      ),
      ...this.#rest(),
    };
  }

  /**
   * The item of a block that is no text, as it is now.
   *
   * @param status Its state.
   * @returns The item; `undefined` if it cannot be one.
   */
  item(
    status: "in_progress" | "completed" | "incomplete",
  ): ResponseItem | undefined {
    const { start, text } = this;
    if (this.kind === "call") {
      return {
        type: "function_call",
        call_id: textOf(start.id) || this.itemId,
        name: textOf(start.name),
        arguments: text === "" && status === "completed" ? "{}" : text,
        status,
        ...this.#rest(),
      };
    }
    if (this.kind === "thinking") {
      return {
        type: "reasoning",
        summary: [],
        content: text === "" ? [] : [{ type: "reasoning_text", text }],
        ...(start.type === "redacted_thinking"
          ? { redacted_data: start.data }
          : { signature: this.#fields.signature ?? textOf(start.signature) }),
        ...(status === "incomplete" ? { status } : {}),
        ...this.#rest(),
      };
    }
    return parseItem({
      ...start,
      ...this.#fields,
      ...(text === "" ? {} : { input: parseData(text) ?? text }),
    });
  }

  /** The fields that have no place of their own in the item. */
  #rest(): Fields {
    const known = KNOWN[this.kind];
    const all = { ...this.start, ...this.#fields };
    return Object.fromEntries(
      Object.entries(all).filter(([field]) => !known.has(field)),
    );
  }
}

/** A citation as the Responses API has it, with the wire's own, which is sent back. */
function annotationOf(citation: unknown, length: number): unknown {
  if (!isFields(citation) || typeof citation.url !== "string") return citation;
  return {
    type: "url_citation",
    url: citation.url,
    title: textOf(citation.title),
    start_index: 0,
    end_index: length,
    citation,
  };
}

/**
 * Makes the message that blocks of text are parts of.
 *
 * @param parts Its blocks.
 * @param status Its state.
 * @returns The item.
 */
export function messageOf(
  parts: readonly Block[],
  status: "in_progress" | "completed" | "incomplete",
): MessageItem {
  return {
    type: "message",
    role: "assistant",
    status,
    content: parts.map(({ part }) => part),
  };
}

/**
 * Returns the kind of a block.
 *
 * @param type The block's type.
 * @returns The kind.
 */
export function kindOf(type: unknown): BlockKind {
  switch (type) {
    case "text":
      return "text";
    case "thinking":
    case "redacted_thinking":
      return "thinking";
    case "tool_use":
      return "call";
    default:
      return "other";
  }
}
