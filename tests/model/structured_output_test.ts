// `output`: a schema goes out, and what comes in is held against it, by both APIs.
import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { z } from "zod";
import { wireSchemaOf } from "../../src/model/model_schema.ts";
import {
  type ModelClient,
  type ModelSchema,
  OutputError,
  type Prompt,
  type WireApi,
} from "../../src/model/mod.ts";
import type { ScriptedConnection } from "../../src/testing/scripted_fetch.ts";
import {
  responseOf,
  scriptedModel,
  type ScriptedModelOptions,
  sse,
} from "../support/model/scripted_model.ts";

const weather = z.object({ city: z.string(), degrees: z.number() });
const FITS = JSON.stringify({ city: "Paris", degrees: 21 });

const chatOf = (delta: unknown, finish_reason = "stop"): string =>
  sse({ id: "chat_1", choices: [{ index: 0, delta, finish_reason }] });

/** An answer that says a text. */
const ANSWERS: Readonly<
  Record<"responses" | "chat", (text: string) => string>
> = {
  responses: (text) => sse(...responseOf(text)),
  chat: (content) => chatOf({ content }),
};

const BOTH = ["responses", "chat"] as const;

function asking(
  wireApi: WireApi,
  chunks: string,
  options: ScriptedModelOptions = {},
) {
  const model = scriptedModel([{ chunks: [chunks] }], {
    ...options,
    provider: { wireApi, ...options.provider },
  });
  const { client, clock } = model;
  return {
    ...model,
    // The type of parsed is that of the schema.
    async parsed(): Promise<{ city: string; degrees: number } | undefined> {
      return await clock.run((async () => {
        const stream = await client.stream({ input: "Hi", output: weather });
        const final = await stream.final();
        return final.status === "completed" ? final.parsed : undefined;
      })());
    },
  };
}

const SENT = {
  type: "object",
  properties: { city: { type: "string" }, degrees: { type: "number" } },
  required: ["city", "degrees"],
  additionalProperties: false,
};

for (const wireApi of BOTH) {
  Deno.test(`ModelClient asks for what fits a schema by ${wireApi}, and parses it`, async () => {
    const { parsed, script } = asking(wireApi, ANSWERS[wireApi](FITS));
    assertEquals(await parsed(), { city: "Paris", degrees: 21 });
    const body = JSON.parse(script.requests[0]?.body ?? "");
    const format = { name: "output", schema: SENT, strict: true };
    assertEquals(
      wireApi === "chat" ? body.response_format : body.text,
      wireApi === "chat"
        ? { type: "json_schema", json_schema: format }
        : { format: { type: "json_schema", ...format } },
    );
  });

  for (
    const [text, reason] of [
      ["Warm.", "as it is no JSON: Warm."],
      [
        '{"city":5,"degrees":1}',
        "as it is wrong (city: Invalid input: expected string, received number)",
      ],
      ["[]", "as it is wrong ("],
      ["\u{1F600}".repeat(500), "as it is no JSON: "],
    ] as const
  ) {
    Deno.test(`ModelClient says that an answer does not fit by ${wireApi}: ${text.slice(0, 30)}`, async () => {
      const { parsed } = asking(wireApi, ANSWERS[wireApi](text));
      const error = await assertRejects(
        parsed,
        OutputError,
        `The answer does not fit 'output', ${reason}`,
      );
      assertEquals(error.text, text);
      assertEquals([error.code, error.retryable], ["output_mismatch", true]);
      assertEquals(error.message.length < 600, true);
      assertEquals(error.message.isWellFormed(), true);
    });
  }
}

Deno.test("ModelClient tells a refusal, and an empty answer, from what does not fit", async () => {
  const refused = await assertRejects(
    asking("chat", chatOf({ refusal: "I cannot." })).parsed,
    OutputError,
    "is a refusal: I cannot.",
  );
  assertEquals(refused.text, "I cannot.");
  await assertRejects(
    asking("chat", chatOf({ content: "" })).parsed,
    OutputError,
    "has no text",
  );
});

Deno.test("ModelClient parses nothing that was cut off, or that is a call", async () => {
  const cut = asking("chat", chatOf({ content: '{"city":' }, "length"));
  assertEquals(await cut.parsed(), undefined);
  const call = { id: "c", function: { name: "f", arguments: "{}" } };
  const { client, clock } = scriptedModel([
    { chunks: [chatOf({ tool_calls: [call] }, "tool_calls")] },
  ], { provider: { wireApi: "chat" } });
  const stream = await clock.run(client.stream({
    input: "Hi",
    output: weather,
    tools: [{ type: "function", name: "f" }],
  }));
  const final = await clock.run(stream.final());
  assertEquals(final.parsed, undefined);
  assertEquals(final.output.map(({ type }) => type), ["function_call"]);
});

Deno.test("ModelClient parses once, and lets the events be taken as always", async () => {
  let count = 0;
  const counted: ModelSchema<unknown> = {
    "~standard": {
      ...weather["~standard"],
      validate: (value) => {
        count++;
        return Promise.resolve({ value });
      },
    },
  };
  const { client, clock } = scriptedModel([
    { chunks: [ANSWERS.responses(FITS)] },
  ]);
  const stream = await clock.run(
    client.stream({ input: "Hi", output: counted }),
  );
  let text = "";
  for await (const event of stream) {
    if (event.type === "output_text.delta") text += event.delta;
  }
  assertEquals(text, FITS);
  assertEquals(await stream.final(), await stream.final());
  assertEquals(count, 1);
});

const refusal = (message: string): ScriptedConnection => ({
  status: 400,
  chunks: [JSON.stringify({ error: { message } })],
});

Deno.test("ModelClient tells a server that takes no schema what the JSON is to be like", async () => {
  const unavailable = "This response_format type is unavailable now";
  for (
    const [connections, dialect] of [
      [[refusal(unavailable)], undefined],
      [[], "deepseek"],
    ] as const
  ) {
    const { client, clock, script } = scriptedModel([
      ...connections,
      { chunks: [ANSWERS.chat(FITS)] },
    ], { provider: { wireApi: "chat", dialect } });
    const stream = await clock.run(
      client.stream({
        instructions: "Be exact.",
        input: "Hi",
        output: weather,
      }),
    );
    await clock.run(stream.final());
    assertEquals(script.requests.length, connections.length + 1);
    const body = JSON.parse(script.requests.at(-1)?.body ?? "");
    assertEquals(body.response_format, { type: "json_object" });
    assertEquals(body.messages[0], {
      role: "system",
      content:
        `Be exact.\nAnswer with JSON that fits this JSON Schema, and nothing else: ${
          JSON.stringify(SENT)
        }`,
    });
  }
});

const without: ModelSchema<number> = {
  "~standard": {
    version: 1,
    vendor: "old",
    validate: () => ({ value: 1 }),
  },
};

Deno.test("ModelClient takes a JSON Schema that was written by hand, and what holds values against it", async () => {
  const { client, clock } = scriptedModel([
    { chunks: [ANSWERS.responses(FITS)] },
    { chunks: [ANSWERS.responses(FITS)] },
  ]);
  const ask = async <T>(prompt: Promise<T>) => await clock.run(prompt);
  const output = { jsonSchema: SENT };
  const stream = await ask(client.stream({ input: "Hi", output }));
  assertEquals((await ask(stream.final())).parsed, JSON.parse(FITS));
  const typed = await ask(
    client.stream({ input: "Hi", output: { ...output, schema: without } }),
  );
  const final = await ask(typed.final());
  const parsed: number | undefined = final.parsed;
  assertEquals(parsed, 1);
});

const BAD: [output: unknown, message: string][] = [
  ["city", "'prompt.output' is not valid: must be a schema"],
  [{ type: "object" }, "'prompt.output' is not valid: must be a schema"],
  [z.array(z.string()), "'prompt.output' must be the schema of an object"],
  [
    z.object({ day: z.date() }),
    "no JSON Schema can be made of 'prompt.output'",
  ],
  [without, "'prompt.output' makes no JSON Schema of itself (old)"],
];

for (const [output, message] of BAD) {
  Deno.test(`ModelClient asks for no output such as: ${message}`, async () => {
    const { client, script } = scriptedModel([]);
    // In JavaScript anything can be passed.
    const prompt = { input: "Hi", output } as Prompt;
    await assertRejects(() => client.stream(prompt), TypeError, message);
    assertEquals(script.requests.length, 0);
  });
}

Deno.test("ModelClient takes an output or a format, not both", async () => {
  const { client } = scriptedModel([]);
  await assertRejects(
    () =>
      client.stream({
        input: "Hi",
        output: weather,
        text: { format: { type: "text" } },
      }),
    TypeError,
    "'prompt.output' is not valid: must not be given together with 'text.format'",
  );
});

Deno.test("A schema that is a function is one too", async () => {
  const schema: ModelSchema<number> = Object.assign(() => {}, {
    "~standard": {
      ...without["~standard"],
      jsonSchema: { input: () => SENT },
    },
  });
  const { client, clock } = scriptedModel([
    { chunks: [ANSWERS.responses(FITS)] },
  ]);
  const stream = await clock.run(
    client.stream({ input: "Hi", output: schema }),
  );
  assertEquals((await clock.run(stream.final())).parsed, 1);
});

const open = (schema: ModelSchema<unknown>) =>
  wireSchemaOf(schema, "stream", "prompt.output");

Deno.test("wireSchemaOf() holds a model to a schema where providers can", () => {
  const nested = z.object({
    list: z.array(z.object({ a: z.literal("x") })),
    either: z.union([z.object({ b: z.string().nullable() }), z.null()]),
    properties: z.object({ const: z.enum(["c"]) }),
  });
  const { schema, strict } = open(nested);
  assertEquals(strict, true);
  assertEquals("$schema" in schema, false);
  assertEquals(
    JSON.stringify(schema).match(/"additionalProperties":false/g)?.length,
    4,
  );
  for (
    const loose of [
      z.object({ a: z.string().optional() }),
      z.object({ a: z.string().default("x") }),
      z.object({ a: z.record(z.string(), z.string()) }),
      z.looseObject({ a: z.string() }),
      z.object({ list: z.array(z.object({ a: z.string().optional() })) }),
    ]
  ) {
    assertEquals(open(loose).strict, false);
  }
  assertThrows(() => open(z.string()), TypeError);
});

/** Never called: the types are the test. */
async function types(client: ModelClient): Promise<void> {
  const plain = await (await client.stream({ input: "Hi" })).final();
  // @ts-expect-error: nothing was to be parsed
  void plain.parsed;
  const stream = await client.stream({ input: "Hi", output: weather });
  const final = await stream.final();
  // @ts-expect-error: a response may be cut off
  void final.parsed.city;
  if (final.status !== "completed") return;
  const city: string = final.parsed.city;
  void city;
  const withTools = await client.stream({
    input: "Hi",
    output: weather,
    tools: [{ type: "web_search" }],
  });
  const answer = await withTools.final();
  if (answer.status !== "completed") return;
  // @ts-expect-error: the model may call a tool
  void answer.parsed.city;
  assertInstanceOf(answer, Object);
}
void types;
