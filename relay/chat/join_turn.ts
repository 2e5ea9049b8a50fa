// This module is browser compatible.

/**
 * Puts the message of a turn into a conversation: in place of the message with its id, of
 * which those behind are dropped, or at the end.
 *
 * @typeParam Message The application's type of messages.
 * @param messages The conversation, which stays as it is.
 * @param message The message of {@linkcode ChatListener.onTurn}.
 * @returns The conversation with the message.
 *
 * @example A question of another tab
 * ```ts
 * import { type ChatMessage, joinTurn } from "@rivulet/rivulet/chat";
 * import { assertEquals } from "@std/assert";
 *
 * const asked: ChatMessage = { id: "m1", role: "user", parts: [] };
 * assertEquals(joinTurn([], asked), [asked]);
 * assertEquals(joinTurn([asked], asked), [asked]);
 * ```
 */
export function joinTurn<Message extends { id: string }>(
  messages: readonly Message[],
  message: Message | undefined,
): Message[] {
  if (!message) return [...messages];
  const at = messages.findIndex(({ id }) => id === message.id);
  return [...(at < 0 ? messages : messages.slice(0, at)), message];
}
