// This module is browser compatible.
import type { ResponseItem } from "../../item.ts";
import type { ResponseEvent } from "../../response_event.ts";
import { type Fields, hasContent, isFields } from "../event_data.ts";
import { OpenMessage, OpenReasoning } from "./open_items.ts";
import { type ToolCall, ToolCalls } from "./tool_calls.ts";

/** An open item of the model's turn: its reasoning, or its message. */
type OpenItem = OpenMessage | OpenReasoning;

/** The items of one response by Chat, written piece by piece, and their events. */
export class ChatOutput {
  readonly #deltas: boolean;
  readonly #calls = new ToolCalls();
  #nextIndex = 0;
  /** The item that text goes to: at most one of the two is open. */
  #message: OpenMessage | undefined;
  #reasoning: OpenReasoning | undefined;
  /** The texts of the items that are done. */
  #text = "";
  #refusal = "";
  #thought = "";
  /** The id of the response; `""` as long as it is unknown. */
  responseId = "";
  /** The number of pieces that have come. */
  pieces = 0;

  /**
   * Makes an output without items.
   *
   * @param deltas Whether there are events for pieces, too.
   */
  constructor(deltas: boolean) {
    this.#deltas = deltas;
  }

  /** All text so far. */
  get text(): string {
    return this.#text + (this.#message?.text ?? "");
  }

  /** All of the refusal so far. */
  get refusal(): string {
    return this.#refusal + (this.#message?.refusal ?? "");
  }

  /** All reasoning so far. */
  get thought(): string {
    return this.#thought + (this.#reasoning?.text ?? "");
  }

  /** Whether there is anything but reasoning. */
  get hasAnswer(): boolean {
    return this.#message !== undefined || this.#text !== "" ||
      this.#refusal !== "" || this.#calls.list.length > 0;
  }

  /** The calls so far. */
  get calls(): readonly ToolCall[] {
    return this.#calls.list;
  }

  /**
   * Adds text to the answer.
   *
   * @param delta The text.
   * @param logprobs The log probabilities of its tokens.
   * @param out The list that takes the events.
   */
  addText(
    delta: string,
    logprobs: readonly unknown[] | undefined,
    out: ResponseEvent[],
  ): void {
    this.pieces++;
    const message = this.#message ?? this.#openMessage(out);
    if (message.textIndex < 0) message.textIndex = message.nextPart++;
    message.text += delta;
    if (logprobs !== undefined) message.addLogprobs(logprobs);
    if (!this.#deltas) return;
    const { itemId, outputIndex, textIndex: contentIndex } = message;
    out.push(
      logprobs === undefined
        ? {
          type: "output_text.delta",
          itemId,
          outputIndex,
          contentIndex,
          delta,
        }
        : {
          type: "output_text.delta",
          itemId,
          outputIndex,
          contentIndex,
          delta,
          logprobs,
        },
    );
  }

  /**
   * Adds text to the refusal.
   *
   * @param delta The text.
   * @param out The list that takes the events.
   */
  addRefusal(delta: string, out: ResponseEvent[]): void {
    this.pieces++;
    const message = this.#message ?? this.#openMessage(out);
    if (message.refusalIndex < 0) message.refusalIndex = message.nextPart++;
    message.refusal += delta;
    if (!this.#deltas) return;
    const { itemId, outputIndex, refusalIndex: contentIndex } = message;
    out.push({
      type: "refusal.delta",
      itemId,
      outputIndex,
      contentIndex,
      delta,
    });
  }

  /**
   * Adds text to the reasoning.
   *
   * @param delta The text.
   * @param out The list that takes the events.
   */
  addReasoning(delta: string, out: ResponseEvent[]): void {
    if (delta === "") return;
    this.pieces++;
    const reasoning = this.#reasoning ?? this.#openReasoning(out);
    reasoning.text += delta;
    if (!this.#deltas) return;
    const { itemId, outputIndex } = reasoning;
    out.push({
      type: "reasoning.delta",
      itemId,
      outputIndex,
      contentIndex: 0,
      delta,
    });
  }

  /**
   * Returns the item for what has no text to show, such as a signature: it does
   * not tear a message apart.
   *
   * @param out The list that takes the events.
   * @returns The item that is open, or else new reasoning.
   */
  itemForSignature(out: ResponseEvent[]): OpenItem {
    this.pieces++;
    return this.#reasoning ?? this.#message ?? this.#openReasoning(out);
  }

  /**
   * Adds what belongs to a message beside its text: annotations and images.
   *
   * @param given The delta, or the message.
   * @param out The list that takes the events.
   */
  addExtras({ annotations, images }: Fields, out: ResponseEvent[]): void {
    if (Array.isArray(annotations) && annotations.length > 0) {
      this.#messageFor(out).addAnnotations(annotations);
    }
    if (!Array.isArray(images)) return;
    // Array.isArray makes it any[].
    for (const image of images as readonly unknown[]) {
      const { image_url: given } = isFields(image) ? image : {};
      const url = isFields(given) ? given.url : given;
      if (typeof url !== "string" || url === "") continue;
      this.#messageFor(out).addPart({ type: "output_image", image_url: url });
    }
  }

  /**
   * Adds a fragment of a call.
   *
   * @param fragment The element of `tool_calls`.
   * @param out The list that takes the events.
   * @returns Whether there is something in it that no event tells of.
   */
  addFragment(fragment: unknown, out: ResponseEvent[]): boolean {
    if (!isFields(fragment)) return hasContent(fragment);
    const call = this.#calls.add(fragment);
    if (call === undefined) return false;
    if (!call.hasBegun) return true;
    this.pieces++;
    if (call.outputIndex < 0) {
      this.close("completed", out);
      call.outputIndex = this.#nextIndex++;
    }
    if (call.name !== "") this.#tellCall(call, call.takeReady(), out);
    return false;
  }

  /**
   * Ends the calls of a response that is whole, or was cut off.
   *
   * @param isWhole Whether the model was done.
   * @param hasFinish Whether the provider has said that it has finished.
   * @param out The list that takes the events.
   * @returns The calls that are not whole.
   */
  endCalls(
    isWhole: boolean,
    hasFinish: boolean,
    out: ResponseEvent[],
  ): ResponseItem[] {
    const unfinished: ResponseItem[] = [];
    for (const call of this.#calls.list) {
      if (!call.hasBegun) continue;
      const isDone = isWhole && call.settle(hasFinish);
      this.#tellCall(call, call.takeRest(), out);
      const status = isDone ? "completed" : "incomplete";
      const item = call.item(this.responseId, status);
      if (!isDone) unfinished.push(item);
      else {
        const { outputIndex } = call;
        out.push({ type: "output_item.done", item, outputIndex });
      }
    }
    return unfinished;
  }

  /**
   * Breaks off: an item that is done would say that it is whole.
   *
   * @param out The list that takes the events.
   */
  breakOff(out: ResponseEvent[]): void {
    for (const call of this.#calls.list) {
      this.#tellCall(call, call.takeRest(), out);
    }
    // With deltas the reader has the text already.
    if (!this.#deltas && this.#message) this.close("incomplete", out);
  }

  /**
   * Ends the item that text goes to, as another one begins, or nothing follows.
   *
   * @param status Its state.
   * @param out The list that takes the events.
   */
  close(status: "completed" | "incomplete", out: ResponseEvent[]): void {
    const message = this.#message;
    if (message) {
      const item = message.item(status);
      const { outputIndex, text, refusal } = message;
      out.push({ type: "output_item.done", item, outputIndex });
      this.#text += text;
      this.#refusal += refusal;
      this.#message = undefined;
    }
    const reasoning = this.#reasoning;
    if (reasoning) {
      const item = reasoning.item();
      const { outputIndex, text } = reasoning;
      out.push({ type: "output_item.done", item, outputIndex });
      this.#thought += text;
      this.#reasoning = undefined;
    }
  }

  #tellCall(call: ToolCall, delta: string, out: ResponseEvent[]): void {
    if (!this.#deltas || call.name === "") return;
    const { outputIndex } = call;
    if (!call.isAdded) {
      call.isAdded = true;
      out.push({
        type: "output_item.added",
        item: call.item(this.responseId, "in_progress"),
        outputIndex,
      });
    }
    if (delta === "") return;
    const itemId = `${this.responseId}:${outputIndex}`;
    out.push({ type: "tool_call.delta", itemId, outputIndex, delta });
  }

  #messageFor(out: ResponseEvent[]): OpenMessage {
    this.pieces++;
    return this.#message ?? this.#openMessage(out);
  }

  #openMessage(out: ResponseEvent[]): OpenMessage {
    this.close("completed", out);
    const message = new OpenMessage(this.responseId, this.#nextIndex++);
    this.#message = message;
    if (this.#deltas) {
      const item = message.item("in_progress");
      const { outputIndex } = message;
      out.push({ type: "output_item.added", item, outputIndex });
    }
    return message;
  }

  #openReasoning(out: ResponseEvent[]): OpenReasoning {
    this.close("completed", out);
    const reasoning = new OpenReasoning(this.responseId, this.#nextIndex++);
    this.#reasoning = reasoning;
    if (this.#deltas) {
      const item = reasoning.item();
      const { outputIndex } = reasoning;
      out.push({ type: "output_item.added", item, outputIndex });
    }
    return reasoning;
  }
}
