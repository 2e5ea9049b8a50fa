// This module is browser compatible.

/**
 * A chat, as the name of its topic has it.
 *
 * @example Chat 7 of Ada
 * ```ts
 * import type { ChatOfTopic } from "@rivulet/rivulet/chat";
 *
 * const chat: ChatOfTopic = { chat: "app", user: "ada", id: "7" };
 * ```
 */
export interface ChatOfTopic {
  /** The name of the application's route: the `NAME` of `--chat NAME=URL`. */
  readonly chat: string;
  /**
   * The user who alone may see the chat: the `sub` of the token. Default: the chat
   * belongs to nobody, and the rights of tokens decide alone.
   */
  readonly user?: string | undefined;
  /** The id of the chat. */
  readonly id: string;
}

/** The longest name of a topic, in characters (PROTOCOL.md, section 1). */
const MAX_NAME = 128;

/** Characters that stand for themselves. The colon is what separates the parts. */
const PLAIN = /^[A-Za-z0-9._-]$/;

/** Half of a character: without `isWellFormed`, which is younger than what this runs on. */
const SURROGATE = /\p{Surrogate}/u;

/**
 * Writes a part of a topic's name: a byte of UTF-8 that is no letter, digit, dot,
 * underscore or dash becomes `~` and two digits. No part has a colon or a star, so that
 * neither ends where another begins, nor stands for others in a pattern.
 */
function encodePart(what: string, text: string): string {
  if (text === "" || SURROGATE.test(text)) {
    throw new RangeError(
      `Cannot name the topic of a chat as its ${what} is ${
        text === "" ? "empty" : "not Unicode"
      }`,
    );
  }
  let encoded = "";
  for (const byte of new TextEncoder().encode(text)) {
    const character = String.fromCharCode(byte);
    encoded += PLAIN.test(character)
      ? character
      : `~${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

function partsBefore({ chat, user }: Omit<ChatOfTopic, "id">): string {
  return user === undefined
    ? `${chat}:`
    : `${chat}:${encodePart("user", user)}:`;
}

/**
 * Returns the name of a chat's topic: `NAME:USER:ID`, or `NAME:ID` for a chat that is no
 * user's.
 *
 * @param chat The chat.
 * @returns The name.
 * @throws {RangeError} If the user or the id is empty or not Unicode, or the name is
 * longer than 128 characters.
 *
 * @example No user's name ends where another begins
 * ```ts
 * import { chatTopic } from "@rivulet/rivulet/chat";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(chatTopic({ chat: "app", user: "ada", id: "7" }), "app:ada:7");
 * assertEquals(chatTopic({ chat: "app", user: "a:b", id: "*" }), "app:a~3Ab:~2A");
 * ```
 */
export function chatTopic(chat: ChatOfTopic): string {
  const name = partsBefore(chat) + encodePart("id", chat.id);
  if (name.length <= MAX_NAME) return name;
  throw new RangeError(
    `Cannot name the topic of a chat as '${name}' has more than ${MAX_NAME} characters: give the chat a shorter id`,
  );
}

/**
 * Returns the pattern of the topics of a user's chats, for the rights of a token:
 * `NAME:USER:*`. No other user's topic fits it.
 *
 * @param chats The route, and the user; without one, all of the route's chats that are
 * no user's, and all that are.
 * @throws {RangeError} If the user is empty or not Unicode.
 */
export function chatTopicPattern(chats: Omit<ChatOfTopic, "id">): string {
  return `${partsBefore(chats)}*`;
}
