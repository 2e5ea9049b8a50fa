// This module is browser compatible.
import type { MessageItem, ReasoningItem } from "../../item.ts";
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

  /** The field for the `reasoning_details`, if there are any. */
  protected detailsField(): { reasoning_details?: unknown[] } {
    return this.#details ? { reasoning_details: this.#details.list } : {};
  }
}

/** A message under way: at most one part of text and one of refusal. */
export class OpenMessage extends OpenItem {
  /** The place of the text among the parts; -1 as long as there is none. */
  textIndex = -1;
  /** The text of the refusal so far. */
  refusal = "";
  /** The place of the refusal among the parts; -1 as long as there is none. */
  refusalIndex = -1;

  /**
   * The item as it is now.
   *
   * @param status How far it is.
   * @returns The item.
   */
  item(status: "in_progress" | "completed" | "incomplete"): MessageItem {
    const content: MessageItem["content"] = [];
    if (this.textIndex >= 0) {
      content[this.textIndex] = {
        type: "output_text",
        text: this.text,
        annotations: [],
      };
    }
    if (this.refusalIndex >= 0) {
      content[this.refusalIndex] = { type: "refusal", refusal: this.refusal };
    }
    return {
      type: "message",
      role: "assistant",
      status,
      content,
      ...this.detailsField(),
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
      ...this.detailsField(),
    };
  }
}
