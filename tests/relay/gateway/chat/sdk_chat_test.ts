// An application's own route with `streamText`, and chats of the AI SDK with its own transport:
// the relay is between them, and neither knows of it.
import { assert, assertEquals } from "@std/assert";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createApp } from "../../../../examples/chat-unchanged/app.ts";
import { startHostileServer } from "../../../../relay/commands/hostile_server.ts";
import { Gate } from "../../../support/chat/gate.ts";
import { SdkTab } from "../../../support/gateway/sdk_tab.ts";
import { CuttableLine } from "../../../support/http/cuttable_line.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { JWT_KEY } from "../../../support/rights/token.ts";
import { LIMIT, until, within } from "../../../support/within.ts";

/** A word comes each so many milliseconds. */
const PACE = "run; pace=2";

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

function ended(count: number): (tab: SdkTab) => boolean {
  return ({ ends }) => ends.length >= count;
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
  const app = createApp({
    key: JWT_KEY,
    model: chatModel("hostile-1"),
    tools: {},
  });
  const server = stack.adopt(
    Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, app),
    (server) => server.shutdown(),
  );
  const relay = stack.use(
    await startRelay({
      rights: { jwtKey: JWT_KEY },
      chats: [{
        name: "app",
        url: `http://127.0.0.1:${server.addr.port}/api/chat`,
      }],
    }),
  );
  const line = stack.use(await CuttableLine.start(relay.port));
  return {
    provider: provider.provider,
    line,
    gate,
    relayUrl: relay.url,
    async open(
      user: string,
      id: string,
      url = line.url,
    ): Promise<SdkTab> {
      const ask = (path: string): Promise<Response> =>
        app(
          new Request(`http://app/api/chat/${path}`, {
            headers: { cookie: `user=${user}` },
          }),
        );
      const tab = stack.use(
        new SdkTab({
          relay: url,
          id,
          user,
          token: await (await ask("token")).text(),
          load: async () => await (await ask(id)).json(),
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
  const { provider, open, line, gate, relayUrl } = world;

  await t.step(
    "a tab that is opened anew goes on, each word once",
    async () => {
      const text = words(90);
      provider.enqueue(PACE);
      const first = await open("ada", "reload");
      gate.close(20);
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
        gate.close(20);
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
      // It would go on for longer than a busy machine takes to stop it.
      provider.enqueue("run; pace=20");
      gate.close(20);
      first.say(words(2_000));
      await second.until("a beginning", hasBegun);
      const request = provider.requests.at(-1)!; // it is being answered
      first.stop();
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
    gate.close(20);
    tab.say(text);
    await tab.until("a beginning", hasBegun);
    line.cut();
    await tab.until("the cut", ({ status }) => status === "error");
    gate.open();
    line.mend();
    await tab.until("the answer", isDone(text));
    assertEquals(tab.shown.length, 2);
  });

  await t.step(
    "an answer that ends before a tab looks is loaded, and is shown once",
    async () => {
      const text = words(90);
      provider.enqueue(PACE, PACE, PACE);
      const [own, other] = [
        await open("ada", "late", relayUrl),
        await open("ada", "late"),
      ];
      own.say(words(3));
      await other.until("an answer", isDone(words(3)));
      line.cut();
      // Both are told of the end before they can ask for the answer.
      other.beforeResume = () => other.until("its end", ended(3));
      line.mend();
      own.say(text);
      await own.until("the answer", isDone(text));
      own.say("more");
      await own.until("the next answer", isDone("more"));
      await other.until("both in the other tab", isDone("more"));
      assertEquals(other.shown, own.shown);
      assertEquals(other.ends, ["complete", "complete", "complete"]);
    },
  );

  await t.step("an answer that is wanted anew is shown anew", async () => {
    provider.enqueue(PACE, PACE);
    const [own, other] = [await open("ada", "anew"), await open("ada", "anew")];
    own.say("once");
    for (const tab of [own, other]) {
      await tab.until("an answer", isDone("once"));
    }
    const before = other.ids;
    own.again();
    await until(
      () =>
        other.ids.at(-1) !== before.at(-1) && isDone("once")(other) ||
        undefined,
      LIMIT,
      "the other answer",
    );
    await own.until("the other answer", isDone("once"));
    assertEquals(other.ids, own.ids);
    assertEquals(other.ids.length, 2);
  });

  await t.step(
    "a turn that is stopped before it begins is stopped",
    async () => {
      provider.enqueue(PACE);
      const tab = await open("ada", "early");
      gate.close(20);
      tab.say(words(90));
      await tab.until("the request", ({ isBusy }) => isBusy);
      tab.stop();
      await tab.until("the stop", ({ ends }) => ends.at(-1) === "cancelled");
      gate.open();
    },
  );

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
    gate.close(20);
    const [ada, eve] = [await open("ada", "users"), await open("eve", "users")];
    ada.say(text);
    await ada.until("a beginning", hasBegun);
    const late = await open("eve", "users");
    late.stop();
    gate.open();
    await ada.until("the answer", isDone(text));
    assertEquals([...eve.shown, ...late.shown], []);
    assertEquals([...eve.ends, ...late.ends], []);
  });
});
