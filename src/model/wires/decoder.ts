// This module is browser compatible.
import type { ModelError } from "../errors/model_error.ts";
import { StreamError } from "../errors/stream_error.ts";
import type {
  CompletedEvent,
  IncompleteEvent,
  ResponseEvent,
} from "../response_event.ts";
import type { Usage } from "../usage.ts";
import type { Ending, FailedEnding, TruncatedEnding } from "./ending.ts";
import { readFailure } from "./failure.ts";

/** The result of an ending for the client: a last event, or an error. */
export type ResponseOutcome =
  | { readonly last: CompletedEvent | IncompleteEvent }
  | { readonly error: ModelError };

/** The settings of a {@linkcode ResponseDecoder}. */
export interface DecoderOptions {
  /** Whether there is more to be seen than items and the last event. */
  readonly deltas: boolean;
  /**
   * Whether more answers than one were asked for (`n` of Chat): the first is read.
   * Otherwise all that comes is the one answer, however its provider numbers it.
   */
  readonly hasSeveral?: boolean;
}

/**
 * Turns the events of one wire API into a response's events: no I/O, and no
 * clock. One decoder reads one response, also where that takes more than one
 * connection.
 */
export interface ResponseDecoder {
  /**
   * Takes one event in.
   *
   * @param name The event's name.
   * @param data The event's data.
   * @param out The list that takes the response's events; never the last one.
   */
  push(name: string, data: string, out: ResponseEvent[]): void;
  /**
   * Whether the stream has ended: `"open"`; `"told"` when it is known how, unless
   * more of the answer follows, which only the end of the body can tell;
   * `"ending"` when it is known how, and something that belongs to it may follow,
   * such as the usage; `"ended"` when nothing can follow that matters.
   */
  readonly state: "open" | "told" | "ending" | "ended";
  /**
   * Goes up with every event that has a part of the answer: while it does, what
   * follows the end is still coming. Pings don't count.
   */
  readonly progress: number;
  /**
   * Ends the response, at the end of the body or sooner; called once.
   *
   * @param out The list that takes the events that were held back; never the
   * last one.
   * @param isBroken Whether the body broke off: an ending that was told in the state
   * `"told"` is then none, as more was to come. Default: `false`.
   * @returns The outcome. That of a stream that is still open is an error that
   * says so.
   */
  end(out: ResponseEvent[], isBroken?: boolean): ResponseOutcome;
  /** The id of the response; `""` as long as it is unknown. */
  readonly responseId: string;
  /** The last number of an event; `undefined` if there was none. */
  readonly sequenceNumber: number | undefined;
  /** The tokens used so far, as far as the stream has reported them. */
  readonly usage: Usage | undefined;
}

/**
 * Makes the error that a client throws for an ending.
 *
 * @param ending The ending.
 * @returns The error.
 */
export function errorOf(ending: FailedEnding | TruncatedEnding): ModelError {
  return ending.kind === "failed"
    ? readFailure(ending.details)
    : new StreamError("truncated", `stream closed before ${ending.missing}`);
}

/**
 * Returns the reason for which a response is incomplete to a client.
 *
 * @param ending The ending.
 * @returns The reason; `undefined` if the model was done.
 */
export function incompleteReason(
  ending: Exclude<Ending, FailedEnding | TruncatedEnding>,
): string | undefined {
  switch (ending.kind) {
    case "completed":
      return undefined;
    case "incomplete":
      return ending.reason;
    case "cancelled":
      return "cancelled";
  }
}
