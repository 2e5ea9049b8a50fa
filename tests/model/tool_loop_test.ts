// G8: the loop of the documentation, over ten turns, with every built-in provider by
// both APIs, against providers that refuse what the real ones refuse.
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  functionCallOutput,
  type InputItem,
  ModelClient,
  type ModelClientOptions,
  type ModelProvider,
  providers,
  UnexpectedStatusError,
  user,
} from "../../src/model/mod.ts";
import {
  type ChatRules,
  strictChat,
  type StrictProvider,
  strictResponses,
} from "../support/model/strict_provider.ts";
import {
  PROMPT,
  scriptedModel,
  WHOLE,
} from "../support/model/scripted_model.ts";

const TURNS = 10;

const tools = [{
  type: "function",
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } } },
}];

/** The loop, as docs/model.md has it. */
async function loop(
  client: ModelClient,
  start: readonly InputItem[] = [user("How is the weather in a and b?")],
): Promise<{ text: string; input: InputItem[] }> {
  let input: InputItem[] = [...start];
  while (true) {
    const stream = await client.stream({ input, tools });
    const { output, outputText } = await stream.final();
    const results = output.filter((item) => item.type === "function_call")
      .map((call) => functionCallOutput(call.call_id, { degrees: 21 }));
    input = [...input, ...output, ...results];
    if (results.length === 0) return { text: outputText, input };
  }
}

function clientOf(
  provider: ModelProvider,
  strict: StrictProvider,
  options: Partial<ModelClientOptions> = {},
): ModelClient {
  return new ModelClient({
    model: "m",
    provider: { ...provider, apiKey: "a key" },
    fetch: strict.fetch,
    ...options,
  });
}

/** The rules of each provider of Chat. */
const CHAT_RULES: Readonly<Record<string, ChatRules>> = {
  openai: { thinks: "nothing" },
  openrouter: {
    thinks: "reasoning_details",
    messageFields: ["reasoning_details"],
  },
  gemini: { thinks: "nothing", signsCalls: true },
  ollama: { thinks: "reasoning" },
  mistral: { thinks: "parts", refuses: ["stream_options"] },
  deepseek: {
    thinks: "reasoning_content",
    messageFields: ["reasoning_content"],
    reasoningContent: "turn",
  },
  xai: { thinks: "reasoning_content" },
  groq: { thinks: "reasoning" },
};

const BUILT_IN = Object.entries<ModelProvider>(providers).filter(
  ([, { wireApi = "responses" }]) =>
    wireApi === "responses" || wireApi === "chat",
);

for (const [name, provider] of BUILT_IN) {
  Deno.test(`The tool loop runs over ${TURNS} turns with ${name} by Chat Completions (G8)`, async () => {
    const rules = CHAT_RULES[name];
    if (!rules) throw new TypeError(`say what ${name} wants`);
    const strict = strictChat(TURNS, rules);
    const client = clientOf({ ...provider, wireApi: "chat" }, strict);
    const { text, input } = await loop(client);
    assertEquals(text, "Done.");
    assertEquals(strict.accepted.length, TURNS);
    assertEquals(strict.refusals.length, rules.refuses?.length ?? 0);
    // The conversation goes on, with what the last turn has left.
    await loop(client, [...input, user("And now?")]);
    assertEquals(strict.refusals.length, rules.refuses?.length ?? 0);
  });

  Deno.test(`The tool loop runs over ${TURNS} turns with ${name} by Responses (G8)`, async () => {
    const strict = strictResponses(TURNS);
    const client = clientOf({
      ...provider,
      baseUrlEnv: undefined,
      wireApi: "responses",
    }, strict);
    const { text, input } = await loop(client);
    assertEquals([text, strict.accepted.length], ["Done.", TURNS]);
    await loop(client, [...input, user("And now?")]);
    assertEquals(strict.refusals, []);
  });
}

Deno.test("The tool loop runs with a model that has no reasoning to encrypt (G8)", async () => {
  const strict = strictResponses(TURNS, false);
  const { text } = await loop(clientOf(providers.openai, strict));
  assertEquals([text, strict.accepted.length], ["Done.", TURNS]);
  assertEquals(strict.refusals.length, 1);
});

// The client learns a server's rules if nobody says which server it is.
const LEARNT: [
  reasoningContent: ChatRules["reasoningContent"],
  provider: ModelProvider,
  refusals: number,
][] = [
  ["turn", providers.openai, 1],
  ["calls", providers.openai, 1],
  ["calls", providers.deepseek, 0],
  ["all", providers.openai, 1],
  ["all", providers.deepseek, 0],
  ["forbidden", providers.openai, 0],
  // Tried with that of calls alone, too.
  ["forbidden", providers.deepseek, 2],
];

for (const [reasoningContent, provider, refusals] of LEARNT) {
  Deno.test(`The tool loop learns that ${provider.name} has reasoning_content for ${reasoningContent} (G8)`, async () => {
    const strict = strictChat(TURNS, {
      thinks: "reasoning_content",
      messageFields: ["reasoning_content"],
      reasoningContent,
    });
    const client = clientOf({ ...provider, wireApi: "chat" }, strict);
    assertEquals((await loop(client)).text, "Done.");
    assertEquals(strict.refusals.length, refusals);
    assertEquals(strict.accepted.length, TURNS);
  });
}

Deno.test("ModelClient gives up on a server that complains of whatever comes back (G8)", async () => {
  const messages = [
    "The `reasoning_content` must be passed back to the API.",
    "The reasoning_content field is not allowed.",
  ];
  for (const first of [0, 1]) {
    let count = first;
    const client = new ModelClient({
      model: "m",
      provider: { ...providers.deepseek, apiKey: "a key" },
      fetch: () =>
        Promise.resolve(Response.json(
          { error: { message: messages[count++ % 2] } },
          { status: 400 },
        )),
    });
    await assertRejects(
      () => client.stream({ input: "Hi" }),
      UnexpectedStatusError,
    );
    assertEquals(count - first < 6, true, String(count));
  }
});

const call = (call_id: string): InputItem => ({
  type: "function_call",
  call_id,
  name: "weather",
  arguments: "{}",
});
const asked = { id: "c", type: "function", function: { name: "f" } };

const ALONE: [path: string, input: InputItem[]][] = [
  ["prompt.input.1", [user("Hi"), call("a")]],
  ["prompt.input.1", [call("a"), call("b"), functionCallOutput("a", "1")]],
  ["prompt.input.0", [functionCallOutput("a", "1"), call("a")]],
  ["prompt.input.2", [
    call("a"),
    functionCallOutput("a", "1"),
    functionCallOutput("a", "2"),
  ]],
  ["prompt.input.0", [
    { type: "custom_tool_call", call_id: "a", name: "g", input: "x" },
  ]],
  ["prompt.input.0.tool_calls.0", [
    { role: "assistant", content: null, tool_calls: [asked] },
  ]],
  ["prompt.input.0", [{ role: "tool", tool_call_id: "c", content: "1" }]],
];

for (const [path, input] of ALONE) {
  Deno.test(`ModelClient refuses ${path} that stands alone: ${JSON.stringify(input)} (G8)`, async () => {
    const { client, script } = scriptedModel([WHOLE], {
      provider: { wireApi: "chat" },
    });
    const { message } = await assertRejects(
      () => client.stream({ input }),
      TypeError,
    );
    assertStringIncludes(message, `Cannot stream as '${path}' is the `);
    assertEquals(script.requests.length, 0);
  });
}

Deno.test("ModelClient takes the output of a call that the provider keeps, and ids that are used again", async () => {
  const output = functionCallOutput("a", "1");
  const { ask, script } = scriptedModel([WHOLE], { afterLast: "repeat" });
  const prompts = [
    { input: [output], previousResponseId: "r" },
    { input: [output], extra: { conversation: "c" } },
    { input: [{ type: "item_reference", id: "fc_1" }, output] },
    { input: [call("a"), output, call("a"), output] },
    PROMPT,
  ];
  for (const prompt of prompts) {
    assertEquals((await ask(prompt)).error, undefined);
  }
  assertEquals(script.requests.length, prompts.length);
});
