/**
 * The hostile provider is provider enough for the clients that people use, as
 * they come from npm.
 *
 * Not for Node and Bun: the server is one for tests of the relay, which run on Deno.
 */
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import {
  type HostileServer,
  startHostileServer,
} from "../../relay/commands/hostile_server.ts";

const TEXT = "Wörter, one by one, 🌊 and the end.";

/** A tool that the model calls, with arguments made of its schema. */
const PARAMETERS = {
  type: "object",
  properties: {
    place: { type: "string" },
    days: { type: "integer" },
    unit: { enum: ["celsius", "fahrenheit"] },
  },
  required: ["place", "days", "unit"],
  additionalProperties: false,
} as const;

const ARGUMENTS = { place: TEXT, days: 1, unit: "celsius" };

const openaiOf = (server: HostileServer, maxRetries = 0) =>
  new OpenAI({ apiKey: "key", baseURL: `${server.url}/v1`, maxRetries });

const anthropicOf = (server: HostileServer, maxRetries = 0) =>
  new Anthropic({ apiKey: "key", baseURL: server.url, maxRetries });

/** Returns the text of a message. */
const textOf = ({ content }: Anthropic.Message): string =>
  content.map((block) => block.type === "text" ? block.text : "").join("");

Deno.test("openai reads a response, streamed and not, and the same from both", async () => {
  await using server = await startHostileServer({ plan: "chunk=7" });
  const client = openaiOf(server);
  const plain = await client.responses.create({ model: "m", input: TEXT });
  assertEquals(plain.output_text, TEXT);
  assertEquals(plain.status, "completed");
  const stream = client.responses.stream({ model: "m", input: TEXT });
  let text = "";
  stream.on("response.output_text.delta", ({ delta }) => text += delta);
  const final = await stream.finalResponse();
  assertEquals(text, TEXT);
  assertEquals(final.output_text, TEXT);
  assertEquals(final.usage, plain.usage);
  const numbers: number[] = [];
  const events = await client.responses.create({
    model: "m",
    input: [{ role: "user", content: [{ type: "input_text", text: TEXT }] }],
    stream: true,
  });
  for await (const event of events) numbers.push(event.sequence_number);
  assertEquals(numbers, numbers.map((_, index) => index));
});

Deno.test("openai calls a tool in a response, and reads what follows", async () => {
  await using server = await startHostileServer();
  const client = openaiOf(server);
  const tools = [{
    type: "function" as const,
    name: "weather",
    parameters: { ...PARAMETERS },
    strict: true,
  }];
  const stream = client.responses.stream({ model: "m", input: TEXT, tools });
  const { output } = await stream.finalResponse();
  const plain = await client.responses.create({
    model: "m",
    input: TEXT,
    tools,
  });
  assertEquals(plain.output.length, 1);
  for (const [call] of [output, plain.output]) {
    assert(call?.type === "function_call");
    assertEquals(call.name, "weather");
    assertEquals(JSON.parse(call.arguments), ARGUMENTS);
    const next = await client.responses.create({
      model: "m",
      tools,
      input: [
        { role: "user", content: TEXT },
        call,
        {
          type: "function_call_output",
          call_id: call.call_id,
          output: "It rains.",
        },
      ],
    });
    assertEquals(next.output_text, "It rains.");
  }
});

Deno.test("openai resumes a response in the background, and cancels one", async () => {
  await using server = await startHostileServer();
  server.provider.enqueue("pace=5; cut; after=4", "pace=60000");
  const client = openaiOf(server);
  const question = { model: "m", input: TEXT, background: true } as const;
  const numbers: number[] = [];
  let id = "";
  await assertRejects(async () => {
    for await (
      const event of await client.responses.create({
        ...question,
        stream: true,
      })
    ) {
      if (event.type === "response.created") id = event.response.id;
      numbers.push(event.sequence_number);
    }
  });
  assertEquals(numbers, [0, 1, 2, 3]);
  let text = "";
  // The plan of the queue is for the next response.
  const rest = await client.responses.retrieve(id, {
    stream: true,
    starting_after: 3,
  }, { headers: { Hostile: "run" } });
  for await (const event of rest) {
    numbers.push(event.sequence_number);
    if (event.type === "response.output_text.done") text = event.text;
  }
  assertEquals(text, TEXT);
  assertEquals(numbers, numbers.map((_, index) => index));
  const slow = await client.responses.create(question);
  assertEquals(slow.status, "queued");
  assertEquals((await client.responses.cancel(slow.id)).status, "cancelled");
  assertEquals((await client.responses.retrieve(slow.id)).status, "cancelled");
});

Deno.test("openai reads a chat, streamed and not, with its usage", async () => {
  await using server = await startHostileServer({ plan: "comments=2" });
  const client = openaiOf(server);
  const question = {
    model: "m",
    messages: [{ role: "user" as const, content: TEXT }],
  };
  const plain = await client.chat.completions.create(question);
  assertEquals(plain.choices[0]?.message.content, TEXT);
  const stream = client.chat.completions.stream({
    ...question,
    stream_options: { include_usage: true },
  });
  const final = await stream.finalChatCompletion();
  assertEquals(final.choices[0]?.message.content, TEXT);
  assertEquals(final.choices[0]?.finish_reason, "stop");
  assertEquals(final.usage, plain.usage);
});

Deno.test("openai calls the tools in a chat that the text names", async () => {
  await using server = await startHostileServer();
  const client = openaiOf(server);
  const tools = ["weather", "tides", "stars"].map((name) => ({
    type: "function" as const,
    function: { name, parameters: { ...PARAMETERS } },
  }));
  const content = "The tides and the stars";
  const question = {
    model: "m",
    messages: [{ role: "user" as const, content }],
    tools,
  };
  const stream = client.chat.completions.stream(question);
  const streamed = await stream.finalChatCompletion();
  const plain = await client.chat.completions.create(question);
  for (const { choices } of [streamed, plain]) {
    assertEquals(choices[0]?.finish_reason, "tool_calls");
    const calls = choices[0]?.message.tool_calls?.map((call) => {
      assert(call.type === "function");
      return [call.function.name, JSON.parse(call.function.arguments)];
    });
    const expected = { ...ARGUMENTS, place: content };
    assertEquals(calls, [["tides", expected], ["stars", expected]]);
  }
  const ids = streamed.choices[0]?.message.tool_calls?.map(({ id }) => id);
  assertEquals(new Set(ids).size, 2);
});

Deno.test("openai lists models, embeds, and sends a file", async () => {
  await using server = await startHostileServer();
  const client = openaiOf(server);
  const names = (await Array.fromAsync(client.models.list())).map(({ id }) =>
    id
  );
  assertEquals(names, ["hostile-1", "hostile-1-mini"]);
  assertEquals((await client.models.retrieve("hostile-1")).id, "hostile-1");
  const embed = async (encoding_format?: "float") =>
    (await client.embeddings.create({
      model: "m",
      input: [TEXT, "other"],
      ...encoding_format && { encoding_format },
    })).data.map(({ embedding }) => embedding);
  // The client asks for base64 if it is not told otherwise.
  const [one, other] = await embed();
  assertEquals(await embed("float"), [one, other]);
  assertEquals(one?.length, 8);
  assert(`${one}` !== `${other}`);
  const file = await client.files.create({
    purpose: "batch",
    file: new File([TEXT], "text.txt"),
  });
  assertEquals(file.bytes, new TextEncoder().encode(TEXT).length);
});

Deno.test("openai comes back after 429 and 500, as it is told to", async () => {
  await using server = await startHostileServer();
  server.provider.enqueue(
    "status=429; retry-after-ms=1",
    "status=500; retry-after=0.001",
  );
  const response = await openaiOf(server, 2).responses.create({
    model: "m",
    input: TEXT,
  });
  assertEquals(response.output_text, TEXT);
  assertEquals(server.provider.requests.length, 3);
});

Deno.test("openai throws what is written into a stream", async () => {
  await using server = await startHostileServer({ plan: "error; after=2" });
  const client = openaiOf(server);
  const response = client.responses.stream({ model: "m", input: TEXT });
  await assertRejects(() => response.finalResponse(), OpenAI.APIError);
  const chat = client.chat.completions.stream({
    model: "m",
    messages: [{ role: "user", content: TEXT }],
  });
  await assertRejects(() => chat.finalChatCompletion(), OpenAI.APIError);
});

Deno.test("@anthropic-ai/sdk reads a message, streamed and not", async () => {
  await using server = await startHostileServer({ plan: "pings=2; chunk=11" });
  const client = anthropicOf(server);
  const question = {
    model: "m",
    max_tokens: 100,
    messages: [{ role: "user" as const, content: TEXT }],
  };
  const plain = await client.messages.create(question);
  assertEquals(textOf(plain), TEXT);
  const stream = client.messages.stream(question);
  let text = "";
  stream.on("text", (delta) => text += delta);
  const final = await stream.finalMessage();
  assertEquals(text, TEXT);
  assertEquals(final.content, plain.content);
  assertEquals(final.stop_reason, "end_turn");
  assertEquals(final.usage.output_tokens, plain.usage.output_tokens);
  const short = await client.messages.stream({ ...question, max_tokens: 2 })
    .finalMessage();
  assertEquals(short.stop_reason, "max_tokens");
  const models = await Array.fromAsync(client.models.list());
  assertEquals(models[0]?.display_name, "hostile-1");
});

Deno.test("@anthropic-ai/sdk calls a tool, and reads what follows", async () => {
  await using server = await startHostileServer();
  const client = anthropicOf(server);
  const question = {
    model: "m",
    max_tokens: 100,
    messages: [{ role: "user" as const, content: TEXT }],
    tools: [{ name: "weather", input_schema: { ...PARAMETERS, required: [] } }],
  };
  const streamed = await client.messages.stream(question).finalMessage();
  const plain = await client.messages.create(question);
  for (const { content, stop_reason } of [streamed, plain]) {
    assertEquals(stop_reason, "tool_use");
    const [call] = content;
    assert(call?.type === "tool_use");
    assertEquals(call.input, ARGUMENTS);
    const next = await client.messages.create({
      ...question,
      messages: [
        ...question.messages,
        { role: "assistant", content },
        {
          role: "user",
          content: [{
            type: "tool_result",
            tool_use_id: call.id,
            content: "It rains.",
          }],
        },
      ],
    });
    assertEquals(textOf(next), "It rains.");
  }
});

Deno.test("@anthropic-ai/sdk throws what is written into a stream, and what comes in its place", async () => {
  await using server = await startHostileServer();
  server.provider.enqueue("error; after=3", "status=529; retry-after=1");
  const client = anthropicOf(server);
  const ask = () =>
    client.messages.stream({
      model: "m",
      max_tokens: 100,
      messages: [{ role: "user", content: TEXT }],
    }).finalMessage();
  const overloaded = await assertRejects(ask, Anthropic.APIError);
  assert(overloaded.message.includes("overloaded_error"));
  const error = await assertRejects(ask, Anthropic.APIError);
  assertEquals(error.status, 529);
});

for (const wire of ["responses", "chat"] as const) {
  Deno.test(`ai reads ${wire}, streamed and not, with a tool`, async () => {
    await using server = await startHostileServer({ plan: "chunk=13" });
    const provider = createOpenAI({
      apiKey: "key",
      baseURL: `${server.url}/v1`,
    });
    const model = wire === "chat"
      ? provider.chat("gpt-x")
      : provider.responses("gpt-x");
    const asked: unknown[] = [];
    const options = {
      model,
      prompt: TEXT,
      maxRetries: 0,
      tools: {
        weather: tool({
          inputSchema: jsonSchema({ ...PARAMETERS, required: [] }),
          execute: (input) => {
            asked.push(input);
            return "It rains.";
          },
        }),
      },
      stopWhen: stepCountIs(3),
    };
    const streamed = streamText(options);
    assertEquals(await streamed.text, "It rains.");
    assertEquals(await streamed.finishReason, "stop");
    assertEquals((await streamed.steps).length, 2);
    const plain = await generateText(options);
    assertEquals(plain.text, "It rains.");
    assertEquals(asked, [ARGUMENTS, ARGUMENTS]);
    const without = streamText({ model, prompt: TEXT, maxRetries: 0 });
    let text = "";
    for await (const delta of without.textStream) text += delta;
    assertEquals(text, TEXT);
    const words = TEXT.split(" ").length;
    assertEquals((await without.usage).totalTokens, 2 * words);
  });
}
