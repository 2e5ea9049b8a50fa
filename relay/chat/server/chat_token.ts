import { type Clock, systemClock, wallTime } from "../../../src/fetch/clock.ts";
import { parseSigningKey } from "../../rights/keys/parse_signing_key.ts";
import { claims } from "../../rights/tokens/claims.ts";
import { signToken } from "../../rights/tokens/sign_token.ts";
import { MAX_TOKEN } from "../../rights/tokens/token_authority.ts";
import { chatTopicPattern } from "../../chat_topic.ts";

/** The time for which a page's token is valid, in milliseconds. */
const TTL = 15 * 60_000;

/**
 * The time for which a token for one request of a publisher is valid, in
 * milliseconds.
 */
const PUBLISHER_TTL = 5 * 60_000;

/**
 * The claims of a page's token, and the key that signs it.
 *
 * @example The chats of one user
 * ```ts
 * import type { ChatTokenOptions } from "@rivulet/rivulet/chat/server";
 *
 * const options: ChatTokenOptions = {
 *   key: "the secret of --jwt-key, 32 bytes or more",
 *   user: "ada",
 * };
 * if (!options.key) throw new Error("unreachable");
 * ```
 */
export interface ChatTokenOptions {
  /** The secret of the relay, or the private key to its public one (PEM or JWK). */
  readonly key: string;
  /** The user whose chats these are, and for the limits of the relay. */
  readonly user: string;
  /**
   * The name of the application's chat, with which its topics begin.
   *
   * @default {"chat"}
   */
  readonly chat?: string | undefined;
  /**
   * Whether the page may begin turns through the relay (`--chat`).
   *
   * @default {false}
   */
  readonly send?: boolean | undefined;
  /**
   * The time for which the token is valid, in milliseconds.
   *
   * @default {900_000}
   */
  readonly ttl?: number | undefined;
  /** The relay's `--jwt-audience`, if it has one. */
  readonly audience?: string | undefined;
  /** The relay's `--jwt-issuer`, if it has one. */
  readonly issuer?: string | undefined;
  /** The source of time. */
  readonly clock?: Clock | undefined;
}

/**
 * Makes a token for a page: its holder may read the chats of this user, and stop their turns.
 *
 * @param options The user, the rights, and the time for which they are valid.
 * @returns The token.
 * @throws {RangeError} If the user is empty or not Unicode, `chat` is no name, or `ttl` is no
 * number of milliseconds.
 * @throws {KeyError} If no token can be made with the key.
 *
 * @example For a user
 * ```ts
 * import { createChatToken } from "@rivulet/rivulet/chat/server";
 * import { assertEquals } from "@std/assert";
 *
 * const token = await createChatToken({
 *   key: "a secret that is at least 32 bytes long",
 *   user: "ada",
 * });
 * const [, payload = ""] = token.split(".");
 * const { sub, rivulet } = JSON.parse(atob(payload));
 * assertEquals(sub, "ada");
 * assertEquals(rivulet, { read: ["chat:ada:*"], cancel: ["chat:ada:*"] });
 * ```
 */
export async function createChatToken(
  { key, user, chat = "chat", send, ttl = TTL, audience, issuer, clock }:
    ChatTokenOptions,
): Promise<string> {
  // A star would stand for the chats of others.
  if (!/^[A-Za-z0-9._-]+$/.test(chat)) {
    throw new RangeError(
      `Cannot make a token as 'chat' must have characters of A-Z a-z 0-9 . _ -: current value is ${chat}`,
    );
  }
  const topics = [chatTopicPattern({ chat, user })];
  return await make(clock ?? systemClock, key, ttl, {
    sub: user,
    aud: audience,
    iss: issuer,
    rivulet: { read: topics, cancel: topics, ...(send && { send: topics }) },
  });
}

/** Makes a token with which a turn can be published to a topic. */
export async function publisherToken(
  key: string,
  topic: string,
): Promise<string> {
  return await make(systemClock, key, PUBLISHER_TTL, {
    // Keys of publications are their holder's: without a name, each token has its own. One
    // name for all chats would be one holder of all their topics, of whom there is a limit.
    sub: topic,
    aud: undefined,
    iss: undefined,
    rivulet: { write: [topic] },
  });
}

async function make(
  clock: Clock,
  key: string,
  ttl: number,
  said: {
    readonly sub: string | undefined;
    readonly aud: string | undefined;
    readonly iss: string | undefined;
    readonly rivulet: Readonly<Record<string, readonly string[]>>;
  },
): Promise<string> {
  if (!(ttl >= 1_000 && Number.isFinite(ttl))) {
    throw new RangeError(
      `Cannot make a token as 'ttl' must be at least 1000 ms: current value is ${ttl}`,
    );
  }
  const iat = Math.floor(wallTime(clock) / 1_000);
  const exp = iat + Math.floor(ttl / 1_000);
  const { error } = claims.safeParse({ exp, rivulet: said.rivulet });
  if (error) throw new RangeError(error.issues[0]?.message);
  const token = await signToken({ ...said, iat, exp }, parseSigningKey(key));
  if (token.length <= MAX_TOKEN) return token;
  throw new RangeError(
    `Expected chats for a token of at most ${MAX_TOKEN} characters, got ${token.length}`,
  );
}
