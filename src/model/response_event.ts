// This module is browser compatible.
import type { ResponseItem } from "./item.ts";
import type { Usage } from "./usage.ts";

/** The provider has begun to answer. */
export interface CreatedEvent {
  /** The type of the event. */
  readonly type: "created";
  /** The id of the response; `""` if the provider gives none. */
  readonly responseId: string;
  /** The model that answers, where the provider says so. */
  readonly model?: string;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** An item of the output has begun. */
export interface OutputItemAddedEvent {
  /** The type of the event. */
  readonly type: "output_item.added";
  /** The item as it is at its start, in the wire's own shape. */
  readonly item: ResponseItem;
  /** Its place in the output, from 0. */
  readonly outputIndex: number;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** An item of the output is whole. */
export interface OutputItemDoneEvent {
  /** The type of the event. */
  readonly type: "output_item.done";
  /** The item, in the wire's own shape: fit to be sent back. */
  readonly item: ResponseItem;
  /** Its place in the output, from 0. */
  readonly outputIndex: number;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** A piece of the answer's text. */
export interface OutputTextDeltaEvent {
  /** The type of the event. */
  readonly type: "output_text.delta";
  /**
   * The item's id; some providers leave it out, and some change it on the way.
   * For Chat it is made up, and only good within the response.
   */
  readonly itemId?: string;
  /** The item's place in the output, from 0: this is what tells items apart. */
  readonly outputIndex: number;
  /** The place of the part within the item's `content`, from 0. */
  readonly contentIndex: number;
  /** The text, to be put after what came before. */
  readonly delta: string;
  /**
   * The log probabilities of its tokens, as the wire has them, if they were
   * asked for.
   */
  readonly logprobs?: readonly unknown[];
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** A piece of the text with which the model refuses. */
export interface RefusalDeltaEvent {
  /** The type of the event. */
  readonly type: "refusal.delta";
  /**
   * The item's id; some providers leave it out, and some change it on the way.
   * For Chat it is made up, and only good within the response.
   */
  readonly itemId?: string;
  /** The item's place in the output, from 0: this is what tells items apart. */
  readonly outputIndex: number;
  /** The place of the part within the item's `content`, from 0. */
  readonly contentIndex: number;
  /** The text, to be put after what came before. */
  readonly delta: string;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** A piece of a summary of the model's reasoning. */
export interface ReasoningSummaryDeltaEvent {
  /** The type of the event. */
  readonly type: "reasoning_summary.delta";
  /**
   * The item's id; some providers leave it out, and some change it on the way.
   * For Chat it is made up, and only good within the response.
   */
  readonly itemId?: string;
  /** The item's place in the output, from 0: this is what tells items apart. */
  readonly outputIndex: number;
  /** The place of the part within the item's `summary`, from 0. */
  readonly summaryIndex: number;
  /** The text, to be put after what came before. */
  readonly delta: string;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** A piece of the model's reasoning. */
export interface ReasoningDeltaEvent {
  /** The type of the event. */
  readonly type: "reasoning.delta";
  /**
   * The item's id; some providers leave it out, and some change it on the way.
   * For Chat it is made up, and only good within the response.
   */
  readonly itemId?: string;
  /** The item's place in the output, from 0: this is what tells items apart. */
  readonly outputIndex: number;
  /** The place of the part within the item's `content`, from 0. */
  readonly contentIndex: number;
  /** The text, to be put after what came before. */
  readonly delta: string;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** A piece of what a tool is called with. */
export interface ToolCallDeltaEvent {
  /** The type of the event. */
  readonly type: "tool_call.delta";
  /**
   * The item's id; some providers leave it out, and some change it on the way.
   * For Chat it is made up, and only good within the response.
   */
  readonly itemId?: string;
  /** The item's place in the output, from 0: this is what tells items apart. */
  readonly outputIndex: number;
  /** A piece of the arguments, or of the input of a custom tool. */
  readonly delta: string;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** The provider says how much may still be asked of it. */
export interface RateLimitsEvent {
  /** The type of the event. */
  readonly type: "rate_limits";
  /** The rate limits, as the wire has them. */
  readonly rateLimits: unknown;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** The cost of the response so far; a later event replaces it. */
export interface UsageEvent {
  /** The type of the event. */
  readonly type: "usage";
  /** The tokens used. */
  readonly usage: Usage;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** Something that this library has no event for. */
export interface OtherEvent {
  /** The type of the event. */
  readonly type: "other";
  /** The event's data: parsed, or the text itself if it is not JSON. */
  readonly event: unknown;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/**
 * The stream is asked for anew, and begins again: what came before it is not
 * part of the response. Comes with `retryMidStream` only.
 */
export interface ResetEvent {
  /** The type of the event. */
  readonly type: "reset";
  /** The number of the request that the next events come from, from 2. */
  readonly attempt: number;
}

/** The response is whole. The last event. */
export interface CompletedEvent {
  /** The type of the event. */
  readonly type: "completed";
  /** The id of the response; `""` if the provider gives none. */
  readonly responseId: string;
  /** The tokens used; `undefined` if the provider does not say. */
  readonly usage: Usage | undefined;
  /** Whether the model is done with its turn, where the provider says so. */
  readonly endTurn?: boolean;
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/** The provider has ended the response before the model had. The last event. */
export interface IncompleteEvent {
  /** The type of the event. */
  readonly type: "incomplete";
  /**
   * The reason: `"max_output_tokens"`, `"content_filter"`, `"cancelled"` if somebody
   * has cancelled the response, `"tool_call_arguments"` if a call's arguments are
   * not JSON, `"unreadable_item"` if an item cannot be read, or else the provider's
   * own; `"unknown"` if it gives none.
   */
  readonly reason: string;
  /** The id of the response; `""` if the provider gives none. */
  readonly responseId: string;
  /** The tokens used, if the provider reports them. */
  readonly usage?: Usage;
  /** The calls that were cut off, as far as they came: not to be run. */
  readonly unfinished?: readonly ResponseItem[];
  /** The number that the provider gave the event, from 0; Chat has none. */
  readonly sequenceNumber?: number;
}

/**
 * An event of a model's response, the same for every wire API.
 *
 * Names and fields are those of the Responses API, in camelCase and without
 * `response.`. An `item` keeps the wire's own shape. The last event is
 * `completed` or `incomplete`; every other ending throws.
 *
 * @see {@link https://platform.openai.com/docs/api-reference/responses-streaming | Responses: streaming events}
 *
 * @example Print the text as it comes
 * ```ts
 * import type { ResponseEvent } from "@rivulet/rivulet/model";
 *
 * function print(event: ResponseEvent): void {
 *   if (event.type === "output_text.delta") console.log(event.delta);
 *   if (event.type === "incomplete") console.log(`cut off: ${event.reason}`);
 * }
 * ```
 */
export type ResponseEvent =
  | CreatedEvent
  | OutputItemAddedEvent
  | OutputItemDoneEvent
  | OutputTextDeltaEvent
  | RefusalDeltaEvent
  | ReasoningSummaryDeltaEvent
  | ReasoningDeltaEvent
  | ToolCallDeltaEvent
  | RateLimitsEvent
  | UsageEvent
  | OtherEvent
  | ResetEvent
  | CompletedEvent
  | IncompleteEvent;
