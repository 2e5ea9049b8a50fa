/**
 * Chats of the AI SDK that survive a reload and a lost network: the server's half.
 *
 * {@linkcode publishChat} answers a message, and publishes the answer to a topic of a relay as
 * it comes. If the page leaves, the answer goes on. If somebody stops the turn, the `signal` of
 * its stream is aborted. {@linkcode chatTopic} names the topic of a chat.
 * {@linkcode createChatToken} makes the token with which a page may read that topic, and stop
 * the turn. The page's half is `@rivulet/rivulet/chat`.
 *
 * @example A route
 * ```ts
 * import {
 *   chatTopic,
 *   type ChatStream,
 *   publishChat,
 * } from "@rivulet/rivulet/chat/server";
 *
 * // Stands for `streamText` and `toUIMessageStream` of the AI SDK.
 * type Answer = (messages: unknown[], signal: AbortSignal) => ChatStream;
 *
 * async function post(request: Request, answer: Answer): Promise<Response> {
 *   const { id, messages } = await request.json();
 *   return await publishChat({
 *     relay: "http://localhost:8787",
 *     topic: chatTopic({ chat: "chat", user: "ada", id }),
 *     message: messages.at(-1),
 *     stream: (signal) => answer(messages, signal),
 *   });
 * }
 * if (typeof post !== "function") throw new Error("unreachable");
 * ```
 *
 * @module
 */
export * from "./publish_chat.ts";
export * from "./chat_token.ts";
export { ChatPublishError, type ChatPublishErrorCode } from "./relay_topic.ts";
export { type ChatOfTopic, chatTopic } from "../../chat_topic.ts";
export type { EndStatus, TopicEnd } from "../../client/topic_end.ts";
export type { Clock } from "../../../src/fetch/clock.ts";
