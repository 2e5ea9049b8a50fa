// This module is browser compatible.
/**
 * Chats of the AI SDK that survive a reload and a lost network: the page's half.
 *
 * {@linkcode RivuletChatTransport} is a `ChatTransport` for `useChat` (React) and `Chat`
 * (Vue, Svelte, Angular) of `ai` 7, on which this module does not depend. Each chat is a topic
 * of a relay, and each turn an epoch of it: a tab that is reloaded, or opened later, reads the
 * answer that is going on from its beginning; `watch` tells it of the next turn; `stop` stops
 * a turn for everybody. The server's half is `@rivulet/rivulet/chat/server`.
 *
 * @example A transport, and a listener
 * ```ts
 * import { RivuletChatTransport } from "@rivulet/rivulet/chat";
 *
 * const transport = new RivuletChatTransport({
 *   relay: "http://localhost:8787",
 *   api: "http://localhost:3000/api/chat",
 * });
 * const unwatch = transport.watch("7", { onEnd: ({ status }) => console.log(status) });
 * unwatch();
 * await transport.close();
 * ```
 *
 * @module
 */
export * from "./transport.ts";
export * from "./follow_chat.ts";
export * from "./options.ts";
export * from "./join_turn.ts";
export { type ChatOfTopic, chatTopic } from "../chat_topic.ts";
export * from "./chunk.ts";
export * from "./error.ts";
export type {
  ConnectOptions,
  ReconnectPolicy,
  StateChange,
  WebSocketHandler,
  WebSocketLike,
} from "../client/options.ts";
export * from "../client/error.ts";
export type { SubscriptionState } from "../client/subscription.ts";
export * from "../client/topic_end.ts";
export type { Clock } from "../../src/fetch/clock.ts";
