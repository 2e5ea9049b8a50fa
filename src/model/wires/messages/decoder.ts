// This module is browser compatible.
import type { ResponseItem } from "../../item.ts";
import type { OtherEvent, ResponseEvent } from "../../response_event.ts";
import type { Usage } from "../../usage.ts";
import {
  type DecoderOptions,
  errorOf,
  incompleteReason,
  type ResponseDecoder,
  type ResponseOutcome,
} from "../decoder.ts";
import type { DeltaShape } from "../delta_shape.ts";
import {
  errorIn,
  type Fields,
  hasContent,
  isDone,
  isFields,
  parseData,
  textOf,
  typeOf,
} from "../event_data.ts";
import { isSameUsage } from "../usage.ts";
import {
  Block,
  DELTA_KINDS,
  type DeltaKind,
  kindOf,
  messageOf,
} from "./blocks.ts";
import { MessageEnding } from "./endings.ts";
import { MessageUsage } from "./usage.ts";

/**
 * Reads a message of Anthropic's Messages API.
 *
 * Adjacent blocks of text are the parts of one message, as citations tear a text
 * into many. Thinking is reasoning, with its signature; `tool_use` is a function
 * call. Every other block is an item of its own type, whole as it came: all of
 * them can be sent back.
 *
 * Events are checked by hand, as in the other decoders: nearly all events
 * are deltas.
 */
export class MessagesDecoder implements ResponseDecoder {
  readonly #deltas: boolean;
  readonly #ending = new MessageEnding();
  readonly #usageSoFar = new MessageUsage();
  #usage: Usage | undefined;
  #responseId = "";
  #isCreated = false;
  #nextIndex = 0;

  /** The blocks that have begun and are not whole, by their index on the wire. */
  readonly #blocks = new Map<number, Block>();
  /** The block that has begun last, and its index. */
  #last: Block | undefined;
  #lastIndex = -1;
  /** The parts of the message that text goes to; empty while there is none. */
  #message: Block[] = [];
  /** A call that was stopped before it had any arguments: whole, unless it is the last. */
  #waiting: Block | undefined;
  readonly #unfinished: { outputIndex: number; item: ResponseItem }[] = [];
  /** Whether a piece of arguments came that belongs to no call. */
  #hasLost = false;

  /** The block that was added to last, and the reader of its deltas. */
  #shape: DeltaShape | undefined;
  #shaped: Block | undefined;

  /**
   * Makes a decoder of one message.
   *
   * @param options Whether there is more to be seen than items.
   */
  constructor({ deltas }: DecoderOptions) {
    this.#deltas = deltas;
  }

  /** Whether the stream has ended: at once with the event that says so. */
  get state(): "open" | "ended" {
    return this.#ending.ending === undefined ? "open" : "ended";
  }

  /** Nothing follows the end of a message, so there is nothing to count. */
  get progress(): number {
    return 0;
  }

  /** The id of the message; `""` as long as it is unknown. */
  get responseId(): string {
    return this.#responseId;
  }

  /** The wire has no numbers. */
  get sequenceNumber(): undefined {
    return undefined;
  }

  /** The usage of the message so far. */
  get usage(): Usage | undefined {
    return this.#usage;
  }

  /**
   * Takes one event in; after the one that ends the message, none.
   *
   * @param name The event's name, which counts only where `data` has no `type`.
   * @param data The event's data.
   * @param out The list that takes the response's events; never the last one.
   */
  push(name: string, data: string, out: ResponseEvent[]): void {
    if (this.state === "ended") return;
    if (name === "error") {
      this.#ending.fail(errorIn(data));
      return;
    }
    const shape = this.#shape;
    const shaped = this.#shaped;
    if (shape !== undefined && shaped !== undefined && shape.read(data)) {
      this.#addText(shaped, shape.text, out);
      return;
    }
    const wire = parseData(data);
    if (isFields(wire)) this.#take(name, wire, data, out);
    else if (!isDone(data) && data.trim() !== "") {
      this.#tellOther(wire === undefined ? data.trim() : wire, out);
    }
  }

  /**
   * Ends the response.
   *
   * @param out The list that takes the items that are whole now.
   * @returns The outcome.
   */
  end(out: ResponseEvent[]): ResponseOutcome {
    const ending = this.#ending.close();
    if (ending.kind === "failed" || ending.kind === "truncated") {
      // With deltas the reader has the text already, and an item that is done
      // would say that it is whole.
      if (!this.#deltas) this.#closeMessage("incomplete", out);
      return { error: errorOf(ending).about(this) };
    }
    let reason = incompleteReason(ending);
    this.#settle(this.#waiting, reason === undefined, out);
    for (const block of this.#blocks.values()) {
      const isWhole = block.isStopped || reason === undefined;
      if (block.kind !== "text") this.#settle(block, isWhole, out);
    }
    this.#closeMessage(reason === undefined ? "completed" : "incomplete", out);
    if (this.#hasLost || this.#unfinished.length > 0) {
      reason ??= "tool_call_arguments";
    }
    const responseId = this.#responseId;
    const usage = this.#usage;
    if (reason === undefined) {
      return { last: { type: "completed", responseId, usage } };
    }
    const unfinished = this.#unfinished
      .sort((a, b) => a.outputIndex - b.outputIndex).map(({ item }) => item);
    return {
      last: {
        type: "incomplete",
        reason,
        responseId,
        ...(usage ? { usage } : {}),
        ...(unfinished.length > 0 ? { unfinished } : {}),
      },
    };
  }

  #take(name: string, wire: Fields, data: string, out: ResponseEvent[]): void {
    this.#ending.take(name, wire);
    switch (typeOf(name, wire)) {
      case "content_block_delta":
        this.#takeDelta(wire, data, out);
        return;
      case "content_block_start":
        if (isFields(wire.content_block)) {
          this.#begin(indexIn(wire), wire.content_block, out);
        } else this.#tellOther(wire, out);
        return;
      case "content_block_stop":
        this.#stop(this.#blockAt(indexIn(wire)), out);
        return;
      case "message_start":
        this.#start(wire, out);
        return;
      case "message_delta": {
        this.#takeUsage(wire.usage, out);
        const { delta, usage: _usage, type: _type, ...rest } = wire;
        const { stop_reason: _, ...more } = isFields(delta) ? delta : {};
        // The other fields: the reason of a refusal, the stop sequence, the
        // container.
        if ([...Object.values(more), ...Object.values(rest)].some(hasContent)) {
          this.#tellOther(wire, out);
        }
        return;
      }
      case "message_stop":
      case "ping":
      case "error":
        return;
      default:
        this.#tellOther(wire, out);
    }
  }

  #start({ message }: Fields, out: ResponseEvent[]): void {
    if (!isFields(message)) return;
    this.#responseId ||= textOf(message.id);
    this.#create(textOf(message.model), out);
    this.#takeUsage(message.usage, out);
    if (!Array.isArray(message.content)) return;
    // Array.isArray makes it any[].
    for (const block of message.content as readonly unknown[]) {
      if (!isFields(block)) continue;
      this.#stop(this.#begin(undefined, block, out), out);
    }
  }

  #create(model: string, out: ResponseEvent[]): void {
    if (this.#isCreated) return;
    this.#isCreated = true;
    if (!this.#deltas) return;
    const responseId = this.#responseId;
    out.push({
      type: "created",
      responseId,
      ...(model === "" ? {} : { model }),
    });
  }

  /** Begins a block; one that was at its index is over. */
  #begin(
    given: number | undefined,
    start: Fields,
    out: ResponseEvent[],
  ): Block {
    this.#create("", out);
    const index = given ?? this.#lastIndex + 1;
    const before = this.#blocks.get(index);
    if (before !== undefined) this.#stop(before, out);
    // A block that another block follows was not cut off.
    this.#settle(this.#waiting, true, out);
    const kind = kindOf(start.type);
    if (kind !== "text") this.#closeMessage("completed", out);
    const isPart = kind === "text" && this.#message.length > 0;
    const block = new Block(start, kind, {
      responseId: this.#responseId,
      outputIndex: isPart
        ? this.#message[0]?.outputIndex ?? 0
        : this.#nextIndex++,
      contentIndex: kind === "text" ? this.#message.length : 0,
    });
    this.#blocks.set(index, block);
    this.#last = block;
    this.#lastIndex = index;
    if (kind === "text") this.#message.push(block);
    const item = kind === "text"
      ? messageOf([], "in_progress")
      : block.item("in_progress");
    const { outputIndex } = block;
    if (item === undefined) this.#tellOther(start, out);
    else if (this.#deltas && !isPart) {
      out.push({ type: "output_item.added", item, outputIndex });
    }
    this.#addText(block, block.startText, out);
    return block;
  }

  /** The block of an index; the last one, where the index leads to none. */
  #blockAt(index: number | undefined): Block | undefined {
    return this.#blocks.get(index ?? this.#lastIndex) ?? this.#last;
  }

  #takeDelta(wire: Fields, data: string, out: ResponseEvent[]): void {
    const { delta } = wire;
    if (!isFields(delta)) {
      this.#tellOther(wire, out);
      return;
    }
    const kind = DELTA_KINDS.get(delta.type);
    const index = indexIn(wire);
    if (kind === undefined) {
      this.#blockAt(index)?.add(delta);
      // No event tells of a citation, or a compaction; of a signature nobody needs one.
      if (delta.type !== "signature_delta") this.#tellOther(wire, out);
      return;
    }
    const text = delta[kind.field];
    if (typeof text !== "string") {
      if (hasContent(text)) this.#tellOther(wire, out);
      return;
    }
    const block = this.#blockFor(kind, index, text, out);
    if (block === undefined) {
      this.#hasLost ||= text !== "";
      this.#tellOther(wire, out);
      return;
    }
    this.#addText(block, text, out);
    // A field that is not known may be another one the next time.
    if (Object.keys(delta).length !== 2) return;
    this.#shape = block.shape(kind.field);
    this.#shaped = block;
    this.#shape.learn(data);
  }

  /** The block that a delta adds to, by its index or its kind; a new one for text. */
  #blockFor(
    { adds }: DeltaKind,
    index: number | undefined,
    text: string,
    out: ResponseEvent[],
  ): Block | undefined {
    const isFor = (block: Block | undefined): block is Block =>
      block !== undefined && adds.includes(block.kind) && !block.isTold;
    const own = index === undefined ? undefined : this.#blocks.get(index);
    if (isFor(own)) return own;
    if (isFor(this.#last) && !this.#last.isStopped) return this.#last;
    const [first] = adds;
    if (text === "" || first !== "text" && first !== "thinking") {
      return undefined;
    }
    return this.#begin(undefined, { type: first }, out);
  }

  #addText(block: Block, delta: string, out: ResponseEvent[]): void {
    if (delta === "") return;
    block.text += delta;
    if (!this.#deltas) return;
    const { itemId, outputIndex, contentIndex } = block;
    switch (block.kind) {
      case "text":
        out.push({
          type: "output_text.delta",
          itemId,
          outputIndex,
          contentIndex,
          delta,
        });
        return;
      case "thinking":
        out.push({
          type: "reasoning.delta",
          itemId,
          outputIndex,
          contentIndex,
          delta,
        });
        return;
      default:
        out.push({ type: "tool_call.delta", itemId, outputIndex, delta });
    }
  }

  #stop(block: Block | undefined, out: ResponseEvent[]): void {
    if (block === undefined || block.isStopped) return;
    block.isStopped = true;
    if (block === this.#shaped) this.#shape = this.#shaped = undefined;
    // The rest of the message may follow.
    if (block.kind === "text") return;
    const { kind, text, startInput } = block;
    if (kind === "call" && text === "" && startInput === "") {
      this.#waiting = block;
    } else this.#settle(block, true, out);
  }

  /** Tells a block that is over; `isWhole` where nothing says that it was cut. */
  #settle(
    block: Block | undefined,
    isWhole: boolean,
    out: ResponseEvent[],
  ): void {
    if (block === undefined) return;
    if (block === this.#waiting) this.#waiting = undefined;
    block.isTold = true;
    for (const [index, open] of this.#blocks) {
      if (open === block) this.#blocks.delete(index);
    }
    if (block.text === "") this.#addText(block, block.startInput, out);
    const isDone = isWhole && block.hasWholeInput;
    const item = block.item(isDone ? "completed" : "incomplete");
    if (item === undefined) return;
    const { outputIndex } = block;
    if (isDone || block.kind === "thinking") {
      out.push({ type: "output_item.done", item, outputIndex });
    } else this.#unfinished.push({ outputIndex, item });
  }

  /** Ends the message that text goes to, as another item begins, or nothing follows. */
  #closeMessage(
    status: "completed" | "incomplete",
    out: ResponseEvent[],
  ): void {
    const [first] = this.#message;
    if (first === undefined) return;
    const item = messageOf(this.#message, status);
    for (const block of this.#message) block.isTold = true;
    this.#message = [];
    if (this.#shaped?.kind === "text") this.#shape = this.#shaped = undefined;
    const { outputIndex } = first;
    out.push({ type: "output_item.done", item, outputIndex });
  }

  #takeUsage(value: unknown, out: ResponseEvent[]): void {
    const usage = this.#usageSoFar.take(value);
    if (usage === undefined || isSameUsage(usage, this.#usage)) return;
    this.#usage = usage;
    if (this.#deltas) out.push({ type: "usage", usage });
  }

  #tellOther(event: unknown, out: ResponseEvent[]): void {
    if (!this.#deltas) return;
    const other: OtherEvent = { type: "other", event };
    out.push(other);
  }
}

function indexIn({ index }: Fields): number | undefined {
  return typeof index === "number" ? index : undefined;
}
