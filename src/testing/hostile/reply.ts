// This module is browser compatible.
/** A part of a body. */
export interface Piece {
  /** The bytes of the piece. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Whether it is an event, and not only a comment, or the rest of one. */
  readonly isEvent: boolean;
  /**
   * The time at which it exists, by the clock: later for what a background run
   * has yet to say.
   */
  readonly due?: number;
}

/** The answer of a route, before any fault. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The body. */
  readonly pieces: Iterable<Piece>;
  /**
   * The pieces that the format writes if the provider fails after this many
   * events.
   */
  readonly error: (sent: number) => readonly Piece[];
  /** The format's sign of life; `undefined` for what is no event stream. */
  readonly ping: Piece | undefined;
  /** Aborted once there is nothing more to say: the run was cancelled. */
  readonly ended?: AbortSignal;
}

const encoder = new TextEncoder();

/** A comment, or what else is no event. */
export function remark(text: string): Piece {
  return { bytes: encoder.encode(text), isEvent: false };
}

/** A part of a body, from its text. */
export function piece(text: string): Piece {
  return { bytes: encoder.encode(text), isEvent: true };
}

/** An answer that is JSON. */
export function jsonReply(
  value: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  const body = piece(JSON.stringify(value));
  return {
    status,
    headers: {
      "Content-Type": "application/json",
      ...headers,
      "Content-Length": String(body.bytes.byteLength),
    },
    pieces: [body],
    // Neither belongs in JSON: the body ends where an event stream would go on.
    error: () => [],
    ping: undefined,
  };
}
