// This module is browser compatible.
import { abortable } from "../../src/fetch/abortable.ts";
import { type Clock, systemClock } from "../../src/fetch/clock.ts";
import { wait } from "../../src/fetch/retry.ts";
import { brokeOff } from "../../src/model/wires/ui/broke_off.ts";
import { isTurnPart } from "../../src/model/wires/ui/turn.ts";
import { connect, type Connection } from "../client/connect.ts";
import type { SubscriptionMessage } from "../client/message.ts";
import type { ConnectOptions } from "../client/options.ts";
import type { Subscription } from "../client/subscription.ts";
import type { TopicEnd } from "../client/topic_end.ts";
import { chatTopic } from "../chat_topic.ts";
import { type ChatMessage, parseChunk } from "./chunk.ts";
import { joinTurn } from "./join_turn.ts";
import { idOf, lacksTurn } from "./lacks_turn.ts";
import { socketUrl } from "./socket_url.ts";

/** The last event of a stream of UI messages. */
const DONE = "[DONE]";

/** The reason given for a stopped answer, unless the application gives one. */
const STOPPED = "Stopped by a user";

/** The least time between two attempts to go on with an answer that broke off, in milliseconds. */
const RETRY_AFTER = 1_000;

/**
 * The time between two looks at a busy chat, in milliseconds: a chat does not
 * report that it is done.
 */
const LOOK_EACH = 20;

/**
 * The time that the next turn waits for a chat to read the last one to its end,
 * in milliseconds.
 */
const READ_LIMIT = 1_000;

/**
 * A chat of the AI SDK: `Chat` of `@ai-sdk/react`, `@ai-sdk/vue`, `@ai-sdk/svelte` or
 * `@ai-sdk/angular`.
 *
 * @typeParam Message The application's type of messages.
 *
 * @example What is asked of it
 * ```ts
 * import type { FollowableChat } from "@rivulet/rivulet/chat";
 *
 * const chat: FollowableChat = {
 *   id: "7",
 *   status: "ready",
 *   messages: [],
 *   resumeStream: async () => {},
 *   clearError: () => {},
 * };
 * ```
 */
export interface FollowableChat<Message = ChatMessage> {
  /** The id of the chat. */
  readonly id: string;
  /** The status of the chat. */
  readonly status: "submitted" | "streaming" | "ready" | "error";
  /** The conversation. */
  messages: Message[];
  /** Reads the answer that is going on, from its beginning. */
  resumeStream(): Promise<void>;
  /** Forgets an error. */
  clearError(): void;
}

/**
 * The chat to follow, the relay, and the listeners.
 *
 * @typeParam Message The application's type of messages.
 *
 * @example A chat of one user
 * ```ts
 * import type { FollowChatOptions } from "@rivulet/rivulet/chat";
 *
 * const options: FollowChatOptions = {
 *   relay: "https://relay.example.com",
 *   chat: "app",
 *   user: "ada",
 *   token: async () => await (await fetch("/api/chat/token")).text(),
 *   load: async () => await (await fetch("/api/chat/7")).json(),
 *   onEnd: ({ reason = "" }) => console.log(reason),
 * };
 * if (!options.load) throw new Error("unreachable");
 * ```
 */
export interface FollowChatOptions<Message = ChatMessage> extends
  Pick<
    ConnectOptions,
    "token" | "reconnect" | "onStateChange" | "WebSocket" | "clock"
  > {
  /** The relay: its origin, or a URL below which it is. */
  relay: string | URL;
  /** The name of the chat route: that of `--chat NAME=URL`. */
  chat: string;
  /** The user: the `sub` of the token. Default: the relay has no key, or the chat is shared. */
  user?: string | undefined;
  /**
   * Loads the conversation, as the application has kept it: called for an answer that has
   * ended and is not shown.
   */
  load: () => Promise<Message[]>;
  /**
   * Called when a turn begins, whoever has sent it, or is going on already.
   *
   * @param message The message that is answered, if the relay knows it.
   */
  onTurn?: ((message: Message | undefined) => void) | undefined;
  /**
   * Called when a turn has ended: `complete`; `cancelled`, somebody has stopped it;
   * `failed`; or `truncated`, it broke off. The reason can be shown to the user: for
   * `truncated`, it has the words of the error in the answer's stream.
   */
  onEnd?: ((end: TopicEnd) => void) | undefined;
  /** Called when `load` has failed, or nothing more will be told, as the relay has refused. */
  onError?: ((error: unknown) => void) | undefined;
}

/**
 * The methods of a chat that is followed.
 *
 * @example A button
 * ```ts
 * import type { FollowedChat } from "@rivulet/rivulet/chat";
 *
 * const onStop = ({ stop }: FollowedChat) => () => void stop();
 * if (typeof onStop !== "function") throw new Error("unreachable");
 * ```
 */
export interface FollowedChat {
  /**
   * Stops the answer that is going on, or that was asked for from here, for everybody.
   *
   * @param reason The reason, in words for those who follow: at most 1,000
   * characters.
   */
  readonly stop: (reason?: string) => void;
  /** Ends the following. The answer goes on. */
  readonly close: () => Promise<void>;
}

/**
 * Keeps a chat of the AI SDK in step with its topic behind `--chat`, while it has its own
 * transport. A turn that another tab begins is shown as it comes; an answer whose connection
 * broke off goes on; one that ended while the page was loading or away is loaded.
 *
 * @typeParam Message The application's type of messages.
 * @param chat The chat.
 * @param options The relay, the chat, and the listeners.
 * @returns Stops the answer, and ends the following.
 *
 * @example With `DefaultChatTransport`
 * ```ts ignore
 * import { Chat, useChat } from "@ai-sdk/react";
 * import { DefaultChatTransport } from "ai";
 * import { followChat } from "@rivulet/rivulet/chat";
 *
 * const relay = "https://relay.example.com";
 * const load = async () => await (await fetch("/api/chat/7")).json();
 * const chat = new Chat({
 *   id: "7",
 *   messages: await load(),
 *   transport: new DefaultChatTransport({ api: `${relay}/chat/app` }),
 * });
 * const { stop } = followChat(chat, { relay, chat: "app", load });
 * ```
 */
export function followChat<Message extends { id: string } = ChatMessage>(
  chat: FollowableChat<Message>,
  options: FollowChatOptions<Message>,
): FollowedChat {
  const follower = new ChatFollower(chat, options);
  void follower.follow();
  return { stop: follower.stop, close: follower.close };
}

/** A turn, as far as it matters here. */
class FollowedTurn {
  /** Whether it had ended when it was first seen. */
  readonly isPast: boolean;
  /** Whether nobody is told of it: it had ended before the chat was followed. */
  readonly isOld: boolean;
  message: unknown;
  answerId: string | undefined;
  hasBegun = false;
  /** Whether the answer has said its id, if it has one. */
  hasStarted = false;
  /** Whether it is known who reads it. */
  isDecided = false;
  /** Whether the chat has lost its connection to the answer. */
  isBroken = false;
  /** Whether the answer has said that it failed. */
  hasFailed = false;
  end: TopicEnd | undefined;

  constructor(isPast: boolean, isOld: boolean) {
    this.isPast = isPast;
    this.isOld = isOld;
  }
}

class ChatFollower<Message extends { id: string }> {
  readonly #chat: FollowableChat<Message>;
  readonly #options: FollowChatOptions<Message>;
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #subscription: Subscription;
  readonly #over = new AbortController();
  #turn: FollowedTurn | undefined;
  /** Whether the chat asks for the answer that is going on, or reads it. */
  #isResuming = false;
  #resumedAt = -Infinity;
  /** The reason to stop this page's own answer as soon as it begins. */
  #stopping: string | undefined;

  constructor(
    chat: FollowableChat<Message>,
    options: FollowChatOptions<Message>,
  ) {
    this.#chat = chat;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { relay, token, reconnect, onStateChange, WebSocket } = options;
    const { clock } = options;
    this.#connection = connect(socketUrl(relay), {
      token,
      reconnect,
      onStateChange,
      WebSocket,
      clock,
    });
    this.#subscription = this.#connection.subscribe(
      chatTopic({ chat: options.chat, user: options.user, id: chat.id }),
      { after: "start", stay: true },
    );
  }

  readonly close = async (): Promise<void> => {
    this.#over.abort();
    await this.#connection.close();
  };

  readonly stop = (reason = STOPPED): void => {
    const turn = this.#turn;
    if (turn?.hasBegun && !turn.end) this.#subscription.cancel(reason);
    else if (this.#isBusy) this.#stopping = reason;
  };

  async follow(): Promise<void> {
    const { onError } = this.#options;
    try {
      for await (const message of this.#subscription) await this.#take(message);
    } catch (error) {
      if (!this.#over.signal.aborted) onError?.(error);
    }
  }

  get #isBusy(): boolean {
    const { status } = this.#chat;
    return this.#isResuming || status === "submitted" || status === "streaming";
  }

  async #take(message: SubscriptionMessage): Promise<void> {
    const turn = this.#turn;
    switch (message.type) {
      case "subscribed": {
        const isPast = message.state === "ended";
        this.#turn = new FollowedTurn(isPast, isPast && !turn);
        break;
      }
      case "end":
        if (turn) await this.#end(turn, message);
        break;
      case "event":
        if (turn && message.data !== DONE) await this.#read(turn, message.data);
    }
  }

  async #read(turn: FollowedTurn, data: string): Promise<void> {
    // The chat reads the answer itself: only its beginning is of interest, and a failure.
    const isKnown = turn.hasStarted && (turn.isDecided || turn.isPast);
    if (isKnown && this.#chat.status !== "error") return;
    const chunk = parseChunk(data);
    if (chunk.type === "error") turn.hasFailed = true;
    if (chunk.type === "start") {
      turn.hasStarted = true;
      turn.answerId = chunk.messageId;
    }
    const isFirst = !turn.hasBegun;
    if (isFirst) {
      turn.hasBegun = true;
      if (isTurnPart(chunk)) turn.message = chunk.data.message ?? undefined;
      // It is what a transport of the application has sent.
      const message = turn.message as Message | undefined;
      if (!turn.isOld) this.#options.onTurn?.(message);
    }
    if (turn.isPast) return;
    if (turn.isDecided) this.#goOn();
    else await this.#decide(turn, isFirst);
  }

  /** Finds out whether the chat reads an answer already, and has it read what it does not. */
  async #decide(turn: FollowedTurn, isFirst: boolean): Promise<void> {
    const { messages } = this.#chat;
    const message = turn.message as Message | undefined; // as above
    const id = idOf(message);
    const at = messages.findIndex((one) => one.id === id);
    turn.isDecided = true;
    if (this.#isBusy && (at >= 0 || id === undefined)) { // it was sent from here
      if (this.#stopping !== undefined) this.stop(this.#stopping);
      this.#stopping = undefined;
      return;
    }
    if (at >= 0 && at < messages.length - 1) {
      // It was sent from here and is answered, or is wanted anew: the answer's id says which.
      if (isFirst) return void (turn.isDecided = false);
      if (messages.some((one) => one.id === turn.answerId)) return;
    }
    await this.#idle();
    // It is looked at again with its next part.
    if (this.#isBusy) return void (turn.isDecided = false);
    this.#chat.messages = joinTurn(this.#chat.messages, message);
    this.#resume();
  }

  async #end(
    turn: FollowedTurn,
    { status, reason }: TopicEnd,
  ): Promise<void> {
    const end = { status, ...(reason !== undefined && { reason }) };
    turn.end = end;
    if (!turn.isOld) {
      const isBroken = status === "truncated" || status === "expired";
      const told = isBroken ? { status, reason: brokeOff(reason) } : end;
      this.#options.onEnd?.(told);
    }
    await this.#complete(turn);
  }

  /** Loads an answer that has ended and is not shown, or not to its end. */
  async #complete(turn: FollowedTurn): Promise<void> {
    const chat = this.#chat;
    if (chat.status === "error" && !turn.hasFailed) turn.isBroken = true;
    const isLacking = turn.isBroken || lacksTurn(chat.messages, turn);
    if (this.#isBusy || !isLacking) return;
    const loaded = await this.#load();
    if (!loaded || this.#isBusy || lacksTurn(loaded, turn)) return;
    chat.messages = loaded;
    if (turn.isBroken && turn.end?.status === "complete") chat.clearError();
    turn.isBroken = false;
  }

  /** Has the chat read the answer that is going on, if it has lost it. */
  #goOn(): void {
    const turn = this.#turn;
    if (!turn?.hasBegun || turn.isPast || turn.end || turn.hasFailed) return;
    if (this.#isBusy || this.#chat.status !== "error") return;
    turn.isBroken = true;
    if (this.#clock.now() - this.#resumedAt >= RETRY_AFTER) this.#resume();
  }

  #resume(): void {
    this.#isResuming = true;
    this.#resumedAt = this.#clock.now();
    void this.#chat.resumeStream().finally(async () => {
      this.#isResuming = false;
      // One may have ended before it was asked for, or while another was read.
      if (this.#turn?.end) await this.#complete(this.#turn);
    });
  }

  /** Waits until the chat has read the last answer to its end, though not for ever. */
  async #idle(): Promise<void> {
    for (let waited = 0; this.#isBusy && waited < READ_LIMIT;) {
      await wait(LOOK_EACH, this.#clock, this.#over.signal);
      waited += LOOK_EACH;
    }
  }

  async #load(): Promise<Message[] | undefined> {
    try {
      return await abortable(this.#options.load(), this.#over.signal);
    } catch (error) {
      if (!this.#over.signal.aborted) this.#options.onError?.(error);
      return undefined;
    }
  }
}
