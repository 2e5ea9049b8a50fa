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
import { isFields, parseData, textOf, typeOf } from "../event_data.ts";
import {
  isSilent,
  oddResponseEnding,
  RESPONSE_CUT,
  responseEnding,
  wholeResponse,
} from "./endings.ts";
import type { ResponseItem } from "../../item.ts";
import { deltaOf } from "./piece.ts";
import { Places, toPlace } from "./places.ts";
import { readItem } from "./odd_item.ts";
import { type DoneItem, isCall, ToldItems } from "./told_items.ts";
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
import type { DeltaEvent } from "../../partial_item.ts";
import type { Usage } from "../../usage.ts";
import { parseUsage } from "../usage.ts";

/** An event of the wire: an object, whose fields may be anything. */
interface WireEvent {
  readonly type?: unknown;
  readonly object?: unknown;
  readonly sequence_number?: unknown;
  readonly item_id?: unknown;
  readonly output_index?: unknown;
  readonly content_index?: unknown;
  readonly summary_index?: unknown;
  readonly delta?: unknown;
  readonly logprobs?: unknown;
  readonly text?: unknown;
  readonly refusal?: unknown;
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
  readonly service_tier?: unknown;
  readonly end_turn?: unknown;
  readonly output?: unknown;
  readonly output_text?: unknown;
}

/** To be filled in, before it is given out. */
type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** An event that comes of one of the wire. */
type NumberedEvent = Exclude<ResponseEvent, ResetEvent>;

type PartDeltaEvent =
  | OutputTextDeltaEvent
  | RefusalDeltaEvent
  | ReasoningDeltaEvent;

const EMPTY: WireResponse & WireEvent = {};

/** Other names of events, which some servers have. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["response.text.delta", "response.output_text.delta"],
  ["response.reasoning.delta", "response.reasoning_text.delta"],
  [
    "response.reasoning_summary.delta",
    "response.reasoning_summary_text.delta",
  ],
]);

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
  /** The deltas that were read by the shape: to take each in would cost as much as to read it. */
  #pieces: string[] = [];

  /** The items as they were told, and their places. */
  readonly #told = new ToldItems();
  readonly #places = new Places(this.#told);
  /** The types of items that could not be read. */
  readonly #unread: string[] = [];
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

  /** The tokens used; `undefined` until the end reports them. */
  get usage(): Usage | undefined {
    return this.#usage;
  }

  /**
   * Takes one event in; after the one that ends the response, none.
   *
   * @param name The event's name, which counts only where `data` has no `type`.
   * @param data The event's data.
   * @param out The list that takes the response's events; never the last one.
   */
  push(name: string, data: string, out: ResponseEvent[]): void {
    // The first that says how it ends is right: OpenAI sends `error`, and then
    // `response.failed`, which knows no more.
    if (this.#outcome !== undefined || this.#readDelta(data, out)) return;
    this.#takePieces();
    const wire = parseData(data);
    if (!isObject(wire) || Array.isArray(wire)) {
      this.#pushOdd(name, data, wire, out);
      return;
    }
    const number = wire.sequence_number;
    if (typeof number === "number") this.#sequenceNumber = number;
    // The most frequent ones first: they are compared one after the other.
    const type = typeOf(name, wire);
    this.#read(ALIASES.get(type) ?? type, wire, data, out);
  }

  #read(
    type: string,
    wire: WireEvent,
    data: string,
    out: ResponseEvent[],
  ): void {
    switch (type) {
      case "response.output_text.delta":
        this.#partDelta("output_text.delta", wire, out, data);
        return;
      case "response.function_call_arguments.delta":
      case "response.custom_tool_call_input.delta":
      case "response.mcp_call_arguments.delta":
        this.#callDelta(wire, out);
        return;
      case "response.reasoning_summary_text.delta":
        this.#summaryDelta(wire, out);
        return;
      case "response.reasoning_text.delta":
        this.#partDelta("reasoning.delta", wire, out, data);
        return;
      case "response.refusal.delta":
        this.#partDelta("refusal.delta", wire, out, data);
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
        // A whole response that is no event, as a server sends it that cannot stream.
        const whole = wholeResponse(type, wire);
        const ending = responseEnding(whole.type, whole.wire);
        if (ending === undefined) this.#other(wire, out);
        else this.#end(ending, whole.wire, out);
      }
    }
  }

  /**
   * Ends the response; nothing was held back.
   *
   * @param _out The list for the response's events.
   * @returns The outcome: truncated, if no event has said how.
   */
  end(_out: ResponseEvent[]): ResponseOutcome {
    return this.#outcome ??= {
      error: errorOf(RESPONSE_CUT).about(this),
    };
  }

  /** Takes in what has been told since the last event that was parsed. */
  #takePieces(): void {
    const sample = this.#sample;
    if (sample === undefined || this.#pieces.length === 0) return;
    this.#told.push({ ...sample, delta: this.#pieces.join("") });
    this.#pieces = [];
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
    if (this.#deltas) {
      out.push({
        type,
        itemId,
        outputIndex,
        contentIndex,
        delta,
        sequenceNumber,
      } as PartDeltaEvent);
    }
    this.#pieces.push(delta);
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
    const outputIndex = this.#places.of(wire, itemId);
    const contentIndex = toPlace(wire.content_index) ?? 0;
    const delta = textIn(wire);
    if (delta === undefined) {
      this.#other(wire, out);
      return;
    }
    const sequenceNumber = wire.sequence_number;
    let made: Draft<PartDeltaEvent>;
    if (typeof itemId === "string" && typeof sequenceNumber === "number") {
      // As nearly all are: made at once, as fields that are added take longer.
      made = { type, itemId, outputIndex, contentIndex, delta, sequenceNumber };
      if (wire.output_index === outputIndex && delta === wire.delta) {
        this.#sample = made;
        this.#shape.learn(data);
      }
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
    this.#tell(made, out);
  }

  #summaryDelta(wire: WireEvent, out: ResponseEvent[]): void {
    const type = "reasoning_summary.delta";
    const itemId = wire.item_id;
    const outputIndex = this.#places.of(wire, itemId);
    const summaryIndex = toPlace(wire.summary_index) ?? 0;
    const delta = textIn(wire);
    if (delta === undefined) {
      this.#other(wire, out);
      return;
    }
    const made: Draft<ReasoningSummaryDeltaEvent> = {
      type,
      outputIndex,
      summaryIndex,
      delta,
    };
    if (typeof itemId === "string") made.itemId = itemId;
    this.#tell(numbered(made, wire), out);
  }

  #callDelta(wire: WireEvent, out: ResponseEvent[]): void {
    const type = "tool_call.delta";
    const itemId = wire.item_id;
    const outputIndex = this.#places.of(wire, itemId);
    const delta = textIn(wire) ??
      (isFields(wire.delta) ? JSON.stringify(wire.delta) : undefined);
    if (delta === undefined) {
      this.#other(wire, out);
      return;
    }
    const made: Draft<ToolCallDeltaEvent> = { type, outputIndex, delta };
    if (typeof itemId === "string") made.itemId = itemId;
    this.#tell(numbered(made, wire), out);
  }

  #tell(event: DeltaEvent, out: ResponseEvent[]): void {
    this.#told.push(event);
    if (this.#deltas) out.push(event);
  }

  /** Takes in a call that is written out, as the stream repeats it whole. */
  #callWritten(wire: WireEvent): void {
    const written = wire.arguments ?? wire.input;
    if (typeof written !== "string") return;
    this.#told.write(this.#places.of(wire, wire.item_id), written);
  }

  #itemAdded(wire: WireEvent, out: ResponseEvent[]): void {
    const item = this.#itemOf(wire);
    if (item === undefined) {
      this.#other(wire, out);
      return;
    }
    const outputIndex = this.#places.begin(wire, item);
    // Told twice: what has come of it since is not to be lost.
    if (outputIndex === undefined) return;
    this.#told.add(item, outputIndex);
    if (!this.#deltas) return;
    out.push(
      numbered({ type: "output_item.added", item, outputIndex }, wire),
    );
  }

  #itemDone(wire: WireEvent, out: ResponseEvent[]): void {
    const item = this.#itemOf(wire);
    if (item === undefined) {
      const type = isFields(wire.item) ? wire.item.type : undefined;
      if (typeof type === "string") this.#unread.push(type);
      this.#other(wire, out);
      return;
    }
    const outputIndex = this.#places.end(wire, item);
    if (outputIndex === undefined) return;
    this.#done(this.#told.done(item, outputIndex), wire, out);
  }

  /** The item of an event, as far as it can be read. */
  #itemOf(wire: WireEvent, value = wire.item): ResponseItem | undefined {
    return readItem(value, () => {
      const index = this.#places.of(wire, undefined);
      const known = this.#told.itemAt(index);
      return textOf(known?.["call_id"]) || `call_${this.#responseId}_${index}`;
    });
  }

  /** Tells an item that has come to its end, after what no delta had of it. */
  #done(
    { item, outputIndex, rest }: DoneItem,
    wire: WireEvent,
    out: ResponseEvent[],
  ): void {
    if (isCall(item) && item["status"] === "incomplete") {
      // It must not look like one that may be run.
      this.#unfinished.set(outputIndex, item);
      return;
    }
    if (this.#deltas) {
      for (const piece of rest) {
        out.push(numbered(deltaOf(piece, outputIndex), wire));
      }
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
    const usage = parseUsage(response.usage, response.service_tier);
    if (usage !== undefined) {
      this.#usage = usage;
      if (this.#deltas) out.push(numbered({ type: "usage", usage }, wire));
    }
    if (ending.kind === "failed") {
      this.#outcome = { error: errorOf(ending).about(this) };
      return;
    }
    const cut = incompleteReason(ending);
    this.#takeOutput(response, cut !== undefined, wire, out);
    if (cut === undefined) this.#endOpen(wire, out);
    const reason = cut ??
      (this.#unfinished.size > 0
        ? "tool_call_arguments"
        : this.#unread.length > 0
        ? "unreadable_item"
        : undefined);
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

  /** Takes in the output that the end of a response tells: mostly once more. */
  #takeOutput(
    { output, output_text: text }: WireResponse,
    isCut: boolean,
    wire: WireEvent,
    out: ResponseEvent[],
  ): void {
    const given: readonly unknown[] = Array.isArray(output) ? output : [];
    const items: ResponseItem[] = [];
    for (const value of given) {
      const item = this.#itemOf(EMPTY, value);
      if (item !== undefined) items.push(item);
    }
    if (items.length === 0 && textOf(text) !== "" && !this.#told.has(0)) {
      const message = { role: "assistant", content: text };
      const item = this.#itemOf(EMPTY, message);
      if (item !== undefined) items.push(item);
    }
    for (const found of this.#told.missing(items)) {
      const { item, outputIndex } = found;
      const unread = this.#unread.indexOf(item.type);
      if (unread >= 0) this.#unread.splice(unread, 1);
      const isDoubtful = isCut && isCall(item) && item["status"] == null;
      if (isDoubtful) this.#unfinished.set(outputIndex, item);
      else this.#done(found, wire, out);
    }
  }

  /** Ends what has begun and was not told to be done, in a response that is whole. */
  #endOpen(wire: WireEvent, out: ResponseEvent[]): void {
    for (const { item, outputIndex } of this.#told.open()) {
      if (
        item.type === "function_call" && parseData(item.arguments) === undefined
      ) {
        this.#unfinished.set(outputIndex, { ...item, status: "incomplete" });
        continue;
      }
      if (
        !isCall(item) && item.type !== "message" && item.type !== "reasoning"
      ) {
        continue;
      }
      const whole = item.type === "reasoning"
        ? item
        : { ...item, status: "completed" };
      this.#done(this.#told.done(whole, outputIndex), wire, out);
    }
  }

  #cutOff(reason: string, wire: WireEvent): void {
    const last: Draft<IncompleteEvent> = {
      type: "incomplete",
      reason,
      responseId: this.#responseId,
    };
    if (this.#usage !== undefined) last.usage = this.#usage;
    for (const [outputIndex, call] of this.#told.openCalls()) {
      this.#unfinished.set(outputIndex, { ...call, status: "incomplete" });
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
}

/** Whether it is an object (or an array), whose fields may be anything. */
function isObject(value: unknown): value is WireEvent {
  return typeof value === "object" && value !== null;
}

/** The text of a delta: some servers wrap it, or give it another name. */
function textIn(wire: WireEvent): string | undefined {
  const { delta } = wire;
  if (typeof delta === "string") return delta;
  const { text = wire.refusal } = isFields(delta) ? delta : wire;
  if (typeof text === "string") return text;
  return undefined;
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
 * Returns the values that vary in a delta. Returns no text if the delta has
 * `logprobs`, or does not itself say what it is and where it belongs.
 */
function valuesOf(event: unknown): DeltaValues {
  const { type, output_index, delta, sequence_number, logprobs } =
    event as WireEvent; // a delta
  const isWhole = typeof type === "string" &&
    typeof output_index === "number" &&
    !(Array.isArray(logprobs) && logprobs.length > 0);
  return { text: isWhole ? delta : undefined, number: sequence_number };
}
