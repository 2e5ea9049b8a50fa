import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { TopicEnd } from "../../topics/topic.ts";

/** What is to be said of a stream's end: a topic ends with it. */
export type Verdict = TopicEnd;

/** Takes the secrets out of a text. */
export type Redact = (text: string) => string;

/** Reads along, and knows what the provider has said of the end. */
export interface Judge {
  /** Takes the next event in, whatever it is; never throws. */
  take(event: ServerSentEvent): void;
  /**
   * What the provider has said so far; `undefined` while it has said nothing.
   *
   * Where a format has one event for the end, this is final. In Chat, what comes
   * after a `finish_reason` may still change it: another one, an error, a choice
   * that begins.
   */
  readonly verdict: Verdict | undefined;
  /**
   * Whether nothing more is to come: the stream may be closed at once. Where it is
   * not and there is a verdict, more may follow for a while, such as the usage, or
   * `[DONE]`.
   */
  readonly isOver: boolean;
  /**
   * Says what is to be said when the connection is over; the verdict, if there is
   * one.
   *
   * @param how Whether the body has ended as bodies do.
   * @param error What was thrown, where it was broken.
   */
  end(how: "clean" | "broken", error?: unknown): Verdict;
  /** The id of a response that may be asked for again by it; `undefined` elsewhere, and before it was told. */
  readonly responseId: string | undefined;
  /** The number of the last event that has one; found out when it is asked for. */
  readonly sequenceNumber: number | undefined;
  /** Whether the response says that the provider goes on with it when nobody listens. */
  readonly background: boolean;
}
