// This module is browser compatible.
import type {
  MessageItem,
  OutputImagePart,
  ReasoningItem,
} from "../../item.ts";
import { ReasoningDetails } from "./reasoning_details.ts";

/** An item that text may still be added to. */
class OpenItem {
  /** Its place in the output, from 0. */
  readonly outputIndex: number;
  /** Its made-up id. */
  readonly itemId: string;
  /** Its text so far. */
  text = "";
  #details: ReasoningDetails | undefined;
  #kept: Record<string, unknown> | undefined;

  /**
   * Opens an item.
   *
   * @param responseId The id of the response.
   * @param outputIndex Its place in the output, from 0.
   */
  constructor(responseId: string, outputIndex: number) {
    this.outputIndex = outputIndex;
    this.itemId = `${responseId}:${outputIndex}`;
  }

  /** The `reasoning_details` that came with it. */
  get details(): ReasoningDetails {
    return this.#details ??= new ReasoningDetails();
  }

  /**
   * Keeps a field as it came, to be sent back.
   *
   * @param field Its name.
   * @param value Its value; the last one counts.
   */
  keep(field: string, value: unknown): void {
    (this.#kept ??= {})[field] = value;
  }

  /** The fields that are to be sent back, if there are any. */
  protected keptFields(): Record<string, unknown> {
    return {
      ...(this.#details ? { reasoning_details: this.#details.list } : {}),
      ...this.#kept,
    };
  }
}

/** A message under way: at most one part of text and one of refusal, and others. */
export class OpenMessage extends OpenItem {
  /** The place of the next part. */
  nextPart = 0;
  /** The place of the text among the parts; -1 as long as there is none. */
  textIndex = -1;
  /** The text of the refusal so far. */
  refusal = "";
  /** The place of the refusal among the parts; -1 as long as there is none. */
  refusalIndex = -1;
  readonly #annotations: unknown[] = [];
  readonly #parts: [index: number, part: OutputImagePart][] = [];
  #logprobs: unknown[] | undefined;

  /**
   * Adds what the text refers to.
   *
   * @param annotations The annotations, as the wire has them.
   */
  addAnnotations(annotations: readonly unknown[]): void {
    for (const annotation of annotations) this.#annotations.push(annotation);
  }

  /**
   * Adds how likely the tokens of the text were.
   *
   * @param logprobs The log probabilities, as the wire has them.
   */
  addLogprobs(logprobs: readonly unknown[]): void {
    this.#logprobs ??= [];
    for (const token of logprobs) this.#logprobs.push(token);
  }

  /**
   * Adds a part that comes whole, such as an image.
   *
   * @param part The part.
   */
  addPart(part: OutputImagePart): void {
    this.#parts.push([this.nextPart++, part]);
  }

  /**
   * The item as it is now.
   *
   * @param status Its state.
   * @returns The item.
   */
  item(status: "in_progress" | "completed" | "incomplete"): MessageItem {
    const content: MessageItem["content"] = [];
    // Annotations may come before the text that they refer to, or without it.
    if (this.textIndex < 0 && this.#annotations.length > 0) {
      this.textIndex = this.nextPart++;
    }
    if (this.textIndex >= 0) {
      content[this.textIndex] = {
        type: "output_text",
        text: this.text,
        annotations: [...this.#annotations],
        ...(this.#logprobs && { logprobs: this.#logprobs }),
      };
    }
    if (this.refusalIndex >= 0) {
      content[this.refusalIndex] = { type: "refusal", refusal: this.refusal };
    }
    for (const [index, part] of this.#parts) content[index] = part;
    return {
      type: "message",
      role: "assistant",
      status,
      content,
      ...this.keptFields(),
    };
  }
}

/** Reasoning under way. */
export class OpenReasoning extends OpenItem {
  /**
   * The item as it is now.
   *
   * @returns The item.
   */
  item(): ReasoningItem {
    return {
      type: "reasoning",
      summary: [],
      content: this.text === ""
        ? []
        : [{ type: "reasoning_text", text: this.text }],
      ...this.keptFields(),
    };
  }
}
