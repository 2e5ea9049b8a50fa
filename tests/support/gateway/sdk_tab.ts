/**
 * A tab with a chat of the AI SDK and its own transport: what `useChat` is made of, without a
 * browser.
 *
 * @module
 */
import { AbstractChat, DefaultChatTransport, type UIMessage } from "ai";
import { followChat, type FollowedChat } from "../../../relay/chat/mod.ts";
import { LIMIT, until } from "../within.ts";

/** The chat of a tab, and its user. */
export interface SdkTabOptions {
  /** The relay, as the tab reaches it. */
  readonly relay: string;
  /** The id of the chat. */
  readonly id: string;
  /** The user. */
  readonly user: string;
  /** The user's token. */
  readonly token: string;
  /** Loads what the application has kept of the chat. */
  load(): Promise<UIMessage[]>;
}

class State {
  status: AbstractChat<UIMessage>["status"] = "ready";
  error: Error | undefined;
  messages: UIMessage[] = [];
  pushMessage = (message: UIMessage): void => {
    this.messages = [...this.messages, message];
  };
  popMessage = (): void => {
    this.messages = this.messages.slice(0, -1);
  };
  replaceMessage = (index: number, message: UIMessage): void => {
    this.messages = this.messages.with(index, structuredClone(message));
  };
  snapshot = <T>(thing: T): T => structuredClone(thing);
}

class Chat extends AbstractChat<UIMessage> {
  constructor(options: SdkTabOptions, beforeResume: () => Promise<void>) {
    const { relay, id, user, token } = options;
    super({
      id,
      transport: new DefaultChatTransport({
        fetch: async (input, init) => {
          if (init?.method === "GET") await beforeResume();
          return await fetch(input, init);
        },
        api: `${relay}/chat/app`,
        headers: { "Rivulet-Token": token, Cookie: `user=${user}` },
      }),
      state: new State(),
    });
  }
}

/** A tab, from its opening to its closing. */
export class SdkTab implements AsyncDisposable {
  /** The ends of the turns that the tab was told of. */
  readonly ends: string[] = [];
  /** Resolves when it shows what was kept, and follows the chat. */
  readonly ready: Promise<void>;
  /** Waited for before the answer is asked for that is going on. */
  beforeResume: () => Promise<void> = () => Promise.resolve();
  readonly #chat: Chat;
  readonly #followed: FollowedChat;
  #isClosed = false;

  /** Opens a tab: it shows what was kept, and what goes on. */
  constructor(options: SdkTabOptions) {
    const { relay, user, token, load } = options;
    this.#chat = new Chat(options, () => this.beforeResume());
    const begun = Promise.withResolvers<void>();
    const loaded = load().then((messages) => {
      this.#chat.messages = messages;
    });
    this.#followed = followChat(this.#chat, {
      relay,
      chat: "app",
      user,
      token,
      load,
      onEnd: ({ status }) => this.ends.push(status),
      reconnect: { minTimeout: 10, maxTimeout: 50 },
      onStateChange: ({ state }) => state === "open" && begun.resolve(),
    });
    this.ready = Promise.all([loaded, begun.promise]).then(() => {});
  }

  /** The status of the chat. */
  get status(): string {
    return this.#chat.status;
  }

  /** The message of the error that it shows. */
  get error(): string | undefined {
    return this.#chat.error?.message;
  }

  /** Whether an answer is awaited, or comes. */
  get isBusy(): boolean {
    return this.status === "submitted" || this.status === "streaming";
  }

  /** The texts, each with its role. */
  get shown(): readonly (readonly [role: string, text: string])[] {
    return this.#chat.messages.map(({ role, parts }) => [
      role,
      parts.map((part) => part.type === "text" ? part.text : "").join(""),
    ]);
  }

  /** Says something; the answer is waited for with {@linkcode until}. */
  say(text: string): void {
    void this.#chat.sendMessage({ text });
  }

  /** Wants the last answer anew. */
  again(): void {
    void this.#chat.regenerate();
  }

  /** The ids of the messages. */
  get ids(): readonly string[] {
    return this.#chat.messages.map(({ id }) => id);
  }

  /** Stops the answer for everybody. */
  stop(): void {
    this.#followed.stop();
  }

  /** Waits until the tab shows something. */
  async until(what: string, isThere: (tab: SdkTab) => boolean): Promise<void> {
    await until(
      () => isThere(this) || this.#isClosed || undefined,
      LIMIT,
      () =>
        `${what}: ${this.status} ${this.error} ${JSON.stringify(this.shown)}`,
    );
  }

  /** Closes the tab: whatever it reads breaks off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#followed.close();
    await this.#chat.stop();
  }
}
