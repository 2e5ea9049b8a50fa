/**
 * A chat with everything that it needs: a provider of models, a relay, a server, and tabs
 * of a browser.
 *
 * @module
 */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { jsonSchema, type LanguageModel, tool, type ToolSet } from "ai";
import type { Browser, BrowserContext } from "playwright-core";
import {
  type HostileServer,
  startHostileServer,
} from "../../../relay/commands/hostile_server.ts";
import { CuttableLine } from "../http/cuttable_line.ts";
import { freePort } from "../http/free_port.ts";
import { startRelay, type TestRelay } from "../relay/relay.ts";
import { TemporaryFolder } from "../relay/sqlite_world.ts";
import { ChatTab } from "./chat_tab.ts";
import { Gate } from "./gate.ts";

/** The key of the relay. */
export const CHAT_KEY = "a secret of the relay that is long enough";

/** The parts of a chat that is to be tested. */
export interface ChatSetup {
  /** The name in reports. */
  readonly name: string;
  /**
   * Whether an answer `goes on` when what keeps it is restarted, or `breaks` off with
   * words.
   */
  readonly restart: "goes on" | "breaks";
  /** Starts what serves the pages. */
  start(surroundings: ChatSurroundings): Promise<RunningChat>;
}

/** The parts of the world that a set-up uses. */
export interface ChatSurroundings {
  /** The model behind the chat: it says the last message again, word by word. */
  readonly model: LanguageModel;
  /** The provider of the model. */
  readonly provider: HostileServer;
  /** The tools that the model may call. */
  readonly tools: ToolSet;
  /**
   * Starts a relay on a file, whose key is {@linkcode CHAT_KEY}.
   *
   * @param options What it is told besides.
   */
  relay(options?: Parameters<typeof startRelay>[0]): Promise<ChatRelay>;
}

/** A relay that can be restarted under its address. */
export interface ChatRelay extends AsyncDisposable {
  /** The address, for servers. */
  readonly url: string;
  /** The relay that runs. */
  readonly current: TestRelay;
  /**
   * Stops it, and starts another on its file.
   *
   * @param options What it is told in place of what the last one was told.
   */
  restart(options?: Parameters<typeof startRelay>[0]): Promise<void>;
}

/** A chat that runs. */
export interface RunningChat extends AsyncDisposable {
  /** The ports that pages speak to, by a name that {@linkcode RunningChat.serve} is given. */
  readonly ports: Readonly<Record<string, number>>;
  /**
   * Serves the page.
   *
   * @param origins The addresses of the ports, as pages reach them.
   */
  serve(origins: Readonly<Record<string, string>>): void | Promise<void>;
  /** The port that has the page. */
  readonly pageOf: string;
  /** Restarts what keeps the answer that is going on. */
  restart(): Promise<void>;
}

/** A chat, its surroundings and a browser. */
export class ChatWorld implements AsyncDisposable {
  /** The provider. */
  readonly provider: HostileServer;
  /** The gate that answers have to pass. */
  readonly gate: Gate;
  /** The parts. */
  readonly setup: ChatSetup;
  readonly #stack: AsyncDisposableStack;
  readonly #running: RunningChat;
  readonly #lines: ReadonlyMap<string, CuttableLine>;
  readonly #browser: Browser;
  readonly #contexts = new Map<string, BrowserContext>();
  #chats = 0;

  private constructor(
    setup: ChatSetup,
    stack: AsyncDisposableStack,
    provider: HostileServer,
    gate: Gate,
    running: RunningChat,
    lines: ReadonlyMap<string, CuttableLine>,
    browser: Browser,
  ) {
    this.setup = setup;
    this.#stack = stack;
    this.provider = provider;
    this.gate = gate;
    this.#running = running;
    this.#lines = lines;
    this.#browser = browser;
  }

  /** Starts everything but the browser. */
  static async start(setup: ChatSetup, browser: Browser): Promise<ChatWorld> {
    await using stack = new AsyncDisposableStack();
    const provider = stack.use(await startHostileServer());
    const gate = new Gate();
    const { chatModel } = createOpenAICompatible({
      name: "hostile",
      baseURL: `${provider.url}/v1`,
      // It would call them whatever it is asked; a scenario says when it does.
      transformRequestBody: ({ tools: _, tool_choice: __, ...body }) => body,
      fetch: async (input, init) => gate.guard(await fetch(input, init)),
    });
    const running = stack.use(
      await setup.start({
        provider,
        model: chatModel("hostile-1"),
        tools: TOOLS,
        relay: startChatRelay,
      }),
    );
    const lines = new Map<string, CuttableLine>();
    for (const [name, port] of Object.entries(running.ports)) {
      lines.set(name, stack.use(await CuttableLine.start(port)));
    }
    await running.serve(
      Object.fromEntries([...lines].map(([name, { url }]) => [name, url])),
    );
    return new ChatWorld(
      setup,
      stack.move(),
      provider,
      gate,
      running,
      lines,
      browser,
    );
  }

  /** Returns the id of a chat that is new. */
  newChat(): string {
    return `c${++this.#chats}`;
  }

  /** Opens a tab of a user. */
  async open(user: string, chat: string): Promise<ChatTab> {
    const url = this.#lines.get(this.#running.pageOf)!.url; // it was made of the ports
    let context = this.#contexts.get(user);
    if (!context) {
      context = await this.#browser.newContext();
      this.#stack.defer(() => context!.close()); // made above
      this.#contexts.set(user, context);
      await context.addCookies([{ name: "user", value: user, url }]);
    }
    const page = await context.newPage();
    const tab = new ChatTab(page);
    await page.goto(`${url}/?chat=${chat}`);
    await tab.ready();
    return tab;
  }

  /** Closes all tabs. */
  async closeTabs(): Promise<void> {
    for (const context of this.#contexts.values()) {
      await Promise.all(context.pages().map((page) => page.close()));
    }
  }

  /** Takes the network away from the pages. */
  cut(): void {
    for (const line of this.#lines.values()) line.cut();
  }

  /** Gives it back. */
  mend(): void {
    for (const line of this.#lines.values()) line.mend();
  }

  /** Restarts what keeps the answer that is going on. */
  async restart(): Promise<void> {
    await this.#running.restart();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
    // Of early answers, @hono/node-server looks after the body for 500 ms.
    await new Promise((resolve) => setTimeout(resolve, 600));
  }
}

const TOOLS: ToolSet = {
  get_weather: tool({
    description: "Tells the weather of a city.",
    inputSchema: jsonSchema<{ city: string }>({
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
    }),
    execute: ({ city }) => ({ city, degrees: 21 }),
  }),
};

async function startChatRelay(
  options: Parameters<typeof startRelay>[0] = {},
): Promise<ChatRelay> {
  const folder = new TemporaryFolder();
  const start = (port: number): Promise<TestRelay> =>
    startRelay({
      origins: ["*"],
      ...options,
      port,
      rights: { jwtKey: CHAT_KEY, ...options.rights },
      store: `sqlite:${folder.path}/chats.db`,
    });
  let current = await start(freePort());
  return {
    url: current.url,
    get current() {
      return current;
    },
    async restart(others = {}) {
      const { port } = current;
      Object.assign(options, others);
      await current[Symbol.asyncDispose]();
      current = await start(port);
    },
    async [Symbol.asyncDispose]() {
      await current[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
