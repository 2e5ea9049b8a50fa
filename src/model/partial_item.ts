// This module is browser compatible.
import type { ResponseItem } from "./item.ts";
import type { ResponseEvent } from "./response_event.ts";

/** An event that adds to an item. */
export type DeltaEvent = Extract<ResponseEvent, { delta: string }>;

/** Calls that the caller is to run, if they come whole. */
const CALLS: ReadonlySet<string> = new Set([
  "function_call",
  "custom_tool_call",
  "local_shell_call",
]);

/** A part in the making: what there was of it at first, and its text so far. */
interface Part {
  readonly index: number;
  readonly type: string;
  readonly start: unknown;
  /** `undefined` as long as nothing was added to what there was at first. */
  text: string | undefined;
}

/** Returns the field in which a part of this type has its text. */
function fieldOf(type: string): "text" | "refusal" {
  return type === "refusal" ? "refusal" : "text";
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  // Whatever else an object is, its fields can be looked at.
  return typeof value === "object" && value !== null
    ? value as Record<string, unknown>
    : {};
}

/**
 * A list of parts that text is added to, by index and type: two providers' parts
 * of different types may claim the same place, and places may be left out.
 */
class PartList {
  readonly #parts = new Map<string, Part>();
  /** The part of the last delta, which is mostly that of the next one. */
  #last: Part | undefined;

  constructor(given: unknown) {
    if (!Array.isArray(given)) return;
    for (const [index, start] of given.entries()) {
      const type = String(fieldsOf(start)["type"]);
      this.#parts.set(`${index}:${type}`, {
        index,
        type,
        start,
        text: undefined,
      });
    }
  }

  get hasText(): boolean {
    for (const { type, start, text } of this.#parts.values()) {
      if (text || (text === undefined && fieldsOf(start)[fieldOf(type)])) {
        return true;
      }
    }
    return false;
  }

  append(type: string, index: number, delta: string): void {
    let part = this.#last;
    if (part?.index !== index || part.type !== type) {
      const key = `${index}:${type}`;
      part = this.#parts.get(key);
      if (!part) {
        const start = type === "output_text"
          ? { type, text: "", annotations: [] }
          : { type, [fieldOf(type)]: "" };
        this.#parts.set(key, part = { index, type, start, text: undefined });
      }
      this.#last = part;
    }
    if (part.text === undefined) {
      const text = fieldsOf(part.start)[fieldOf(type)];
      part.text = typeof text === "string" ? text : "";
    }
    // Every engine makes a rope of this: nothing is copied until it is read.
    part.text += delta;
  }

  /** The parts as they are now; those that nothing was added to are not copied. */
  build(): unknown[] {
    return [...this.#parts.values()].sort((a, b) => a.index - b.index)
      .map(({ type, start, text }) =>
        text === undefined
          ? start
          : { ...fieldsOf(start), [fieldOf(type)]: text }
      );
  }
}

/**
 * An item that is not whole yet: its start, and the deltas since.
 *
 * The start belongs to an event, and is never changed. The cost of a delta does
 * not depend on the number of deltas before it.
 */
export class PartialItem {
  readonly #start: ResponseItem;
  #content: PartList | undefined;
  #summary: PartList | undefined;
  #input: string | undefined;
  /** The item as it was built last, unless something came since. */
  #built: ResponseItem | undefined;

  constructor(start: ResponseItem) {
    this.#start = this.#built = start;
  }

  /** Makes the item that a delta belongs to, where none was added before it. */
  static for({ type }: DeltaEvent): PartialItem {
    switch (type) {
      case "output_text.delta":
      case "refusal.delta":
        return new PartialItem({
          type: "message",
          role: "assistant",
          status: "in_progress",
          content: [],
        });
      case "reasoning.delta":
      case "reasoning_summary.delta":
        return new PartialItem({ type: "reasoning", summary: [] });
      case "tool_call.delta":
        return new PartialItem({
          type: "function_call",
          call_id: "",
          name: "",
          arguments: "",
          status: "in_progress",
        });
    }
  }

  push(event: DeltaEvent): void {
    this.#built = undefined;
    switch (event.type) {
      case "output_text.delta":
        return this.#addContent("output_text", event);
      case "refusal.delta":
        return this.#addContent("refusal", event);
      case "reasoning.delta":
        return this.#addContent("reasoning_text", event);
      case "reasoning_summary.delta":
        this.#summary ??= new PartList(this.#start["summary"]);
        return this.#summary.append(
          "summary_text",
          event.summaryIndex,
          event.delta,
        );
      case "tool_call.delta":
        if (this.#input === undefined) {
          const input = this.#start[this.#inputField];
          this.#input = typeof input === "string" ? input : "";
        }
        this.#input += event.delta;
    }
  }

  #addContent(
    type: string,
    { contentIndex, delta }: { contentIndex: number; delta: string },
  ): void {
    this.#content ??= new PartList(this.#start["content"]);
    this.#content.append(type, contentIndex, delta);
  }

  get #inputField(): "arguments" | "input" {
    return this.#start.type === "custom_tool_call" ? "input" : "arguments";
  }

  /** Whether the caller would run it, were it whole. */
  get isCall(): boolean {
    return CALLS.has(this.#start.type);
  }

  /** Whether there is text in it that is worth showing, and no call of a tool. */
  get hasText(): boolean {
    if (this.isCall || this.#input !== undefined) return false;
    const { content, summary } = fieldsOf(this.#start);
    return (this.#content ?? new PartList(content)).hasText ||
      (this.#summary ?? new PartList(summary)).hasText;
  }

  /** The item as far as it came. */
  get item(): ResponseItem {
    // The parts that were added are in the shape that items of their kind have.
    return this.#built ??= {
      ...this.#start,
      ...(this.#content && { content: this.#content.build() }),
      ...(this.#summary && { summary: this.#summary.build() }),
      ...(this.#input === undefined ? {} : { [this.#inputField]: this.#input }),
    } as ResponseItem;
  }

  /** The item as far as it came, said to be incomplete: nothing more will come. */
  get cutOff(): ResponseItem {
    return { ...this.item, status: "incomplete" };
  }
}
