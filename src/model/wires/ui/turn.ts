// This module is browser compatible.

/**
 * The type of the part that each turn of a chat begins with: the first event of its
 * epoch. It is a transient data part, so that the AI SDK keeps it out of the message.
 */
export const TURN_PART = "data-rivulet-turn";

/** The part that a turn of a chat begins with, for those who did not send the message. */
export interface TurnPart {
  /** Names the part. */
  readonly type: typeof TURN_PART;
  /** Whether the AI SDK leaves it out of the message. */
  readonly transient: true;
  /** The last message of the conversation, which is answered. */
  readonly data: { readonly message: unknown };
}

/**
 * Makes the part that a turn begins with.
 *
 * @param message The last message of the conversation as the chat has sent it, which the
 * turn answers: the user's; or the assistant's, whose tool calls have got their results. A
 * reader puts it in place of the message with its id, drops those behind that, and adds it
 * at the end if there is none.
 */
export function turnPart(message: unknown): TurnPart {
  return { type: TURN_PART, transient: true, data: { message } };
}

/** Whether a chunk of a UI message stream is the part that a turn begins with. */
export function isTurnPart(
  chunk: { readonly type: string; readonly data?: unknown },
): chunk is TurnPart {
  return chunk.type === TURN_PART && typeof chunk.data === "object" &&
    chunk.data !== null && "message" in chunk.data;
}
