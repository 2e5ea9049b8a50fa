// The options of one response: its own model, headers, deadline, retries and
// reasoning.
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { RetryLimitError, type StreamOptions } from "../../src/model/mod.ts";
import {
  outcomeOf,
  PROMPT,
  scriptedModel,
  WHOLE,
  WHOLE_CHAT,
} from "../support/model/scripted_model.ts";

/** Returns the JSON that was sent. */
const bodyOf = (request: { readonly body: string } | undefined) =>
  JSON.parse(request?.body ?? "");

Deno.test("ModelClient.stream() takes a model, headers and reasoning for one response", async () => {
  const { client, clock, script } = scriptedModel([WHOLE, WHOLE], {
    reasoning: { effort: "low", summary: "auto" },
    provider: { headers: { "X-Team": "a", "X-Own": "b" } },
  });
  await clock.run(outcomeOf(client.stream(PROMPT, {
    model: "other",
    headers: {
      "Rivulet-Topic": "chat-7",
      "Idempotency-Key": "k",
      "x-team": "c",
    },
    reasoning: { effort: "high", summary: undefined },
  })));
  await clock.run(outcomeOf(client.stream(PROMPT)));
  const [first, second] = script.requests;
  assertEquals(bodyOf(first).model, "other");
  assertEquals(bodyOf(first).reasoning, { effort: "high", summary: "auto" });
  assertEquals(
    ["rivulet-topic", "idempotency-key", "x-team", "x-own"].map((name) =>
      first?.headers.get(name)
    ),
    ["chat-7", "k", "c", "b"],
  );
  assertEquals(bodyOf(second).model, "m");
  assertEquals(bodyOf(second).reasoning, { effort: "low", summary: "auto" });
  assertEquals(second?.headers.get("rivulet-topic"), null);
  assertEquals(second?.headers.get("x-team"), "a");
});

Deno.test("ModelClient.stream() asks again as often as one response may", async () => {
  for (const retries of [0, 2]) {
    const { client, clock, script } = scriptedModel([{ status: 503 }], {
      afterLast: "repeat",
    });
    const { error } = await clock.run(
      outcomeOf(client.stream(PROMPT, { retries })),
    );
    assertInstanceOf(error, RetryLimitError);
    assertEquals(script.requests.length, retries + 1);
  }
  // A stream that breaks off before its first event shares the count.
  const { client, clock, script } = scriptedModel([{ chunks: [] }], {
    afterLast: "repeat",
  });
  await clock.run(outcomeOf(client.stream(PROMPT, { retries: 1 })));
  assertEquals(script.requests.length, 2);
});

Deno.test("ModelClient.stream() ends one response at its deadline, wherever it is", async () => {
  for (
    const connection of [
      { connect: "stall" },
      { chunks: [], end: "stall" },
      { status: 503, headers: { "Retry-After": "30" } },
    ] as const
  ) {
    const { client, clock } = scriptedModel([connection], {
      afterLast: "repeat",
    });
    const { error } = await clock.run(
      outcomeOf(client.stream(PROMPT, { timeout: 5_000 })),
    );
    assertInstanceOf(error, DOMException);
    assertEquals(error.name, "TimeoutError");
    assertEquals(clock.now(), 5_000);
  }
});

Deno.test("ModelClient.stream() leaves no timer behind a response that is in time", async () => {
  for (const timeout of [0, 5_000, Infinity]) {
    const { client, clock } = scriptedModel([WHOLE]);
    const { error } = await clock.run(
      outcomeOf(client.stream(PROMPT, { timeout })),
    );
    assertEquals(error, undefined);
    assertEquals(clock.now(), 0);
  }
});

const BAD: [path: string, options: unknown][] = [
  ["options", "high"],
  ["options.signal", { signal: "stop" }],
  ["options.model", { model: "" }],
  ["options.headers", { headers: "x" }],
  ["options.headers.X-Count", { headers: { "X-Count": 5 } }],
  ["options.timeout", { timeout: -1 }],
  ["options.retries", { retries: 1.5 }],
  ["options.reasoning.effort", { reasoning: { effort: 3 } }],
];

for (const [path, options] of BAD) {
  Deno.test(`ModelClient.stream() names ${path} when it is not valid`, async () => {
    const { client, script } = scriptedModel([WHOLE]);
    await assertRejects(
      // In JavaScript anything can be passed.
      () => client.stream(PROMPT, options as StreamOptions),
      TypeError,
      `Cannot stream as '${path}' is not valid: `,
    );
    assertEquals(script.requests.length, 0);
  });
}

Deno.test("ModelClient refuses what its provider's API has no place for before it asks (G9)", async () => {
  const { client, script } = scriptedModel([WHOLE], {
    provider: { wireApi: "chat", apiKey: undefined, envKey: "NO_SUCH_KEY" },
  });
  await assertRejects(
    () => client.stream({ ...PROMPT, previousResponseId: "r" }),
    TypeError,
    "'prompt.previousResponseId'",
  );
  assertEquals(script.requests.length, 0);
});

const refusal = (message: string, param?: string) => ({
  status: 400,
  chunks: [JSON.stringify({ error: { message, param } })],
});

Deno.test("ModelClient asks for no encrypted reasoning of models without any, and remembers them by name (G8)", async () => {
  const { client, clock, script } = scriptedModel([
    refusal("Encrypted content is not supported with this model.", "include"),
    WHOLE,
    WHOLE,
    WHOLE,
  ]);
  const ask = (options?: StreamOptions) =>
    clock.run(outcomeOf(client.stream(PROMPT, options)));
  assertEquals((await ask()).error, undefined);
  await ask();
  await ask({ model: "reasoning" });
  assertEquals(
    script.requests.map((request) => bodyOf(request).include?.length ?? 0),
    [1, 0, 0, 1],
  );
});

Deno.test("ModelClient calls the limit of the output what the server calls it", async () => {
  const { client, clock, script } = scriptedModel([
    refusal(
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      "max_tokens",
    ),
    WHOLE_CHAT,
  ], { provider: { wireApi: "chat" } });
  const prompt = { ...PROMPT, maxOutputTokens: 10 };
  const { error } = await clock.run(outcomeOf(client.stream(prompt)));
  assertEquals(error, undefined);
  assertEquals(
    script.requests.map((request) => {
      const { max_tokens, max_completion_tokens } = bodyOf(request);
      return [max_tokens, max_completion_tokens];
    }),
    [[10, undefined], [undefined, 10]],
  );
});

Deno.test("ModelClient asks once more only where a refusal says what to do differently", async () => {
  const refusals: [wireApi: "chat" | "responses", message: string][] = [
    ["chat", "max_tokens is too large"],
    ["chat", "unknown field reasoning_content"],
    ["responses", "Your messages must include a question"],
    ["responses", "stream_options is unknown"],
  ];
  for (const [wireApi, message] of refusals) {
    const { client, clock, script } = scriptedModel([refusal(message)], {
      provider: { wireApi },
      afterLast: "repeat",
    });
    await clock.run(outcomeOf(client.stream(PROMPT)));
    assertEquals(script.requests.length, 1, message);
  }
});
