import type { TopicEnd } from "../topics/end.ts";

/** The place of published events: `first`..`next - 1`. */
export interface Published {
  /** The log that it stands in. */
  readonly epoch: string;
  /** The offset of the first event that was added. */
  readonly first: number;
  /** The offset after the last one. */
  readonly next: number;
  /** The end of the topic, if it was to end with the publication. */
  readonly end?: TopicEnd;
}

/** Something cannot be published; `added` tells what of it was. */
export class PublishError extends Error {
  /** The code for programs. */
  readonly code:
    | "invalid_body"
    | "body_too_large"
    | "body_incomplete"
    | "event_too_large"
    | "idempotency_mismatch"
    | "key_in_use"
    | "lease_lost"
    | "publish_rate";
  /** The place of the events that were added before. */
  readonly added: Published | undefined;
  /**
   * The time after which a retry may succeed, if waiting helps: in milliseconds
   * from now.
   */
  readonly retryIn: number | undefined;

  /** Says what was expected, and what came. */
  constructor(
    code: PublishError["code"],
    message: string,
    options: ErrorOptions & {
      added?: Published | undefined;
      retryIn?: number;
    } = {},
  ) {
    super(message, options);
    this.name = "PublishError";
    this.code = code;
    this.added = options.added;
    this.retryIn = options.retryIn;
  }
}
