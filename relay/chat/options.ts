// This module is browser compatible.
import type { ConnectOptions } from "../client/options.ts";
import type { TopicEnd } from "../client/topic_end.ts";
import type { ChatMessage } from "./chunk.ts";

/**
 * A value, or a function that is asked for it before each request.
 *
 * @typeParam T The value.
 *
 * @example Headers that change
 * ```ts
 * import type { Resolvable } from "@rivulet/rivulet/chat";
 *
 * const headers: Resolvable<Record<string, string>> = () => ({
 *   "X-Time": `${Date.now()}`,
 * });
 * if (!headers) throw new Error("unreachable");
 * ```
 */
export type Resolvable<T> = T | (() => T | PromiseLike<T>);

/**
 * The facts from which a request to the application's endpoint is prepared.
 *
 * @typeParam Message The application's type of messages.
 *
 * @example Send the last message only
 * ```ts
 * import type { ChatMessage, ChatRequestDraft } from "@rivulet/rivulet/chat";
 *
 * const bodyOf = ({ id, messages }: ChatRequestDraft<ChatMessage>): object => (
 *   { id, message: messages.at(-1) }
 * );
 * if (typeof bodyOf !== "function") throw new Error("unreachable");
 * ```
 */
export interface ChatRequestDraft<Message> {
  /** The id of the chat. */
  id: string;
  /** The conversation. */
  messages: Message[];
  /** The facts that the application has given with this message. */
  requestMetadata: unknown;
  /** The fields of `body`, of the transport and of this message. */
  body: Record<string, unknown> | undefined;
  /** Whether cookies travel. */
  credentials: RequestCredentials | undefined;
  /** The headers. */
  headers: HeadersInit | undefined;
  /** The endpoint. */
  api: string;
  /** Whether a message is sent, or the answer to an earlier one is wanted anew. */
  trigger: "submit-message" | "regenerate-message";
  /** The message that is wanted anew. */
  messageId: string | undefined;
}

/**
 * The request to the application's endpoint; what is left out stays as it was.
 *
 * @example Only a body
 * ```ts
 * import type { ChatRequest } from "@rivulet/rivulet/chat";
 *
 * const request: ChatRequest = { body: { id: "7" } };
 * ```
 */
export interface ChatRequest {
  /** The body, to be sent as JSON. */
  body: object;
  /** The headers. */
  headers?: HeadersInit;
  /** Whether cookies travel. */
  credentials?: RequestCredentials;
  /** The endpoint. */
  api?: string;
}

/**
 * The relay and the application of a chat, and the ways to reach them.
 *
 * @typeParam Message The application's type of messages.
 *
 * @example A relay on another host
 * ```ts
 * import type { RivuletChatOptions } from "@rivulet/rivulet/chat";
 *
 * const options: RivuletChatOptions = {
 *   relay: "https://relay.example.com",
 *   token: async () => await (await fetch("/api/chat/token?chat=7")).text(),
 * };
 * if (!options.token) throw new Error("unreachable");
 * ```
 */
export interface RivuletChatOptions<Message = ChatMessage> extends
  Pick<
    ConnectOptions,
    "token" | "reconnect" | "onStateChange" | "WebSocket" | "clock"
  > {
  /** The relay: its origin, or a URL below which it is. */
  relay: string | URL;
  /**
   * The name of the application's chat, with which its topics begin.
   *
   * @default {"chat"}
   */
  chat?: string | undefined;
  /** The user whose chats these are. Default: they are nobody's. */
  user?: string | undefined;
  /**
   * Returns the name of the topic of a chat. Default: that of {@linkcode chatTopic}, with
   * `chat` and `user`.
   */
  topic?: ((chatId: string) => string) | undefined;
  /**
   * The application's endpoint, which publishes the answer.
   *
   * @default {"/api/chat"}
   */
  api?: string | undefined;
  /** Headers for the endpoint. */
  headers?: Resolvable<Record<string, string> | Headers> | undefined;
  /** Fields to add to the body for the endpoint. */
  body?: Resolvable<object> | undefined;
  /** Whether cookies travel to the endpoint. */
  credentials?: Resolvable<RequestCredentials> | undefined;
  /**
   * Makes the request to the endpoint. Without it, the body is `{id, messages, trigger,
   * messageId}`, as that of the AI SDK.
   */
  prepareSendMessagesRequest?:
    | ((
      draft: ChatRequestDraft<Message>,
    ) => ChatRequest | PromiseLike<ChatRequest>)
    | undefined;
  /**
   * The `fetch` for the endpoint.
   *
   * @default {globalThis.fetch}
   */
  fetch?: typeof globalThis.fetch | undefined;
}

/**
 * The listener for the turns of a chat.
 *
 * @typeParam Message The application's type of messages.
 *
 * @example Show what others have asked
 * ```ts
 * import type { ChatListener } from "@rivulet/rivulet/chat";
 *
 * const listener: ChatListener = {
 *   onTurn: (message) => console.log("asked", message?.id),
 *   onEnd: ({ status }) => console.log(status),
 * };
 * if (!listener.onTurn) throw new Error("unreachable");
 * ```
 */
export interface ChatListener<Message = ChatMessage> {
  /**
   * The conversation that the page was loaded with. A turn that has ended since then is
   * told as well: the page lacks its answer. Messages have the ids here that they were sent
   * with. Default: a turn that has ended is not told.
   */
  messages?: readonly Message[] | undefined;
  /**
   * Called when a turn begins that was not sent with this transport, or is going on
   * already: add the message ({@linkcode joinTurn}), and resume the stream. A turn that has
   * ended in the meantime is then given as a stream, too, once.
   *
   * @param message The message that is answered; `undefined` if nobody has published it.
   */
  onTurn?: ((message: Message | undefined) => void) | undefined;
  /**
   * Called when a turn has ended: `complete`; `cancelled`, somebody has stopped it;
   * `failed`; or `truncated`, its maker has gone.
   */
  onEnd?: ((end: TopicEnd) => void) | undefined;
  /**
   * Called when nothing more will be told, with a `SubscriptionError`: the relay has refused
   * the page, or could not be reached as often as `reconnect` says.
   */
  onError?: ((error: unknown) => void) | undefined;
}

/**
 * A message to send, as the AI SDK hands it to a `ChatTransport`.
 *
 * @typeParam Message The application's type of messages.
 *
 * @example A first message
 * ```ts
 * import type { ChatSending } from "@rivulet/rivulet/chat";
 *
 * const sending: ChatSending = {
 *   trigger: "submit-message",
 *   chatId: "7",
 *   messageId: undefined,
 *   messages: [{ id: "m1", role: "user", parts: [] }],
 *   abortSignal: undefined,
 * };
 * ```
 */
export interface ChatSending<Message = ChatMessage> {
  /** Whether a message is sent, or the answer to an earlier one is wanted anew. */
  trigger: "submit-message" | "regenerate-message";
  /** The chat. */
  chatId: string;
  /** The message that is wanted anew. */
  messageId: string | undefined;
  /** The conversation. */
  messages: Message[];
  /** Ends the reading here. The turn goes on. */
  abortSignal: AbortSignal | undefined;
  /** Headers for the endpoint. */
  headers?: Record<string, string> | Headers;
  /** Fields to add to the body for the endpoint. */
  body?: object;
  /** Facts for `prepareSendMessagesRequest`. */
  metadata?: unknown;
}
