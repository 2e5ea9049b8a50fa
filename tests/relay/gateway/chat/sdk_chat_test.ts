// An application's own route with `streamText`, and chats of the AI SDK with its own transport:
// the relay is between them, and neither knows of it.
import { assert, assertEquals } from "@std/assert";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createChatApp } from "../../../../examples/chat-unchanged/server.ts";
import { createChatToken } from "../../../../relay/chat/server/mod.ts";
import { startHostileServer } from "../../../../relay/commands/hostile_server.ts";
import { SdkTab } from "../../../support/gateway/sdk_tab.ts";
import { CuttableLine } from "../../../support/http/cuttable_line.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { JWT_KEY } from "../../../support/rights/token.ts";
import { LIMIT, within } from "../../../support/within.ts";

/** Holds answers of the provider up, so that no machine is too slow for what is in between. */
class Gate {
  #left = Infinity;
  #opened = Promise.withResolvers<void>();

  /** Lets some words through, and nothing more until it is opened. */
  close(): void {
    this.#left = 6_000; // bytes
    this.#opened = Promise.withResolvers();
  }

  /** Lets everything through. */
  open(): void {
    this.#left = Infinity;
    this.#opened.resolve();
  }

  /** Has an answer pass it. */
  guard({ status, headers, body }: Response): Response {
    const passed = body?.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform: async (chunk, controller) => {
          const passed = chunk.subarray(0, this.#left);
          this.#left -= passed.length;
          if (passed.length > 0) controller.enqueue(passed);
          if (passed.length === chunk.length) return;
          await this.#opened.promise;
          controller.enqueue(chunk.subarray(passed.length));
        },
      }),
    );
    return new Response(passed ?? null, { status, headers });
  }
}

/** A word comes each so many milliseconds. */
const PACE = "run";

function words(count: number): string {
  return Array.from({ length: count }, (_, index) => `word${index}`).join(" ");
}

function isDone(text: string): (tab: SdkTab) => boolean {
  return ({ status, shown }) =>
    status === "ready" && shown.at(-1)?.join() === `assistant,${text}` &&
    shown.at(-2)?.join() === `user,${text}`;
}

function hasBegun({ status, shown }: SdkTab): boolean {
  return status === "streaming" && shown.at(-1)?.[0] === "assistant" &&
    (shown.at(-1)?.[1] ?? "").includes("word2");
}

async function startWorld() {
  const stack = new AsyncDisposableStack();
  const gate = new Gate();
  const provider = stack.use(await startHostileServer());
  const { chatModel } = createOpenAICompatible({
    name: "hostile",
    baseURL: `${provider.url}/v1`,
    fetch: async (input, init) => gate.guard(await fetch(input, init)),
  });
  const app = createChatApp(chatModel("hostile-1"));
  const server = stack.adopt(
    Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      (request) => app.POST(request),
    ),
    (server) => server.shutdown(),
  );
  const relay = stack.use(
    await startRelay({
      rights: { jwtKey: JWT_KEY },
      chats: [{ name: "app", url: `http://127.0.0.1:${server.addr.port}/` }],
    }),
  );
  const line = stack.use(await CuttableLine.start(relay.port));
  return {
    provider: provider.provider,
    line,
    gate,
    async open(user: string, id: string): Promise<SdkTab> {
      const tab = stack.use(
        new SdkTab({
          relay: line.url,
          id,
          user,
          token: await createChatToken({
            key: JWT_KEY,
            user,
            chat: "app",
            send: true,
          }),
          // Each user has chats of their own.
          load: () => user === "ada" ? app.history(id) : [],
        }),
      );
      await tab.ready;
      return tab;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await stack.disposeAsync();
    },
  };
}

Deno.test("A chat of the AI SDK with --chat: reload, second tab, next turn, stop, network, failure, users", async (t) => {
  await using world = await startWorld();
  const { provider, open, line, gate } = world;

  await t.step(
    "a tab that is opened anew goes on, each word once",
    async () => {
      const text = words(90);
      provider.enqueue(PACE);
      const first = await open("ada", "reload");
      gate.close();
      first.say(text);
      await first.until("a beginning", hasBegun);
      await first[Symbol.asyncDispose]();
      const again = await open("ada", "reload");
      await again.until("the beginning once more", hasBegun);
      gate.open();
      await again.until("the answer", isDone(text));
      assertEquals(again.shown.length, 2);
    },
  );

  await t.step(
    "an open second tab reads along, and learns of the next turn",
    async () => {
      const [first, second] = [
        await open("ada", "tabs"),
        await open("ada", "tabs"),
      ];
      for (const text of [words(90), words(80)]) {
        provider.enqueue(PACE);
        gate.close();
        first.say(text);
        await second.until("the turn in the second tab", hasBegun);
        assertEquals(second.shown.at(-2), ["user", text]);
        assert(first.isBusy);
        gate.open();
        await first.until("the answer", isDone(text));
        await second.until("the answer in the second tab", isDone(text));
      }
      assertEquals(first.shown.length, 4);
      assertEquals(second.shown, first.shown);
    },
  );

  await t.step(
    "Stop hangs up on the provider, and both tabs say so",
    async () => {
      const [first, second] = [
        await open("ada", "stop"),
        await open("ada", "stop"),
      ];
      provider.enqueue("run; pace=20");
      gate.close();
      first.say(words(200));
      await second.until("a beginning", hasBegun);
      const request = provider.requests.at(-1)!; // it is being answered
      await first.stop();
      assertEquals(await within(request.done, LIMIT, "the end"), "aborted");
      for (const tab of [first, second]) {
        await tab.until(
          "the stop",
          ({ status, ends }) =>
            status === "ready" && ends.at(-1) === "cancelled",
        );
        assertEquals(tab.error, undefined);
        assert(tab.shown.at(-1)?.[1].startsWith("word0 word1"));
      }
    },
  );

  await t.step("a network that is away loses nothing", async () => {
    const text = words(90);
    provider.enqueue(PACE);
    const tab = await open("ada", "network");
    gate.close();
    tab.say(text);
    await tab.until("a beginning", hasBegun);
    line.cut();
    await tab.until("the cut", ({ status }) => status === "error");
    gate.open();
    line.mend();
    await tab.until("the answer", isDone(text));
    assertEquals(tab.shown.length, 2);
  });

  await t.step("a provider that fails is told in words", async () => {
    const [first, second] = [
      await open("ada", "failure"),
      await open("ada", "failure"),
    ];
    provider.enqueue(`${PACE}; error; after=6`);
    first.say(words(20));
    await first.until("the words", ({ status }) => status === "error");
    assertEquals(first.error, "The model cannot be reached at the moment.");
    await second.until("the end", ({ ends }) => ends.at(-1) === "failed");
  });

  await t.step("another user's chat of the same id is another", async () => {
    const text = words(90);
    provider.enqueue(PACE);
    gate.close();
    const [ada, eve] = [await open("ada", "users"), await open("eve", "users")];
    ada.say(text);
    await ada.until("a beginning", hasBegun);
    const late = await open("eve", "users");
    await late.stop();
    gate.open();
    await ada.until("the answer", isDone(text));
    assertEquals([...eve.shown, ...late.shown], []);
    assertEquals([...eve.ends, ...late.ends], []);
  });
});
