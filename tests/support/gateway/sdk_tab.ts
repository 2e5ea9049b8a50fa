/**
 * A tab with a chat of the AI SDK and its own transport: what `useChat` is made of, without a
 * browser.
 *
 * @module
 */
import { AbstractChat, DefaultChatTransport, type UIMessage } from "ai";
import { joinTurn, RivuletChatTransport } from "../../../relay/chat/mod.ts";
import { LIMIT, until } from "../within.ts";

/** Where a tab's chat is, and whose it is. */
export interface SdkTabOptions {
  /** The relay, as the tab reaches it. */
  readonly relay: string;
  /** The id of the chat. */
  readonly id: string;
  /** The user. */
  readonly user: string;
  /** The user's token. */
  readonly token: string;
  /** Returns what the application has kept of the chat. */
  load(): UIMessage[];
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
  constructor(options: SdkTabOptions, onError: (error: Error) => void) {
    const { relay, id, token } = options;
    super({
      id,
      transport: new DefaultChatTransport({
        api: `${relay}/chat/app`,
        headers: { "Rivulet-Token": token },
      }),
      state: new State(),
      onError,
    });
  }
}

/** A tab, from its opening to its closing. */
export class SdkTab implements AsyncDisposable {
  /** How the turns have ended of which the tab was told. */
  readonly ends: string[] = [];
  /** Resolves when it shows what was kept, and reads what goes on. */
  readonly ready: Promise<void>;
  readonly #chat: Chat;
  readonly #options: SdkTabOptions;
  readonly #watcher: RivuletChatTransport<UIMessage>;
  readonly #unwatch: () => void;
  #isClosed = false;

  /** Opens a tab: it shows what was kept, and what goes on. */
  constructor(options: SdkTabOptions) {
    this.#options = options;
    const { relay, id, user, token } = options;
    this.#chat = new Chat(options, (error) => {
      // The network is away.
      if (error instanceof TypeError) setTimeout(() => this.#catchUp(), 50);
    });
    this.#watcher = new RivuletChatTransport({
      relay,
      chat: "app",
      user,
      token,
      reconnect: { minTimeout: 10, maxTimeout: 50 },
    });
    this.#unwatch = this.#watcher.watch(id, {
      onTurn: (message) => {
        if (this.isBusy) return; // it is this tab's own
        const chat = this.#chat;
        chat.messages = joinTurn(chat.messages, message);
        void chat.resumeStream();
      },
      onEnd: ({ status }) => this.ends.push(status),
    });
    const caught = { up: false };
    void this.#catchUp().then(() => caught.up = true);
    this.ready = this.until(
      "the beginning",
      ({ isBusy }) => isBusy || caught.up,
    );
  }

  /** What the chat is doing. */
  get status(): string {
    return this.#chat.status;
  }

  /** What it shows of an error. */
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

  /** Stops the answer for everybody. */
  async stop(): Promise<void> {
    const { relay, id, token } = this.#options;
    await fetch(`${relay}/chat/app/${id}/stop`, {
      method: "POST",
      headers: { "Rivulet-Token": token },
    });
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

  /** What was missed goes on, or is kept. */
  async #catchUp(): Promise<void> {
    if (this.#isClosed) return;
    const chat = this.#chat;
    chat.messages = this.#options.load();
    await chat.resumeStream();
    // It may have ended in between.
    if (chat.status === "ready") chat.messages = this.#options.load();
  }

  /** Closes the tab: whatever it reads breaks off. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#unwatch();
    await this.#watcher.close();
    await this.#chat.stop();
  }
}
