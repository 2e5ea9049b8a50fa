/** One way in which the relay closes a WebSocket (PROTOCOL.md, section 2). */
export interface Closing {
  /** The close code. */
  readonly code: CloseCode;
  /** Whether a client that has not read the end of its topics may connect again and resume. */
  readonly reconnect: boolean;
  /** The reason in the close frame. */
  readonly text: string;
}

/**
 * Every way in which the relay closes a WebSocket, by the code.
 *
 * A client that meets a code which is not here follows the protocol's ranges:
 * after 44xx it may resume, after 45xx the same would happen again.
 */
export const CLOSINGS = {
  /** Every topic that the connection followed has ended, and one of them was in its URL. */
  topicEnded: { code: 1000, reconnect: true, text: "The topic has ended" },
  /** The peer has closed with a code that is not the relay's to send: it is not echoed. */
  peerClosed: { code: 1000, reconnect: true, text: "" },
  /** Reserved for connections that follow nothing: the relay sends it not yet. */
  idle: { code: 1001, reconnect: true, text: "" },
  /** A message came in more pieces than `ws` puts together. */
  policy: { code: 1008, reconnect: false, text: "" },
  /** A message is larger than `limits.message` of the welcome; `ws` closes by itself. */
  messageTooLarge: { code: 1009, reconnect: false, text: "" },
  /** The log of a topic could not be read. */
  logUnreadable: {
    code: 1011,
    reconnect: true,
    text: "A log could not be read",
  },
  /** The relay has made a mistake with what the peer has sent; its log says which. */
  internal: {
    code: 1011,
    reconnect: true,
    text: "Something went wrong in the relay",
  },
  /** The relay is drained: `goodbye` has said when to connect again. */
  draining: { code: 1012, reconnect: true, text: "The relay is being drained" },
  /** The relay stops: `goodbye` has said when to connect again. */
  shuttingDown: {
    code: 1012,
    reconnect: true,
    text: "The relay is shutting down",
  },
  /** The relay holds too much of what this peer, or all, have sent. */
  overloaded: {
    code: 1013,
    reconnect: true,
    text: "Too much is being received: send again later",
  },
  /** The token has expired, and no `auth` has brought a new one: the client needs one. */
  tokenExpired: { code: 4401, reconnect: true, text: "The token has expired" },
  /** The peer has read nothing for `slowTimeout`, and slow subscribers are closed. */
  slow: { code: 4408, reconnect: true, text: "Nothing was read for too long" },
  /** The peer has given no sign of life since two pings. */
  noPong: { code: 4412, reconnect: true, text: "No pong" },
  /** The peer sends more messages, or more bytes of them, than it may. */
  messageRate: {
    code: 4429,
    reconnect: true,
    text: "Too many messages, or bytes of them, in a second",
  },
  /** The peer has sent a frame that is not WebSocket, or a message that is not the protocol's. */
  invalidFrame: { code: 4500, reconnect: false, text: "Invalid frame" },
  /** Reserved for a token that cannot be used: the relay answers 401 before the upgrade. */
  invalidToken: { code: 4501, reconnect: false, text: "" },
  /** A new token has no right to read the topic in the URL. */
  forbidden: {
    code: 4503,
    reconnect: false,
    text: "The token has no right to read this topic",
  },
  /** Reserved for limits on a connection: the relay refuses such requests with `error`. */
  limit: { code: 4505, reconnect: false, text: "" },
} as const satisfies Readonly<
  Record<string, Omit<Closing, "code"> & { readonly code: number }>
>;

/** A code that the relay may close with. */
export type CloseCode = typeof CLOSINGS[keyof typeof CLOSINGS]["code"];

/** The codes that the relay may close with. */
export const CLOSE_CODES: ReadonlySet<number> = new Set(
  Object.values(CLOSINGS).map(({ code }) => code),
);
