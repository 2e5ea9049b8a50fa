// This module is browser compatible.
import type { ServerSentEvent } from "../../sse/event.ts";

/**
 * The ending of a model's stream, in terms that are the same for every format.
 *
 * The table of each format says which event means which ending: `endings.ts` in
 * the format's folder. The client makes a last event or an error of an ending, and
 * the relay the end of a topic:
 *
 * | ending | the client | the relay's topic |
 * |---|---|---|
 * | `completed` | `completed` | `complete` |
 * | `incomplete` | `incomplete` | `complete`, with a reason |
 * | `cancelled` | `incomplete`, for the reason `"cancelled"` | `cancelled` |
 * | `failed` | throws `ResponseFailedError` | `failed` |
 * | `truncated` | throws `StreamError` | `truncated` |
 */
export type Ending =
  | CompletedEnding
  | IncompleteEnding
  | CancelledEnding
  | FailedEnding
  | TruncatedEnding;

/** The model was done. */
export interface CompletedEnding {
  /** The kind of ending. */
  readonly kind: "completed";
}

/** The provider stopped before the model was done, and what came may be used. */
export interface IncompleteEnding {
  /** The kind of ending. */
  readonly kind: "incomplete";
  /** The reason, in the words of the Responses API where it has any. */
  readonly reason: string;
  /** The reason as the wire says it, with the name of the field. */
  readonly said: string;
}

/**
 * Somebody has cancelled the response. That is no failure: what came may be used,
 * and nobody is to ask for the rest.
 */
export interface CancelledEnding {
  /** The kind of ending. */
  readonly kind: "cancelled";
}

/** The provider says that the response has failed. */
export interface FailedEnding {
  /** The kind of ending. */
  readonly kind: "failed";
  /** The error object, or its message; see `readFailure`. */
  readonly details: unknown;
}

/** The stream was over before the provider had said how the response ends. */
export interface TruncatedEnding {
  /** The kind of ending. */
  readonly kind: "truncated";
  /** The event, or field, that should have come. */
  readonly missing: string;
}

/** An ending that the events of a stream tell; that it is truncated, only its body tells. */
export type SaidEnding = Exclude<Ending, TruncatedEnding>;

/** The end of a body: complete, or broken off. */
export type BodyEnd = "clean" | "broken";

/**
 * Reads along with a stream to learn how it ends. It parses only the events that
 * may tell: of a stream's events, these are few.
 */
export interface EndingReader {
  /** Takes the next event in, whatever it is; never throws. */
  take(event: ServerSentEvent): void;
  /**
   * The ending that the events have told so far; `undefined` while they have told
   * none.
   *
   * Where a format has one event for the end, this is final. In Chat, what comes
   * after a `finish_reason` may still change it: another one, an error, a choice
   * that begins.
   */
  readonly ending: SaidEnding | undefined;
  /**
   * Whether nothing more is to come: the stream may be closed at once. Where this
   * is false and there is an ending, more may follow for a while, such as the
   * usage, or `[DONE]`.
   */
  readonly isOver: boolean;
  /**
   * Returns the ending of a stream whose body is over: the one that was told, if
   * there is one.
   *
   * @param how The end of the body.
   */
  close(how: BodyEnd): Ending;
  /** The id of a response that can be asked for by it; `undefined` before it was told. */
  readonly responseId?: string | undefined;
  /** The usage that the event of the end has, as the wire has it; `undefined` elsewhere. */
  readonly usage?: unknown;
  /** The number of the last event that has one; found out when it is asked for. */
  readonly sequenceNumber?: number | undefined;
  /** Whether the provider goes on with the response when nobody reads it. */
  readonly background?: boolean;
}
