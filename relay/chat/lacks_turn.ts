// This module is browser compatible.

/** Returns the id of a message, if it has one. */
export function idOf(message: unknown): string | undefined {
  return typeof message === "object" && message !== null && "id" in message &&
      typeof message.id === "string"
    ? message.id
    : undefined;
}

/**
 * Returns whether a conversation lacks a turn: it ends with the message that the turn
 * answers, or has neither that nor the answer.
 *
 * @param messages The conversation.
 * @param turn The turn.
 */
export function lacksTurn(
  messages: readonly { readonly id: string }[],
  turn: { readonly message: unknown; readonly answerId: string | undefined },
): boolean {
  const { answerId } = turn;
  const id = idOf(turn.message);
  const at = messages.findIndex((message) => message.id === id);
  // An answer that continues its own message, after a call of a tool, has its id.
  if (at >= 0) return at === messages.length - 1;
  if (id === undefined && answerId === undefined) return false;
  return !messages.some((message) => message.id === answerId);
}
