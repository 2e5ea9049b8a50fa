/**
 * The scenarios that a chat must survive, whatever it is made of.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { LIMIT, until, within } from "../within.ts";
import { isChromiumMissing, startChromium } from "../client/chromium.ts";
import { type Shown, textOf } from "./chat_tab.ts";
import { type ChatSetup, ChatWorld } from "./chat_world.ts";

/**
 * The length of the network's absence, in milliseconds, unless a set-up needs
 * more.
 */
const CUT = 1_500;

/** The provider's time from one word to the next, in milliseconds. */
const PACE = 10;

/** The surroundings of a scenario. */
export interface ScenarioOptions {
  /** The length of the network's absence, in milliseconds. */
  readonly cut?: number;
  /** Whether a second tab is left out, and what the page says besides. */
  readonly isAlone?: boolean;
}

/** One thing that a chat has to stand. */
export interface ChatScenario {
  /** The name in reports. */
  readonly name: string;
  /** Throws if the chat does not stand it. */
  run(world: ChatWorld, options?: ScenarioOptions): Promise<void>;
}

/** So many words, which the model says again. */
function words(count: number): string {
  return Array.from({ length: count }, (_, index) => `word${index}`).join(" ");
}

function says(count: number): (shown: Shown) => boolean {
  return (shown) => textOf(shown, "assistant").split(" ").length >= count;
}

function isDone({ status }: Shown): boolean {
  return status === "ready";
}

function isStreaming({ status }: Shown): boolean {
  return status === "streaming";
}

/** A whole answer, once. */
function isWhole(text: string): (shown: Shown) => boolean {
  return (shown) =>
    isDone(shown) && textOf(shown, "assistant") === text &&
    textOf(shown, "user") === text;
}

/** The scenarios, in the order of the table. */
export const CHAT_SCENARIOS: readonly ChatScenario[] = [
  {
    name: "a reload in mid-answer goes on, each token once",
    async run(world) {
      const text = words(50);
      world.provider.provider.enqueue(`run; pace=${PACE}`);
      world.gate.close(20);
      const tab = await world.open("ada", world.newChat());
      await tab.send(text);
      await tab.until("a beginning", says(8));
      await tab.reload();
      const shown = await tab.until("the rest", says(8));
      assert(!isDone(shown), "it was over before the reload");
      world.gate.open();
      const { messages } = await tab.until("the answer", isWhole(text));
      assertEquals(messages.map(({ role }) => role), ["user", "assistant"]);
      assertEquals(tab.errors, []);
    },
  },
  {
    name: "a second tab follows live, and sees the next turn begin",
    async run(world) {
      const chat = world.newChat();
      const [first, second] = [
        await world.open("ada", chat),
        await world.open("ada", chat),
      ];
      for (const text of [words(40), words(30)]) {
        world.provider.provider.enqueue(`run; pace=${PACE}`);
        world.gate.close(20);
        await first.send(text);
        const shown = await second.until(
          "the turn in the second tab",
          (shown) =>
            textOf(shown, "user") === text && isStreaming(shown) &&
            says(2)(shown),
        );
        assert(textOf(shown, "assistant") !== text, "it came late");
        world.gate.open();
        await first.until("the answer", isWhole(text));
        await second.until("the answer in the second tab", isWhole(text));
      }
      assertEquals((await second.shown()).messages.length, 4);
    },
  },
  {
    name: "Stop stops the provider, and both tabs say so",
    async run(world, { isAlone = false } = {}) {
      const chat = world.newChat();
      const first = await world.open("ada", chat);
      const second = isAlone ? first : await world.open("ada", chat);
      // It does not end by itself.
      world.provider.provider.enqueue(`run; pace=${PACE}; hold`);
      await first.send(words(400));
      await second.until("a beginning", says(5));
      const request = world.provider.provider.requests.at(-1)!; // it is being answered
      await first.stop();
      const outcome = await within(request.done, LIMIT, "the hanging up");
      assertEquals(outcome, "aborted");
      if (isAlone) return;
      for (const tab of [first, second]) {
        const shown = await tab.until(
          "the word that it was stopped",
          ({ status, note }) => status === "ready" && /stopped/i.test(note),
        );
        assert(textOf(shown, "assistant").startsWith("word0 word1"));
      }
    },
  },
  {
    name: "a network that is away for some seconds loses nothing",
    async run(world, { cut = CUT } = {}) {
      const text = words(60);
      world.provider.provider.enqueue(`run; pace=${PACE}`);
      world.gate.close(20);
      const tab = await world.open("ada", world.newChat());
      await tab.send(text);
      await tab.until("a beginning", says(5));
      world.cut();
      world.gate.open();
      try {
        await new Promise((resolve) => setTimeout(resolve, cut));
      } finally {
        world.mend();
      }
      await tab.until("the answer", isWhole(text));
    },
  },
  {
    name: "a restart of what keeps the answer loses nothing, or is told",
    async run(world) {
      const text = words(80);
      world.provider.provider.enqueue(`run; pace=${PACE}`);
      const tab = await world.open("ada", world.newChat());
      world.gate.close(20);
      await tab.send(text);
      await tab.until("a beginning", says(5));
      await world.restart();
      world.gate.open();
      if (world.setup.restart === "goes on") {
        await tab.until("the answer", isWhole(text));
        return;
      }
      const { messages } = await tab.until(
        "the words",
        ({ note }) => /broke off/i.test(note),
      );
      assertEquals(messages.map(({ role }) => role), ["user", "assistant"]);
      assert(text.startsWith(textOf({ messages }, "assistant").trim()));
      await tab.send("again");
      await tab.until(
        "the next answer",
        (shown) => isDone(shown) && textOf(shown, "assistant") === "again",
      );
    },
  },
  {
    name: "another user sees nothing of it",
    async run(world) {
      const text = words(30);
      world.provider.provider.enqueue(`run; pace=${PACE}`);
      const chat = world.newChat();
      const [ada, eve] = [
        await world.open("ada", chat),
        await world.open("eve", chat),
      ];
      await ada.send(text);
      await ada.until("a beginning", says(5));
      await eve.reload();
      await ada.until("the answer", isWhole(text));
      assertEquals((await eve.shown()).messages, []);
      await eve.reload();
      assertEquals((await eve.shown()).messages, []);
    },
  },
  {
    name: "tool calls and reasoning come whole, also after a reload",
    async run(world) {
      world.provider.provider.enqueue({
        answer: { kind: "body", text: TOOL_STREAM },
        pace: PACE,
        chunk: "event",
      });
      const tab = await world.open("ada", world.newChat());
      world.gate.close(5);
      await tab.send("What is the weather?");
      await tab.until(
        "a beginning",
        ({ messages }) =>
          messages.at(-1)?.role === "assistant" &&
          messages.at(-1)!.parts.length > 0, // it has a last one
      );
      await tab.reload();
      world.gate.open();
      const { messages } = await tab.until(
        "the call",
        (shown) =>
          isDone(shown) &&
          shown.messages.at(-1)?.role === "assistant" &&
          shown.messages.at(-1)?.parts.length === 3,
      );
      const parts = messages.at(-1)?.parts ?? [];
      assertEquals(parts[0], ["reasoning", REASONING.join("")]);
      assertEquals(parts[1], ["text", "Let me look."]);
      assertEquals(parts[2]?.[0], "tool-get_weather");
      assert(parts[2]?.[1].includes('{"city":"Bern"}'), parts[2]?.[1]);
      assert(parts[2]?.[1].includes('"degrees":21'), parts[2]?.[1]);
    },
  },
  {
    name: "a provider that fails is told in words in both tabs",
    async run(world, { isAlone = false } = {}) {
      const chat = world.newChat();
      const first = await world.open("ada", chat);
      const second = isAlone ? first : await world.open("ada", chat);
      world.provider.provider.enqueue(`run; pace=${PACE}; error; after=6`);
      await first.send(words(20));
      for (const tab of [first, second]) {
        await tab.until(
          "the words",
          ({ status, note }) =>
            // Whoever looks again finds nothing to read any more: the words stay.
            (status === "error" || status === "ready") &&
            note.includes("cannot be reached"),
        );
      }
    },
  },
];

/** Has a test try what a chat has to stand, in a real browser. */
export function standChat(
  setup: ChatSetup,
  scenarios: readonly ChatScenario[] = CHAT_SCENARIOS,
): void {
  Deno.test({
    name: `A chat stands everything (${setup.name})`,
    ignore: isChromiumMissing(),
    async fn(test) {
      await using browser = await startChromium();
      await using world = await ChatWorld.start(setup, browser);
      for (const { name, run } of scenarios) {
        await test.step(name, async () => {
          await run(world);
          await world.closeTabs();
          await quiet(world);
        });
      }
    },
  });
}

/** Waits until nothing is asked of the provider any more. */
async function quiet({ provider }: ChatWorld): Promise<void> {
  await until(
    () =>
      provider.provider.requests.every(({ outcome }) =>
        outcome !== "pending"
      ) ||
      undefined,
    LIMIT,
    "the end of all requests",
  );
}

const REASONING = Array.from({ length: 20 }, (_, index) => `thought${index} `);

/** A stream of Chat Completions that thinks, says something and calls a tool. */
const TOOL_STREAM = [
  ...REASONING.map((reasoning_content) => ({ reasoning_content })),
  ...["Let ", "me ", "look."].map((content) => ({ content })),
  ...[
    { id: "call_1", type: "function", name: "get_weather", arguments: "" },
    { arguments: '{"ci' },
    { arguments: 'ty":"Be' },
    { arguments: 'rn"}' },
  ].map(({ id, type, ...call }) => ({
    tool_calls: [{ index: 0, id, type, function: call }],
  })),
].map((delta) => chunkOf({ index: 0, delta, finish_reason: null }))
  .concat(chunkOf({ index: 0, delta: {}, finish_reason: "tool_calls" }))
  .concat("data: [DONE]\n\n").join("");

function chunkOf(choice: Record<string, unknown>): string {
  const chunk = {
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1,
    model: "hostile-1",
    choices: [choice],
  };
  return `data: ${JSON.stringify(chunk)}\n\n`;
}
