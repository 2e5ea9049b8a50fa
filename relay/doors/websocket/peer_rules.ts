/** The number of pings without a sign of life after which a peer is dead. */
export const MAX_MISSED = 2;

/** A pong is left out where this much is waiting to be sent: a flood of pings must not pile up. */
export const PONG_BACKLOG = 16 * 1024;

/** The code of `ws` for a message that is larger than `maxPayload`. */
const MESSAGE_TOO_LARGE = "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";

/**
 * Returns the code by which a failure of a socket is counted as a refusal; `undefined`
 * for one that is no fault of its peer.
 */
export function socketRefusal({ code }: Error & { code?: string }):
  | "message_too_large"
  | "invalid_frame"
  | undefined {
  if (code === MESSAGE_TOO_LARGE) return "message_too_large";
  return code?.startsWith("WS_ERR_") ? "invalid_frame" : undefined;
}
