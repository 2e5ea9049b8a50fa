// This module is browser compatible.
import {
  type DecoderOptions,
  errorOf,
  incompleteReason,
  type ResponseDecoder,
  type ResponseOutcome,
} from "../decoder.ts";
import { DeltaShape } from "../delta_shape.ts";
import type { ResponseItem } from "../../item.ts";
import type {
  CompletedEvent,
  IncompleteEvent,
  OtherEvent,
  ResponseEvent,
} from "../../response_event.ts";
import type { Usage } from "../../usage.ts";
import { isSameUsage, parseUsage } from "../usage.ts";
import {
  errorIn,
  type Fields,
  hasContent,
  isDone,
  isFields,
  parseData,
  textOf,
} from "../event_data.ts";
import { ChatEnding, indexOf } from "./endings.ts";
import { OpenMessage, OpenReasoning } from "./open_items.ts";
import { shownIn, thoughtIn } from "./reasoning_details.ts";
import { textValuesOf } from "./text_values.ts";
import { type ToolCall, ToolCalls } from "./tool_calls.ts";

const NONE: readonly unknown[] = [];

/**
 * Reads the chunks of the Chat Completions API.
 *
 * What comes in is checked by hand and not by a schema: a chunk has one token, so
 * that all the rest of this client has about half a microsecond for it, of which
 * zod would take several. Every field is `unknown` until it was looked at.
 */
export class ChatDecoder implements ResponseDecoder {
  readonly #deltas: boolean;
  #progress = 0;
  readonly #calls = new ToolCalls();
  /** Of the first choice, as the client asks for one. */
  readonly #ending = new ChatEnding("first");
  #state: "open" | "ending" | "ended" = "open";
  #responseId = "";
  #usage: Usage | undefined;
  #isCreated = false;
  /** What came before the chunk that says the id, to be told after it. */
  #early: OtherEvent | undefined;
  #nextIndex = 0;
  /** The item that text goes to: at most one of the two is open. */
  #message: OpenMessage | undefined;
  #reasoning: OpenReasoning | undefined;
  /** The chunks that have nothing but text. */
  readonly #shape = new DeltaShape("content", textValuesOf);
  /** Whether the chunk has something that no event tells of. */
  #hasOther = false;

  /**
   * Makes a decoder.
   *
   * @param options Whether there is more to be seen than items.
   */
  constructor(options: DecoderOptions) {
    this.#deltas = options.deltas;
  }

  /** Whether the stream has ended. */
  get state(): "open" | "ending" | "ended" {
    return this.#state;
  }

  /** How many chunks had a choice. */
  get progress(): number {
    return this.#progress;
  }

  /** The id of the response; `""` as long as it is unknown. */
  get responseId(): string {
    return this.#responseId;
  }

  /** Chat has no numbers. */
  get sequenceNumber(): undefined {
    return undefined;
  }

  /** What the response has cost, as it was last said. */
  get usage(): Usage | undefined {
    return this.#usage;
  }

  /**
   * Takes one event in.
   *
   * @param name The event's name; only `error` has a meaning.
   * @param data The event's data.
   * @param out Where the response's events go.
   */
  push(name: string, data: string, out: ResponseEvent[]): void {
    if (this.#state === "ended") return;
    if (name !== "error" && this.#shape.read(data)) {
      this.#progress++;
      if (this.#shape.text !== "") {
        this.#addText(this.#shape.text, undefined, out);
      }
      return;
    }
    if (name === "error") this.#ending.fail(errorIn(data));
    else this.#take(data, out);
    const { isOver, ending } = this.#ending;
    this.#state = isOver ? "ended" : ending ? "ending" : "open";
  }

  #take(data: string, out: ResponseEvent[]): void {
    const event = parseData(data);
    if (event === undefined) {
      const text = data.trim();
      if (isDone(data)) this.#ending.done();
      else if (text !== "") this.#tellOther(text, out);
    } else if (isFields(event)) {
      const before = out.length;
      this.#takeChunk(event, out);
      if (
        out.length === before + 1 && out[before]?.type === "output_text.delta"
      ) {
        this.#shape.learn(data);
      }
    } else {
      this.#tellOther(event, out);
    }
  }

  /**
   * Ends the response.
   *
   * @param out Where the items go that are whole now.
   * @returns How it has ended.
   */
  end(out: ResponseEvent[]): ResponseOutcome {
    if (this.#early) this.#create("", out);
    const ending = this.#ending.close();
    if (ending.kind === "failed" || ending.kind === "truncated") {
      for (const call of this.#calls.list) {
        this.#tellCall(call, call.takeRest(), out);
      }
      // With deltas the reader has the text already, and an item that is done
      // would say that it is whole.
      if (!this.#deltas && this.#message) this.#close("incomplete", out);
      return {
        error: errorOf(ending).about({
          responseId: this.#responseId,
          usage: this.#usage,
        }),
      };
    }
    return { last: this.#last(incompleteReason(ending), out) };
  }

  /** Ends what is open, and makes the last event; `reason` says why it is incomplete. */
  #last(
    reason: string | undefined,
    out: ResponseEvent[],
  ): CompletedEvent | IncompleteEvent {
    const hasFinish = this.#ending.firstFinish !== "";
    const unfinished: ResponseItem[] = [];
    for (const call of this.#calls.list) {
      if (!call.hasBegun) continue;
      const isWhole = reason === undefined && call.settle(hasFinish);
      this.#tellCall(call, call.takeRest(), out);
      const item = call.item(
        this.#responseId,
        isWhole ? "completed" : "incomplete",
      );
      if (!isWhole) unfinished.push(item);
      else {
        const { outputIndex } = call;
        out.push({ type: "output_item.done", item, outputIndex });
      }
    }
    this.#close(reason === undefined ? "completed" : "incomplete", out);
    const responseId = this.#responseId;
    const usage = this.#usage;
    return reason === undefined && unfinished.length === 0
      ? { type: "completed", responseId, usage }
      : {
        type: "incomplete",
        reason: reason ?? "tool_call_arguments",
        responseId,
        ...(usage ? { usage } : {}),
        ...(unfinished.length > 0 ? { unfinished } : {}),
      };
  }

  #takeChunk(chunk: Fields, out: ResponseEvent[]): void {
    this.#hasOther = false;
    this.#ending.takeChunk(chunk);
    const choices = Array.isArray(chunk.choices)
      ? chunk.choices as readonly unknown[] // Array.isArray makes it any[]
      : NONE;
    const count = choices.length;
    if (count > 0) this.#progress++;
    if (this.#responseId === "") this.#responseId = textOf(chunk.id);
    const hasFailed = chunk.error != null && hasContent(chunk.error);
    if (chunk.object === "error" && !hasFailed) return;
    // Azure's first chunk has no id, and a failure is no beginning.
    if (
      !this.#isCreated &&
      (count > 0 || this.#responseId !== "" && !hasFailed)
    ) this.#create(textOf(chunk.model), out);
    for (let i = 0; i < count; i++) {
      const choice = choices[i];
      if (isFields(choice) && indexOf(choice, i) === 0) {
        this.#takeChoice(choice, out);
      } else this.#hasOther = true;
    }
    let isKnown = count > 0 || hasFailed;
    if (chunk.usage != null && this.#takeUsage(chunk.usage, out)) {
      isKnown = true;
    }
    if (chunk.x_groq != null && this.#takeGroq(chunk.x_groq, out)) {
      isKnown = true;
    }
    for (const field in chunk) {
      switch (field) {
        case "id":
        case "object":
        case "created":
        case "model":
        case "choices":
        case "usage":
        case "error":
        case "x_groq":
        case "system_fingerprint":
        case "service_tier":
        case "provider":
        // What pads the chunk, so that its size does not tell the token: OpenAI's
        // and Cloudflare's.
        case "obfuscation":
        case "p":
          break;
        default:
          if (!this.#hasOther && hasContent(chunk[field])) {
            this.#hasOther = true;
          }
      }
    }
    if (this.#hasOther || !isKnown) this.#tellOther(chunk, out);
  }

  #takeChoice(choice: Fields, out: ResponseEvent[]): void {
    const { delta, logprobs } = choice;
    const tokens = logprobs != null ? this.#tokensOf(logprobs) : undefined;
    if (isFields(delta)) this.#takeDelta(delta, tokens, out);
    else if (hasContent(delta)) this.#hasOther = true;
    for (const field in choice) {
      switch (field) {
        case "index":
        case "delta":
        case "logprobs":
        // Their ending is taken.
        case "finish_reason":
        case "error":
        case "native_finish_reason":
        case "stop_reason":
        case "matched_stop":
        case "seed":
        case "token_ids":
          break;
        case "text": // the delta's content once more (Together)
          if (!isFields(delta) || choice.text !== delta.content) {
            if (hasContent(choice.text)) this.#hasOther = true;
          }
          break;
        case "usage":
          if (choice.usage != null) this.#takeUsage(choice.usage, out);
          break;
        default:
          if (!this.#hasOther && hasContent(choice[field])) {
            this.#hasOther = true;
          }
      }
    }
  }

  #takeDelta(
    delta: Fields,
    logprobs: readonly unknown[] | undefined,
    out: ResponseEvent[],
  ): void {
    const { content } = delta;
    let hasReasoning = false;
    let hasMore = false;
    for (const field in delta) {
      switch (field) {
        case "content":
        case "role":
        case "channel":
        case "token_id":
          break;
        case "reasoning_content":
        case "reasoning":
        case "reasoning_details":
          hasReasoning = true;
          break;
        case "refusal":
        case "tool_calls":
        case "function_call":
          hasMore = true;
          break;
        default:
          if (!this.#hasOther && hasContent(delta[field])) {
            this.#hasOther = true;
          }
      }
    }
    // The model thinks first, whatever the order of the fields.
    if (hasReasoning) this.#takeReasoning(delta, out);
    if (typeof content === "string") {
      if (content !== "") this.#addText(content, logprobs, out);
      else if (logprobs !== undefined) this.#hasOther = true;
    } else {
      if (logprobs !== undefined) this.#hasOther = true;
      if (content != null) this.#takeParts(content, out);
    }
    if (hasMore) this.#takeMore(delta, out);
  }

  /** Content in parts: Mistral's. */
  #takeParts(content: unknown, out: ResponseEvent[]): void {
    if (!Array.isArray(content)) {
      if (hasContent(content)) this.#hasOther = true;
      return;
    }
    // Array.isArray makes it any[].
    for (const part of content as readonly unknown[]) {
      if (isFields(part) && part.type === "text") {
        const text = textOf(part.text);
        if (text !== "") this.#addText(text, undefined, out);
      } else if (isFields(part) && part.type === "thinking") {
        this.#addReasoning(thoughtIn(part.thinking), out);
      } else this.#hasOther = true;
    }
  }

  #takeReasoning(delta: Fields, out: ResponseEvent[]): void {
    // Some servers send the same under both names.
    const text = thoughtIn(delta.reasoning_content);
    const same = thoughtIn(delta.reasoning);
    if (text !== "" && same !== "" && text !== same) this.#hasOther = true;
    this.#addReasoning(text || same, out);

    const details = delta.reasoning_details;
    if (!Array.isArray(details)) {
      if (hasContent(details)) this.#hasOther = true;
      return;
    }
    if (details.length === 0) return;
    const pieces: readonly unknown[] = details;
    if (text === "" && same === "") this.#addReasoning(shownIn(pieces), out);
    // What has no text to show, such as a signature, does not tear a message apart.
    const item = this.#reasoning ?? this.#message ?? this.#openReasoning(out);
    item.details.add(pieces);
  }

  /** What is rarer than text. */
  #takeMore(delta: Fields, out: ResponseEvent[]): void {
    const { refusal, tool_calls, function_call } = delta;
    if (typeof refusal === "string") {
      if (refusal !== "") this.#addRefusal(refusal, out);
    } else if (hasContent(refusal)) this.#hasOther = true;

    // Array.isArray makes it any[].
    const fragments: readonly unknown[] = Array.isArray(tool_calls)
      ? tool_calls as readonly unknown[]
      : tool_calls == null
      ? NONE
      : [tool_calls];
    for (const fragment of fragments) this.#addFragment(fragment, out);
    // Servers that speak both the old and the new way say it twice.
    if (fragments.length === 0 && function_call != null) {
      this.#addFragment({ function: function_call }, out);
    }
  }

  #addText(
    delta: string,
    logprobs: readonly unknown[] | undefined,
    out: ResponseEvent[],
  ): void {
    const message = this.#message ?? this.#openMessage(out);
    if (message.textIndex < 0) message.textIndex = message.refusalIndex + 1;
    message.text += delta;
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

  #addRefusal(delta: string, out: ResponseEvent[]): void {
    const message = this.#message ?? this.#openMessage(out);
    if (message.refusalIndex < 0) message.refusalIndex = message.textIndex + 1;
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

  #addReasoning(delta: string, out: ResponseEvent[]): void {
    if (delta === "") return;
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

  #addFragment(fragment: unknown, out: ResponseEvent[]): void {
    if (!isFields(fragment)) {
      if (hasContent(fragment)) this.#hasOther = true;
      return;
    }
    const call = this.#calls.add(fragment);
    if (call === undefined) return;
    if (!call.hasBegun) {
      this.#hasOther = true;
      return;
    }
    if (call.outputIndex < 0) {
      this.#close("completed", out);
      call.outputIndex = this.#nextIndex++;
    }
    if (call.name !== "") this.#tellCall(call, call.takeReady(), out);
  }

  #tellCall(call: ToolCall, delta: string, out: ResponseEvent[]): void {
    if (!this.#deltas || call.name === "") return;
    const { outputIndex } = call;
    if (!call.isAdded) {
      call.isAdded = true;
      out.push({
        type: "output_item.added",
        item: call.item(this.#responseId, "in_progress"),
        outputIndex,
      });
    }
    if (delta === "") return;
    const itemId = `${this.#responseId}:${outputIndex}`;
    out.push({ type: "tool_call.delta", itemId, outputIndex, delta });
  }

  #tokensOf(logprobs: unknown): readonly unknown[] | undefined {
    if (isFields(logprobs)) {
      const { content, refusal } = logprobs;
      if (hasContent(refusal)) this.#hasOther = true;
      if (Array.isArray(content)) {
        return content.length > 0 ? content : undefined;
      }
      if (!hasContent(content)) return undefined;
    }
    if (hasContent(logprobs)) this.#hasOther = true;
    return undefined;
  }

  /** Whether it says what the response has cost. */
  #takeUsage(value: unknown, out: ResponseEvent[]): boolean {
    const usage = parseUsage(value);
    if (usage === undefined) {
      if (hasContent(value)) this.#hasOther = true;
      return false;
    }
    // Some tell it with every chunk.
    if (isSameUsage(usage, this.#usage)) return true;
    this.#usage = usage;
    if (!this.#deltas) return true;
    if (!this.#isCreated) this.#create("", out);
    out.push({ type: "usage", usage });
    return true;
  }

  /** Groq's own field; whether it says anything that has an event. */
  #takeGroq(value: unknown, out: ResponseEvent[]): boolean {
    if (!isFields(value)) {
      this.#hasOther = true;
      return false;
    }
    let isKnown = hasContent(value.error);
    if (value.usage != null && this.#takeUsage(value.usage, out)) {
      isKnown = true;
    }
    for (const field in value) {
      if (
        field !== "id" && field !== "seed" && field !== "usage" &&
        field !== "error" &&
        hasContent(value[field])
      ) this.#hasOther = true;
    }
    return isKnown;
  }

  #openMessage(out: ResponseEvent[]): OpenMessage {
    this.#close("completed", out);
    const message = new OpenMessage(this.#responseId, this.#nextIndex++);
    this.#message = message;
    if (this.#deltas) {
      const item = message.item("in_progress");
      const { outputIndex } = message;
      out.push({ type: "output_item.added", item, outputIndex });
    }
    return message;
  }

  #openReasoning(out: ResponseEvent[]): OpenReasoning {
    this.#close("completed", out);
    const reasoning = new OpenReasoning(this.#responseId, this.#nextIndex++);
    this.#reasoning = reasoning;
    if (this.#deltas) {
      const item = reasoning.item();
      const { outputIndex } = reasoning;
      out.push({ type: "output_item.added", item, outputIndex });
    }
    return reasoning;
  }

  /** Ends the item that text goes to, as another one begins, or nothing follows. */
  #close(status: "completed" | "incomplete", out: ResponseEvent[]): void {
    const message = this.#message;
    if (message) {
      const item = message.item(status);
      const { outputIndex } = message;
      out.push({ type: "output_item.done", item, outputIndex });
      this.#message = undefined;
    }
    const reasoning = this.#reasoning;
    if (reasoning) {
      const item = reasoning.item();
      const { outputIndex } = reasoning;
      out.push({ type: "output_item.done", item, outputIndex });
      this.#reasoning = undefined;
    }
  }

  #create(model: string, out: ResponseEvent[]): void {
    this.#isCreated = true;
    if (!this.#deltas) return;
    const responseId = this.#responseId;
    out.push(
      model === ""
        ? { type: "created", responseId }
        : { type: "created", responseId, model },
    );
    if (this.#early) out.push(this.#early);
    this.#early = undefined;
  }

  #tellOther(event: unknown, out: ResponseEvent[]): void {
    if (!this.#deltas) return;
    const other: OtherEvent = { type: "other", event };
    if (!this.#isCreated && !this.#early) {
      this.#early = other;
      return;
    }
    if (!this.#isCreated) this.#create("", out);
    out.push(other);
  }
}
