// This module is browser compatible.
import {
  type DecoderOptions,
  errorOf,
  incompleteReason,
  type ResponseDecoder,
  type ResponseOutcome,
} from "../decoder.ts";
import { DeltaShape, type DeltaValues } from "../delta_shape.ts";
import type { SaidEnding } from "../ending.ts";
import { parseData, typeOf } from "../event_data.ts";
import {
  isSilent,
  oddResponseEnding,
  RESPONSE_CUT,
  responseEnding,
} from "./endings.ts";
import { parseItem, type ResponseItem } from "../../item.ts";
import type {
  CompletedEvent,
  CreatedEvent,
  IncompleteEvent,
  OtherEvent,
  OutputTextDeltaEvent,
  ReasoningDeltaEvent,
  ReasoningSummaryDeltaEvent,
  RefusalDeltaEvent,
  ResetEvent,
  ResponseEvent,
  ToolCallDeltaEvent,
} from "../../response_event.ts";
import type { Usage } from "../../usage.ts";
import { parseUsage } from "../usage.ts";

/** An event of the wire: an object, whose fields may be anything. */
interface WireEvent {
  readonly type?: unknown;
  readonly sequence_number?: unknown;
  readonly item_id?: unknown;
  readonly output_index?: unknown;
  readonly content_index?: unknown;
  readonly summary_index?: unknown;
  readonly delta?: unknown;
  readonly logprobs?: unknown;
  readonly arguments?: unknown;
  readonly input?: unknown;
  readonly item?: unknown;
  readonly response?: unknown;
  readonly error?: unknown;
}

/** The response that comes with the events of its beginning and its end. */
interface WireResponse {
  readonly id?: unknown;
  readonly model?: unknown;
  readonly usage?: unknown;
  readonly end_turn?: unknown;
}

/** To be filled in, before it is given out. */
type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** An event that comes of one of the wire. */
type NumberedEvent = Exclude<ResponseEvent, ResetEvent>;

type PartDeltaEvent =
  | OutputTextDeltaEvent
  | RefusalDeltaEvent
  | ReasoningDeltaEvent;

/** A call that the model is still writing. */
interface OpenCall {
  readonly item: ResponseItem;
  /** Its arguments, or its input, as far as they came. */
  written: string;
}

const EMPTY: WireResponse = {};

/**
 * Reads a response of the Responses API.
 *
 * Its events are checked by hand, and only items and usage by their schemas:
 * nearly all are deltas, and for each of those a schema takes 0.2 µs, which is
 * half of what `JSON.parse` does, and this 0.03 µs.
 */
export class ResponsesDecoder implements ResponseDecoder {
  readonly #deltas: boolean;
  #outcome: ResponseOutcome | undefined;
  #responseId = "";
  #sequenceNumber: number | undefined;
  #usage: Usage | undefined;

  /** The deltas of the part that is being written, and one of them. */
  readonly #shape = new DeltaShape("delta", valuesOf);
  #sample: PartDeltaEvent | undefined;

  /** The place of the next item, for a wire that leaves `output_index` out. */
  #nextIndex = 0;
  /** The item that has begun last and is not done, for the same. */
  #openIndex: number | undefined;
  /** The places of the items that have begun and are not done, by their ids, for the same. */
  readonly #indexes = new Map<unknown, number>();
  /** The calls that have begun and are not done, by their place. */
  readonly #openCalls = new Map<number, OpenCall>();
  /** The calls that the provider has cut off, by their place. */
  readonly #unfinished = new Map<number, ResponseItem>();

  /**
   * Makes a decoder of one response.
   *
   * @param options Whether there is more to be seen than items.
   */
  constructor({ deltas }: DecoderOptions) {
    this.#deltas = deltas;
  }

  /** Whether the stream has ended: at once with the event that says so. */
  get state(): "open" | "ended" {
    return this.#outcome === undefined ? "open" : "ended";
  }

  /** Nothing follows the end of such a response, so there is nothing to count. */
  get progress(): number {
    return 0;
  }

  /** The id of the response; `""` as long as it is unknown. */
  get responseId(): string {
    return this.#responseId;
  }

  /** The last number of an event; `undefined` if there was none. */
  get sequenceNumber(): number | undefined {
    return this.#sequenceNumber;
  }

  /** What the response has cost; `undefined` until its end says so. */
  get usage(): Usage | undefined {
    return this.#usage;
  }

  /**
   * Takes one event in; after the one that ends the response, none.
   *
   * @param name The event's name, which counts only where `data` has no `type`.
   * @param data The event's data.
   * @param out Where the response's events go that come of it; never the last.
   */
  push(name: string, data: string, out: ResponseEvent[]): void {
    // The first that says how it ends is right: OpenAI sends `error`, and then
    // `response.failed`, which knows no more.
    if (this.#outcome !== undefined || this.#readDelta(data, out)) return;
    const wire = parseData(data);
    if (!isObject(wire)) {
      this.#pushOdd(name, data, wire, out);
      return;
    }
    const number = wire.sequence_number;
    if (typeof number === "number") this.#sequenceNumber = number;
    // The most frequent ones first: they are compared one after the other.
    const type = typeOf(name, wire);
    switch (type) {
      case "response.output_text.delta":
        if (this.#deltas) this.#partDelta("output_text.delta", wire, out, data);
        return;
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
      case "response.mcp_call_arguments.delta":
        this.#callDelta(wire, out);
        return;
      case "response.reasoning_summary_text.delta":
        if (this.#deltas) this.#summaryDelta(wire, out);
        return;
      case "response.reasoning_text.delta":
        if (this.#deltas) this.#partDelta("reasoning.delta", wire, out, data);
        return;
      case "response.refusal.delta":
        if (this.#deltas) this.#partDelta("refusal.delta", wire, out, data);
        return;
      case "response.output_item.added":
        this.#itemAdded(wire, out);
        return;
      case "response.output_item.done":
        this.#itemDone(wire, out);
        return;
      case "response.function_call_arguments.done":
      case "response.custom_tool_call_input.done":
        this.#callWritten(wire);
        this.#other(wire, out);
        return;
      case "response.created":
        this.#created(wire, out);
        return;
      case "response.queued":
      case "response.in_progress":
        this.#responseOf(wire);
        this.#other(wire, out);
        return;
      case "codex.rate_limits":
        if (this.#deltas) {
          out.push(numbered({ type: "rate_limits", rateLimits: wire }, wire));
        }
        return;
      default: {
        const ending = responseEnding(type, wire);
        if (ending === undefined) this.#other(wire, out);
        else this.#end(ending, wire, out);
      }
    }
  }

  /**
   * Ends the response; nothing was held back.
   *
   * @param _out Where the response's events would go.
   * @returns How it has ended: truncated, if no event has said how.
   */
  end(_out: ResponseEvent[]): ResponseOutcome {
    return this.#outcome ??= {
      error: errorOf(RESPONSE_CUT).about(this),
    };
  }

  /** Reads a delta that is as those before, without parsing what it repeats. */
  #readDelta(data: string, out: ResponseEvent[]): boolean {
    const shape = this.#shape;
    const sample = this.#sample;
    if (sample === undefined || !shape.read(data)) return false;
    const { type, itemId, outputIndex, contentIndex } = sample;
    const { text: delta, number: sequenceNumber } = shape;
    this.#sequenceNumber = sequenceNumber;
    // Of a sample that has both an id and a number.
    out.push({
      type,
      itemId,
      outputIndex,
      contentIndex,
      delta,
      sequenceNumber,
    } as PartDeltaEvent);
    return true;
  }

  /** Data that is no object: a ping, `[DONE]`, or something odd. */
  #pushOdd(
    name: string,
    data: string,
    wire: unknown,
    out: ResponseEvent[],
  ): void {
    if (isSilent(data)) return;
    const ending = oddResponseEnding(name, data, wire);
    if (ending !== undefined) this.#end(ending, {}, out);
    else this.#other(wire === undefined ? data : wire, out);
  }

  #other(event: unknown, out: ResponseEvent[]): void {
    if (!this.#deltas) return;
    const made: OtherEvent = { type: "other", event };
    out.push(isObject(event) ? numbered(made, event) : made);
  }

  #partDelta(
    type: PartDeltaEvent["type"],
    wire: WireEvent,
    out: ResponseEvent[],
    data: string,
  ): void {
    const itemId = wire.item_id;
    const outputIndex = this.#indexOf(wire);
    const contentIndex = placeOf(wire.content_index);
    const delta = wire.delta;
    if (typeof delta !== "string" || outputIndex < 0 || contentIndex < 0) {
      this.#other(wire, out);
      return;
    }
    const sequenceNumber = wire.sequence_number;
    let made: Draft<PartDeltaEvent>;
    if (typeof itemId === "string" && typeof sequenceNumber === "number") {
      // As nearly all are: made at once, as fields that are added take longer.
      made = { type, itemId, outputIndex, contentIndex, delta, sequenceNumber };
      this.#sample = made;
      this.#shape.learn(data);
    } else {
      made = numbered({ type, outputIndex, contentIndex, delta }, wire);
      if (typeof itemId === "string") made.itemId = itemId;
    }
    if (made.type === "output_text.delta") {
      const logprobs: unknown = wire.logprobs;
      if (Array.isArray(logprobs) && logprobs.length > 0) {
        made.logprobs = logprobs;
      }
    }
    out.push(made);
  }

  #summaryDelta(wire: WireEvent, out: ResponseEvent[]): void {
    const type = "reasoning_summary.delta";
    const itemId = wire.item_id;
    const outputIndex = this.#indexOf(wire);
    const summaryIndex = placeOf(wire.summary_index);
    const delta = wire.delta;
    if (typeof delta !== "string" || outputIndex < 0 || summaryIndex < 0) {
      this.#other(wire, out);
      return;
    }
    const sequenceNumber = wire.sequence_number;
    if (typeof itemId === "string" && typeof sequenceNumber === "number") {
      out.push({
        type,
        itemId,
        outputIndex,
        summaryIndex,
        delta,
        sequenceNumber,
      });
      return;
    }
    const made: Draft<ReasoningSummaryDeltaEvent> = numbered(
      { type, outputIndex, summaryIndex, delta },
      wire,
    );
    if (typeof itemId === "string") made.itemId = itemId;
    out.push(made);
  }

  #callDelta(wire: WireEvent, out: ResponseEvent[]): void {
    const type = "tool_call.delta";
    const itemId = wire.item_id;
    const outputIndex = this.#indexOf(wire);
    const delta = wire.delta;
    if (typeof delta !== "string" || outputIndex < 0) {
      this.#other(wire, out);
      return;
    }
    const call = this.#openCalls.get(outputIndex);
    if (call !== undefined) call.written += delta;
    if (!this.#deltas) return;
    const sequenceNumber = wire.sequence_number;
    if (typeof itemId === "string" && typeof sequenceNumber === "number") {
      out.push({ type, itemId, outputIndex, delta, sequenceNumber });
      return;
    }
    const made: Draft<ToolCallDeltaEvent> = numbered(
      { type, outputIndex, delta },
      wire,
    );
    if (typeof itemId === "string") made.itemId = itemId;
    out.push(made);
  }

  /** What was written of a call, told once more as a whole. */
  #callWritten(wire: WireEvent): void {
    const call = this.#openCalls.get(this.#indexOf(wire));
    const written = wire.arguments ?? wire.input;
    if (call !== undefined && typeof written === "string") {
      call.written = written;
    }
  }

  #itemAdded(wire: WireEvent, out: ResponseEvent[]): void {
    const item = parseItem(wire.item);
    const outputIndex = placeOf(wire.output_index, this.#nextIndex);
    if (item === undefined || outputIndex < 0) {
      this.#other(wire, out);
      return;
    }
    this.#openIndex = outputIndex;
    if (typeof item.id === "string") this.#indexes.set(item.id, outputIndex);
    this.#nextIndex = Math.max(this.#nextIndex, outputIndex + 1);
    if (isCall(item)) {
      this.#openCalls.set(outputIndex, { item, written: "" });
    }
    if (!this.#deltas) return;
    out.push(
      numbered({ type: "output_item.added", item, outputIndex }, wire),
    );
  }

  #itemDone(wire: WireEvent, out: ResponseEvent[]): void {
    const item = parseItem(wire.item);
    const outputIndex = this.#indexOf(wire, item?.id);
    if (item === undefined || outputIndex < 0) {
      this.#other(wire, out);
      return;
    }
    if (outputIndex === this.#openIndex) this.#openIndex = undefined;
    this.#nextIndex = Math.max(this.#nextIndex, outputIndex + 1);
    this.#indexes.delete(item.id);
    this.#openCalls.delete(outputIndex);
    if (isCall(item) && item.status === "incomplete") {
      // It must not look like one that may be run.
      this.#unfinished.set(outputIndex, item);
      return;
    }
    out.push(numbered({ type: "output_item.done", item, outputIndex }, wire));
  }

  #created(wire: WireEvent, out: ResponseEvent[]): void {
    const { model } = this.#responseOf(wire);
    if (!this.#deltas) return;
    const made: Draft<CreatedEvent> = {
      type: "created",
      responseId: this.#responseId,
    };
    if (typeof model === "string") made.model = model;
    out.push(numbered(made, wire));
  }

  /** Ends the response; an event that does so may also tell its usage. */
  #end(ending: SaidEnding, wire: WireEvent, out: ResponseEvent[]): void {
    const response = this.#responseOf(wire);
    const usage = parseUsage(response.usage);
    if (usage !== undefined) {
      this.#usage = usage;
      if (this.#deltas) out.push(numbered({ type: "usage", usage }, wire));
    }
    if (ending.kind === "failed") {
      this.#outcome = { error: errorOf(ending).about(this) };
      return;
    }
    const reason = incompleteReason(ending) ??
      (this.#unfinished.size > 0 ? "tool_call_arguments" : undefined);
    if (reason !== undefined) {
      this.#cutOff(reason, wire);
      return;
    }
    const last: Draft<CompletedEvent> = {
      type: "completed",
      responseId: this.#responseId,
      usage: this.#usage,
    };
    if (typeof response.end_turn === "boolean") {
      last.endTurn = response.end_turn;
    }
    this.#outcome = { last: numbered(last, wire) };
  }

  #cutOff(reason: string, wire: WireEvent): void {
    const last: Draft<IncompleteEvent> = {
      type: "incomplete",
      reason,
      responseId: this.#responseId,
    };
    if (this.#usage !== undefined) last.usage = this.#usage;
    for (const [outputIndex, call] of this.#openCalls) {
      this.#unfinished.set(outputIndex, asWritten(call));
    }
    if (this.#unfinished.size > 0) {
      last.unfinished = [...this.#unfinished]
        .sort(([a], [b]) => a - b).map(([, item]) => item);
    }
    this.#outcome = { last: numbered(last, wire) };
  }

  /** The response of an event, whose id is kept. */
  #responseOf({ response }: WireEvent): WireResponse {
    if (!isObject(response)) return EMPTY;
    const facts = response as WireResponse; // whose fields may be anything
    const { id } = facts;
    if (typeof id === "string" && id !== "") this.#responseId = id;
    return facts;
  }

  /** The place of an event's item; -1 if it is none. */
  #indexOf(wire: WireEvent, itemId = wire.item_id): number {
    const index = wire.output_index;
    if (typeof index === "number") return index;
    return placeOf(
      index,
      this.#indexes.get(itemId) ?? this.#openIndex ?? this.#nextIndex,
    );
  }
}

/** Whether it is an object (or an array), whose fields may be anything. */
function isObject(value: unknown): value is WireEvent {
  return typeof value === "object" && value !== null;
}

/** A place among others: the usual one if it is left out, -1 if it is none. */
function placeOf(index: unknown, usual = 0): number {
  if (typeof index === "number") return index;
  return index == null ? usual : -1;
}

/** Adds the number of the wire's event, if it has one. */
function numbered<T extends NumberedEvent>(event: T, wire: WireEvent): T {
  const number = wire.sequence_number;
  if (typeof number === "number") {
    // Nobody else has it yet: it is read-only for those it is given to.
    (event as Draft<NumberedEvent>).sequenceNumber = number;
  }
  return event;
}

/**
 * What is different from one delta to the next: nothing, if there is something in
 * it that a part's delta with an id and a number does not have, or what it is and
 * where it belongs has to be found out elsewhere.
 */
function valuesOf(event: unknown): DeltaValues {
  const { type, output_index, delta, sequence_number, logprobs } =
    event as WireEvent; // a delta
  const isWhole = typeof type === "string" &&
    typeof output_index === "number" &&
    !(Array.isArray(logprobs) && logprobs.length > 0);
  return { text: isWhole ? delta : undefined, number: sequence_number };
}

/** Whether it is a call that the caller is to run. */
function isCall(item: ResponseItem): boolean {
  return item.type === "function_call" || item.type === "custom_tool_call";
}

/** A call that is not done, as far as it came. */
function asWritten({ item, written }: OpenCall): ResponseItem {
  if (item.type === "function_call") {
    return {
      ...item,
      arguments: written || item.arguments,
      status: "incomplete",
    };
  }
  if (item.type === "custom_tool_call") {
    return { ...item, input: written || item.input, status: "incomplete" };
  }
  return item;
}
