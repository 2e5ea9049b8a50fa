/**
 * A connection of a subscriber, of whichever kind.
 *
 * @module
 */

/** The way in which the relay closed a connection. */
export type Closing =
  /** By a close frame. */
  | { readonly kind: "code"; readonly code: number }
  /** By the end of a response that was whole. */
  | { readonly kind: "end" }
  /** In the middle of something. */
  | { readonly kind: "cut" }
  /** There was no connection, or it was refused; 0 where nothing listens. */
  | { readonly kind: "refused"; readonly status: number };

/** The events of a connection. */
export interface LineEvents {
  /** It can be used. */
  onOpen(headers: Headers): void;
  /**
   * A message came; `bytes` is its length on the wire. What is thrown here ends up
   * in {@linkcode LineEvents.onError}.
   */
  onMessage(payload: Uint8Array, bytes: number): void;
  /** It is over: nothing more is told. */
  onClose(closing: Closing): void;
  /** Something was not as it has to be. */
  onError(error: unknown): void;
}

/** A subscriber's end of a connection. */
export interface Line {
  /** Sends a message, where that can be done. */
  say(message: unknown): void;
  /** Reads no more, until it resumes. */
  pause(): void;
  /** Reads on. */
  resume(): void;
  /** Leaves, as politely as is said, and tells nothing any more. */
  leave(how: "close" | "fin" | "reset"): void;
  /** Resolves when nothing of it is left. */
  readonly gone: Promise<void>;
}
