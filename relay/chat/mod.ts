// This module is browser compatible.
/**
 * Chats of the AI SDK that survive a reload and a lost network: the page's half.
 *
 * {@linkcode RivuletChatTransport} is a `ChatTransport` for `useChat` (React) and `Chat`
 * (Vue, Svelte, Angular) of `ai` 7. This module does not depend on `ai`.
 *
 * Each chat is a topic of a relay, and each turn is an epoch of that topic. A tab that
 * is reloaded, or opened later, reads the answer under way from its beginning. `watch`
 * tells it of the next turn, and `stop` stops a turn for everybody.
 *
 * {@linkcode followChat} does the same for a page that keeps its own transport, behind
 * `--chat` of the relay. The server's half is `@rivulet/rivulet/chat/server`.
 *
 * @example A transport, and a listener
 * ```ts
 * import { RivuletChatTransport } from "@rivulet/rivulet/chat";
 *
 * const transport = new RivuletChatTransport({
 *   relay: "http://localhost:8787",
 *   api: "http://localhost:3000/api/chat",
 * });
 * // Give `transport` to `useChat`, and watch the turns of other tabs:
 * const unwatch = transport.watch("7", {
 *   onEnd: ({ status }) => console.log(status),
 * });
 * unwatch(); // when the page shows another chat
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
