// This module is browser compatible.
import {
  type DecoderOptions,
  errorOf,
  incompleteReason,
  type ResponseDecoder,
  type ResponseOutcome,
} from "../decoder.ts";
import { DeltaShape } from "../delta_shape.ts";
import type {
  CompletedEvent,
  IncompleteEvent,
  OtherEvent,
  ResponseEvent,
} from "../../response_event.ts";
import type { Usage } from "../../usage.ts";
import { isSameUsage, parseUsage } from "../usage.ts";
import {
  bareError,
  errorIn,
  type Fields,
  hasContent,
  isDone,
  isFields,
  parseData,
  textOf,
} from "../event_data.ts";
import { CHAT_CUT, ChatEnding, choicesOf, placeOfAnswer } from "./endings.ts";
import { Finish } from "./finish.ts";
import { ChatOutput } from "./output.ts";
import { shownIn, thoughtIn } from "./reasoning_details.ts";
import { textValuesOf } from "./text_values.ts";
import { THOUGHTS, WholeMessages } from "./whole_message.ts";

const NONE: readonly unknown[] = [];

/**
 * Reads the chunks of the Chat Completions API.
 *
 * The code checks chunks by hand and not by a schema: a chunk has one token, so
 * the rest of this client has about half a microsecond for it, and zod would
 * take several. Every field is `unknown` until it was checked.
 */
export class ChatDecoder implements ResponseDecoder {
  readonly #deltas: boolean;
  #progress = 0;
  readonly #output: ChatOutput;
  readonly #messages: WholeMessages;
  /** The choice that is read. */
  readonly #read: "only" | "first";
  readonly #ending: ChatEnding;
  readonly #finish = new Finish();
  #state: "open" | "told" | "ending" | "ended" = "open";
  #usage: Usage | undefined;
  #serviceTier: string | undefined;
  #isCreated = false;
  /**
   * An event that came before the chunk with the id, to be reported after it.
   */
  #early: OtherEvent | undefined;
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
    this.#output = new ChatOutput(options.deltas);
    this.#messages = new WholeMessages(this.#output);
    this.#read = options.hasSeveral ? "first" : "only";
    this.#ending = new ChatEnding(this.#read);
  }

  /** Whether the stream has ended. */
  get state(): "open" | "told" | "ending" | "ended" {
    return this.#state;
  }

  /** The number of chunks that had a choice. */
  get progress(): number {
    return this.#progress;
  }

  /** The id of the response; `""` as long as it is unknown. */
  get responseId(): string {
    return this.#output.responseId;
  }

  /** Chat has no numbers. */
  get sequenceNumber(): undefined {
    return undefined;
  }

  /** The tokens used, as last reported. */
  get usage(): Usage | undefined {
    return this.#usage;
  }

  /**
   * Takes one event in.
   *
   * @param name The event's name; only `error` has a meaning.
   * @param data The event's data.
   * @param out The list that takes the response's events.
   */
  push(name: string, data: string, out: ResponseEvent[]): void {
    if (this.#state === "ended") return;
    if (name !== "error" && this.#shape.read(data)) {
      this.#progress++;
      if (this.#shape.text === "") return;
      this.#output.addText(this.#shape.text, undefined, out);
      if (!this.#finish.isTold) return;
      this.#finish.takeChunk(false, true, true);
    } else if (name === "error") this.#ending.fail(errorIn(data));
    else this.#take(data, out);
    this.#state = this.#stateNow();
  }

  #stateNow(): "open" | "told" | "ending" | "ended" {
    const { isOver, ending } = this.#ending;
    if (isOver) return "ended";
    if (ending === undefined) return "open";
    return ending.kind === "failed" || this.#finish.isSettled
      ? "ending"
      : "told";
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
    } else if (!this.#ending.takeOther(event)) {
      this.#tellOther(event, out);
    }
  }

  /**
   * Ends the response.
   *
   * @param out The list that takes the items that are whole now.
   * @param isBroken Whether the body broke off, so that a `finish_reason` that may
   * have come early is no end.
   * @returns The outcome.
   */
  end(out: ResponseEvent[], isBroken = false): ResponseOutcome {
    if (this.#early) this.#create("", out);
    const ending = isBroken && this.#state === "told"
      ? CHAT_CUT
      : this.#ending.close();
    if (ending.kind === "failed" || ending.kind === "truncated") {
      this.#output.breakOff(out);
      return {
        error: errorOf(ending).about({
          responseId: this.responseId,
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
    const output = this.#output;
    const hasFinish = this.#ending.firstFinish !== "";
    const isWhole = reason === undefined;
    const unfinished = output.endCalls(isWhole, hasFinish, out);
    output.close(isWhole ? "completed" : "incomplete", out);
    const { responseId } = output;
    const usage = this.#usage;
    return isWhole && unfinished.length === 0
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
    const choices = choicesOf(chunk);
    const count = choices.length;
    if (count > 0) this.#progress++;
    if (typeof chunk.service_tier === "string") {
      this.#serviceTier = chunk.service_tier;
    }
    if (this.responseId === "") this.#output.responseId = textOf(chunk.id);
    const hasFailed = chunk.error != null && hasContent(chunk.error);
    const isError = chunk.object === "error" ||
      count === 0 && bareError(chunk) !== undefined;
    if (isError && !hasFailed) return;
    // Azure's first chunk has no id, and a failure is no beginning.
    if (
      !this.#isCreated &&
      (count > 0 || this.responseId !== "" && !hasFailed)
    ) this.#create(textOf(chunk.model), out);
    const choice = choices[placeOfAnswer(choices, this.#read)];
    if (isFields(choice)) this.#takeChoice(choice, out);
    if (count > (choice === undefined ? 0 : 1)) this.#hasOther = true;
    let isKnown = count > 0 || hasFailed;
    if (chunk.usage != null && this.#takeUsage(chunk.usage, out)) {
      isKnown = true;
      if (count === 0) this.#finish.takeUsage();
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
        // Padding of OpenAI and Cloudflare: it hides from the chunk's size
        // which token it holds.
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
    const output = this.#output;
    const { pieces } = output;
    const { delta, logprobs, message, text } = choice;
    const tokens = logprobs != null ? this.#tokensOf(logprobs) : undefined;
    if (isFields(delta)) this.#takeDelta(delta, tokens, out);
    else if (typeof delta === "string" && delta !== "") {
      output.addText(delta, tokens, out);
    } else if (hasContent(delta)) this.#hasOther = true;
    // The content once more (Together), or that of the Completions API.
    const isContent = output.pieces === pieces && !isFields(message);
    if (isContent && typeof text === "string" && text !== "") {
      output.addText(text, tokens, out);
    }
    if (output.pieces > pieces) this.#messages.hasDeltas = true;
    const finish = textOf(choice.finish_reason);
    if (isFields(message) && this.#messages.take(message, finish !== "", out)) {
      this.#hasOther = true;
    }
    this.#finish.takeChunk(
      finish !== "",
      output.pieces > pieces,
      output.hasAnswer,
    );
    for (const field in choice) {
      switch (field) {
        case "index":
        case "delta":
        case "message":
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
        case "text":
          if (!isFields(delta) || text === delta.content) break;
          if (hasContent(text) && hasContent(delta.content)) {
            this.#hasOther = true;
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
    let hasExtras = false;
    for (const field in delta) {
      switch (field) {
        case "content":
        case "role":
        case "channel":
        case "token_id":
          break;
        case "reasoning_content":
        case "reasoning":
        case "reasoning_text":
        case "thinking":
        case "reasoning_details":
        case "reasoning_opaque":
          hasReasoning = true;
          break;
        case "refusal":
        case "tool_calls":
        case "function_call":
        case "text":
          hasMore = true;
          break;
        case "annotations":
        case "images":
          // And they are passed on, as they have no event of their own.
          if (!hasContent(delta[field])) break;
          hasExtras = this.#hasOther = true;
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
      if (content !== "") this.#output.addText(content, logprobs, out);
      else if (logprobs !== undefined) this.#hasOther = true;
    } else {
      if (logprobs !== undefined) this.#hasOther = true;
      if (content != null) this.#takeParts(content, out);
    }
    if (hasMore) this.#takeMore(delta, out);
    if (hasExtras) this.#output.addExtras(delta, out);
  }

  /** Content in parts: Mistral's. */
  #takeParts(content: unknown, out: ResponseEvent[]): void {
    const output = this.#output;
    const parts: readonly unknown[] = Array.isArray(content)
      ? content as readonly unknown[] // Array.isArray makes it any[].
      : [content];
    for (const part of parts) {
      if (typeof part === "string") {
        if (part !== "") output.addText(part, undefined, out);
      } else if (!isFields(part)) this.#hasOther ||= hasContent(part);
      else if (part.type === "thinking" || part.type === "reasoning") {
        output.addReasoning(
          thoughtIn(part.thinking) || thoughtIn(part.reasoning) ||
            thoughtIn(part),
          out,
        );
      } else if (typeof part.text === "string") {
        if (part.text !== "") output.addText(part.text, undefined, out);
      } else if (typeof part.refusal === "string" && part.refusal !== "") {
        output.addRefusal(part.refusal, out);
      } else if (hasContent(part)) this.#hasOther = true;
    }
  }

  #takeReasoning(delta: Fields, out: ResponseEvent[]): void {
    const output = this.#output;
    // Some servers send the same under more than one name.
    let text = "";
    for (const name of THOUGHTS) {
      const thought = thoughtIn(delta[name]);
      if (thought === "") continue;
      if (text === "") text = thought;
      else if (text !== thought) this.#hasOther = true;
    }
    output.addReasoning(text, out);
    const { reasoning_opaque: signature } = delta;
    if (hasContent(signature)) {
      output.itemForSignature(out).keep("reasoning_opaque", signature);
    }

    const details = delta.reasoning_details;
    if (!Array.isArray(details)) {
      if (hasContent(details)) this.#hasOther = true;
      return;
    }
    if (details.length === 0) return;
    const pieces: readonly unknown[] = details;
    if (text === "") output.addReasoning(shownIn(pieces), out);
    output.itemForSignature(out).details.add(pieces);
  }

  /** Takes the fields that are rarer than text. */
  #takeMore(delta: Fields, out: ResponseEvent[]): void {
    const output = this.#output;
    const { refusal, tool_calls, function_call, text } = delta;
    if (typeof text === "string" && !hasContent(delta.content)) {
      if (text !== "") output.addText(text, undefined, out);
    } else if (hasContent(text) && text !== delta.content) {
      this.#hasOther = true;
    }
    if (typeof refusal === "string") {
      if (refusal !== "") output.addRefusal(refusal, out);
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

  #addFragment(fragment: unknown, out: ResponseEvent[]): void {
    if (this.#output.addFragment(fragment, out)) this.#hasOther = true;
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
    const usage = parseUsage(value, this.#serviceTier);
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

  #create(model: string, out: ResponseEvent[]): void {
    this.#isCreated = true;
    if (!this.#deltas) return;
    const responseId = this.responseId;
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
