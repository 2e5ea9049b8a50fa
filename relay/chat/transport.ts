// This module is browser compatible.
import { connect, type Connection } from "../client/connect.ts";
import { abortable } from "../../src/fetch/abortable.ts";
import { type Clock, systemClock } from "../../src/fetch/clock.ts";
import { wait } from "../../src/fetch/retry.ts";
import { ChatFeed } from "./chat_feed.ts";
import { chatTopic } from "../chat_topic.ts";
import type { ChatChunk, ChatMessage } from "./chunk.ts";
import { ChatError } from "./error.ts";
import type {
  ChatListener,
  ChatSending,
  Resolvable,
  RivuletChatOptions,
} from "./options.ts";
import { socketUrl } from "./socket_url.ts";
import type { Turn } from "./turn.ts";

/** The prefix of topic names, unless the application chooses another. */
const CHAT = "chat";

/**
 * The time that a turn may take to begin after the endpoint has answered, in
 * milliseconds.
 */
const BEGIN_TIMEOUT = 10_000;

/** The longest refusal of an endpoint that is shown, in characters. */
const MAX_REFUSAL = 1_000;

/**
 * A transport for `useChat` and `Chat` of the AI SDK 7 whose answers come from a topic.
 *
 * A message goes to the application's endpoint, which publishes the turn with
 * `publishChat`. The transport reads the answer from the relay over one
 * WebSocket. It reconnects, so that a lost network or a reload loses nothing.
 * Each chat is a topic, and each turn is an epoch of that topic.
 *
 * @typeParam Message The application's type of messages: the SDK's `UIMessage`.
 *
 * @example Tell one tab what happens in another
 * ```ts
 * import { type ChatMessage, joinTurn, RivuletChatTransport } from "@rivulet/rivulet/chat";
 *
 * const transport = new RivuletChatTransport({ relay: "http://localhost:8787" });
 * let messages: ChatMessage[] = [];
 * const unwatch = transport.watch("7", {
 *   onTurn: (message) => messages = joinTurn(messages, message),
 *   onEnd: ({ status }) => console.log(status),
 * });
 * unwatch();
 * await transport.close();
 * ```
 */
export class RivuletChatTransport<Message extends ChatMessage = ChatMessage> {
  /** Whether a resumed stream begins with the answer's first chunk: it always does. */
  readonly resumeStreamIsReplay: true = true;
  readonly #options: RivuletChatOptions<Message>;
  readonly #connection: Connection;
  readonly #feeds = new Map<string, ChatFeed>();
  readonly #clock: Clock;

  /**
   * Prepares a transport. It connects when it is first used.
   *
   * @param options The relay and the endpoint, and the ways to reach them.
   * @throws {TypeError} If the URL of the relay is invalid, or there is no WebSocket.
   */
  constructor(options: RivuletChatOptions<Message>) {
    const { relay, token, reconnect, onStateChange, WebSocket } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#connection = connect(socketUrl(relay), {
      token,
      reconnect,
      onStateChange,
      WebSocket,
      clock: options.clock,
    });
  }

  /**
   * Sends a message, and gives the answer.
   *
   * @param sending The message to send, and the chat.
   * @returns The answer, which ends with the turn.
   * @throws {ChatError} If the endpoint refuses, or publishes no turn.
   * @throws {TypeError} If the endpoint cannot be reached.
   * @throws {RangeError} If no topic can have the chat's name.
   * @throws {SubscriptionError} If the relay refuses.
   */
  async sendMessages(
    sending: ChatSending<Message>,
  ): Promise<ReadableStream<ChatChunk>> {
    const { chatId, messages, messageId, trigger, abortSignal } = sending;
    const feed = this.#feed(chatId);
    const use = feed.use();
    const over = new AbortController();
    const signal = abortSignal
      ? AbortSignal.any([abortSignal, over.signal])
      : over.signal;
    const isNew = trigger === "submit-message" && messageId === undefined;
    const expected = feed.expect(messages.at(-1)?.id, isNew);
    try {
      // An earlier answer to the message must not be taken for the one that is asked for.
      if (!isNew) await abortable(feed.known, signal);
      const answered = this.#post(sending).then(async () => {
        await wait(BEGIN_TIMEOUT, this.#clock, signal);
        throw new ChatError(
          "no_turn",
          "Expected the answer to begin: the endpoint has not published it",
        );
      });
      // The answer is in the topic, whatever becomes of the request.
      answered.catch(() => {});
      const turn = await abortable(
        Promise.race([expected.turn, answered]),
        signal,
      );
      return streamOf(turn, use, abortSignal);
    } catch (error) {
      use();
      throw error;
    } finally {
      expected.forget();
      over.abort();
    }
  }

  /**
   * Gives the answer that is going on, from its beginning.
   *
   * @param options The chat, and what ends the reading here.
   * @returns The answer; `null` if none is going on.
   * @throws {RangeError} If no topic can have the chat's name.
   * @throws {SubscriptionError} If the relay refuses.
   */
  async reconnectToStream(
    { chatId, abortSignal }: { chatId: string; abortSignal?: AbortSignal },
  ): Promise<ReadableStream<ChatChunk> | null> {
    const feed = this.#feed(chatId);
    const use = feed.use();
    try {
      const running = feed.running();
      const turn =
        await (abortSignal ? abortable(running, abortSignal) : running);
      if (turn) return streamOf(turn, use, abortSignal);
      use();
      return null;
    } catch (error) {
      use();
      throw error;
    }
  }

  /**
   * Stops the turn that is under way, or that was sent last, for everybody. The
   * connection to the provider is closed.
   *
   * @param chatId The chat.
   * @param reason The reason, in words for those who follow: at most 1,000
   * characters.
   * @returns Resolves when the turn is over.
   * @throws {RangeError} If the reason is longer.
   */
  async stop(chatId: string, reason?: string): Promise<void> {
    const feed = this.#feed(chatId);
    const use = feed.use();
    try {
      await feed.stop(reason);
    } finally {
      use();
    }
  }

  /**
   * Tells of the turns of a chat, whoever sends them.
   *
   * @param chatId The chat.
   * @param listener The listener.
   * @returns Ends that.
   * @throws {RangeError} If no topic can have the chat's name.
   */
  watch(chatId: string, listener: ChatListener<Message>): () => void {
    const feed = this.#feed(chatId);
    const use = feed.use();
    const unlisten = feed.listen({
      messages: listener.messages,
      // It is what a transport of the application has sent.
      onTurn: (message) => listener.onTurn?.(message as Message | undefined),
      onEnd: (end) => listener.onEnd?.(end),
      onError: (error) => listener.onError?.(error),
    });
    return () => {
      unlisten();
      use();
    };
  }

  /** Ends everything, and closes the connection. */
  readonly close = async (): Promise<void> => {
    await this.#connection.close();
  };

  #feed(chatId: string): ChatFeed {
    const known = this.#feeds.get(chatId);
    if (known) return known;
    const { chat = CHAT, user } = this.#options;
    const topic = this.#options.topic?.(chatId) ??
      chatTopic({ chat, user, id: chatId });
    const subscription = this.#connection.subscribe(topic, {
      after: "start",
      stay: true,
      mode: "merge",
    });
    const feed = new ChatFeed(subscription, this.#clock, () => {
      if (this.#feeds.get(chatId) === feed) this.#feeds.delete(chatId);
    });
    this.#feeds.set(chatId, feed);
    return feed;
  }

  async #post(
    { chatId, messages, trigger, messageId, abortSignal, ...more }: ChatSending<
      Message
    >,
  ): Promise<void> {
    const { api: usual = "/api/chat", prepareSendMessagesRequest } =
      this.#options;
    const fields: Record<string, unknown> = {
      ...await resolve(this.#options.body),
      ...more.body,
    };
    const usualHeaders = new Headers(await resolve(this.#options.headers));
    new Headers(more.headers).forEach((value, name) =>
      usualHeaders.set(name, value)
    );
    const usualCredentials = await resolve(this.#options.credentials);
    const prepared = await prepareSendMessagesRequest?.({
      id: chatId,
      messages,
      requestMetadata: more.metadata,
      body: fields,
      credentials: usualCredentials,
      headers: usualHeaders,
      api: usual,
      trigger,
      messageId,
    });
    const headers = new Headers(prepared?.headers ?? usualHeaders);
    if (!headers.has("content-type")) {
      headers.set("content-type", "application/json");
    }
    const credentials = prepared?.credentials ?? usualCredentials;
    const { fetch = globalThis.fetch } = this.#options;
    const response = await fetch(prepared?.api ?? usual, {
      method: "POST",
      headers,
      body: JSON.stringify(
        prepared?.body ??
          { ...fields, id: chatId, messages, trigger, messageId },
      ),
      ...(credentials && { credentials }),
      ...(abortSignal && { signal: abortSignal }),
    });
    if (response.ok) return void response.body?.cancel().catch(() => {});
    const text = (await response.text()).slice(0, MAX_REFUSAL);
    throw new ChatError("refused", text || "The message was refused.", {
      status: response.status,
    });
  }
}

async function resolve<T>(
  value: Resolvable<T> | undefined,
): Promise<T | undefined> {
  // A function is none of the values.
  return typeof value === "function"
    ? await (value as () => T | PromiseLike<T>)()
    : value;
}

function streamOf(
  turn: Turn,
  use: () => void,
  signal: AbortSignal | undefined,
): ReadableStream<ChatChunk> {
  const release = (): void => {
    use();
    signal?.removeEventListener("abort", onAbort);
  };
  const stream = turn.stream(release);
  // Whoever reads a stream that was aborted is told so by its signal.
  const onAbort = release;
  signal?.addEventListener("abort", onAbort);
  return stream;
}
