// runTools(): the loop of calls, made for a program.
import {
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { z } from "zod";
import {
  ModelClient,
  providers,
  type RunEvent,
  type RunOptions,
  runTools,
  tool,
  type ToolDoneEvent,
  ToolRun,
  TurnLimitError,
  user,
} from "../../src/model/mod.ts";
import type {
  ScriptedAnswer,
  ScriptedConnection,
} from "../../src/testing/scripted_fetch.ts";
import {
  scriptedModel,
  type ScriptedModelOptions,
  sse,
} from "../support/model/scripted_model.ts";
import {
  strictChat,
  strictResponses,
} from "../support/model/strict_provider.ts";

const chat = (delta: unknown, finish_reason: string): ScriptedAnswer => ({
  chunks: [sse({ id: "c", choices: [{ index: 0, delta, finish_reason }] })],
});
const says = (content: string) => chat({ content }, "stop");
const calls = (...made: [name: string, args: string][]) =>
  chat({
    tool_calls: made.map(([name, args], index) => ({
      index,
      id: `call_${index}`,
      type: "function",
      function: { name, arguments: args },
    })),
  }, "tool_calls");

const weather = tool({
  name: "weather",
  description: "The weather in a city",
  parameters: z.object({ city: z.string() }),
  run: ({ city }) => ({ city, degrees: 21 }),
});

function model(
  connections: ScriptedConnection[],
  options: ScriptedModelOptions = {},
) {
  const { client, script, clock } = scriptedModel(connections, {
    ...options,
    provider: { wireApi: "chat" },
  });
  return {
    client,
    script,
    clock,
    /** The bodies of the requests. */
    get bodies() {
      return script.requests.map(({ body }) => JSON.parse(body));
    },
  };
}

async function eventsOf(run: ToolRun): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of run) events.push(event);
  return events;
}

const doneOf = (events: readonly RunEvent[]): ToolDoneEvent[] =>
  events.filter((event) => event.type === "tool.done");

Deno.test("runTools() gives the events of all turns, and tells the model what the tools gave", async () => {
  const scripted = model([
    calls(["weather", '{"city":"Paris"}'], ["weather", '{"city":"Rome"}']),
    says("Warm."),
  ]);
  const run = runTools(scripted.client, { input: "How warm is it?" }, {
    tools: [weather],
  });
  assertInstanceOf(run, ToolRun);
  const events = await eventsOf(run);
  assertEquals(
    events.map(({ type }) => type).filter((type) => type !== "usage"),
    [
      "created",
      "output_item.added",
      "tool_call.delta",
      "output_item.added",
      "tool_call.delta",
      "output_item.done",
      "output_item.done",
      "completed",
      "tool.started",
      "tool.started",
      "tool.done",
      "tool.done",
      "created",
      "output_item.added",
      "output_text.delta",
      "output_item.done",
      "completed",
    ],
  );
  const { outputText, turns, input } = await run.final();
  assertEquals([outputText, turns], ["Warm.", 2]);
  assertEquals(input.map((item) => item.type), [
    "message",
    "function_call",
    "function_call",
    "function_call_output",
    "function_call_output",
    "message",
  ]);
  const [first, second] = scripted.bodies;
  assertEquals(first.tools.length, 1);
  assertEquals(first.tools[0].function.strict, true);
  assertEquals(second.messages.slice(2), [
    {
      role: "tool",
      tool_call_id: "call_0",
      content: '{"city":"Paris","degrees":21}',
    },
    {
      role: "tool",
      tool_call_id: "call_1",
      content: '{"city":"Rome","degrees":21}',
    },
  ]);
});

Deno.test("runTools() makes the calls of a response at once, and sends what they gave in their order", async () => {
  const { client, script } = model([
    calls(["wait", '{"for":"slow"}'], ["wait", '{"for":"fast"}']),
    says("Done."),
  ]);
  const finish = new Map<string, () => void>();
  const wait = tool({
    name: "wait",
    parameters: z.object({ for: z.string() }),
    run: async ({ for: name }) => {
      await new Promise<void>((resolve) => {
        finish.set(name, resolve);
        // Both run: the last one ends first.
        if (finish.size === 2) finish.get("fast")?.();
      });
      return name;
    },
  });
  const seen: string[] = [];
  for await (
    const event of runTools(client, { input: "Go" }, { tools: [wait] })
  ) {
    if (event.type !== "tool.done") continue;
    seen.push(String(event.output.output));
    finish.get("slow")?.();
  }
  assertEquals(seen, ["fast", "slow"]);
  const sent = JSON.parse(script.requests[1]?.body ?? "").messages.slice(2);
  assertEquals(sent.map(({ content }: { content: string }) => content), [
    "slow",
    "fast",
  ]);
});

const failing = tool({
  name: "failing",
  run: () => {
    throw new RangeError("no such city");
  },
});

const WRONG: [name: string, args: string, message: string][] = [
  ["weather", '{"city":5}', "The arguments are wrong: city: Invalid input"],
  ["failing", "{}", "no such city"],
  ["wether", "{}", "There is no tool 'wether', but weather, failing"],
];

for (const [name, args, message] of WRONG) {
  Deno.test(`runTools() tells the model what went wrong: ${message}`, async () => {
    const { client, script } = model([calls([name, args]), says("Sorry.")]);
    const run = runTools(client, { input: "Go" }, {
      tools: [weather, failing],
    });
    const [done] = doneOf(await eventsOf(run));
    assertInstanceOf(done?.error, Error);
    assertStringIncludes(done.error.message, message);
    const { content } = JSON.parse(script.requests[1]?.body ?? "").messages[2];
    assertStringIncludes(content, `Error: ${message}`);
    assertEquals((await run.final()).outputText, "Sorry.");
  });
}

Deno.test("runTools() sends text and parts as they are, and nothing for nothing", async () => {
  const values: [value: unknown, sent: string][] = [
    ["plain", "plain"],
    [[{ type: "input_text", text: "part" }], "part"],
    [undefined, ""],
    [null, "null"],
    [[1, 2], "[1,2]"],
  ];
  for (const [value, sent] of values) {
    const { client, script } = model([calls(["give", "{}"]), says("Done.")]);
    const give = tool({ name: "give", run: () => Promise.resolve(value) });
    await runTools(client, { input: "Go" }, { tools: [give] }).final();
    const { content } = JSON.parse(script.requests[1]?.body ?? "").messages[2];
    assertEquals(content, sent);
  }
});

Deno.test("runTools() ends after so many turns, with the conversation to go on from", async () => {
  let count = 0;
  const again = tool({ name: "again", run: () => ++count });
  const { client, script } = model([calls(["again", "{}"])], {
    afterLast: "repeat",
  });
  const options = { tools: [again], maxTurns: 3 };
  const run = runTools(client, { input: "Go" }, options);
  const error = await assertRejects(() => eventsOf(run), TurnLimitError);
  assertEquals([error.code, error.turns], ["turn_limit", 3]);
  assertEquals(await assertRejects(() => run.final()), error);
  // The calls of the last turn were not made.
  assertEquals([count, script.requests.length, error.input.length], [2, 3, 5]);
});

Deno.test("runTools() ends a run that is aborted at once, and its tools", async () => {
  const controller = new AbortController();
  let aborted: unknown;
  // Goes on for ever, but for its signal.
  const hang = tool({
    name: "hang",
    run: (_, { signal }) => {
      signal.addEventListener("abort", () => aborted = signal.reason);
      controller.abort(new Error("enough"));
      return new Promise(() => {});
    },
  });
  const { client } = model([calls(["hang", "{}"])]);
  const { signal } = controller;
  const run = runTools(client, { input: "Go" }, { tools: [hang], signal });
  await assertRejects(() => eventsOf(run), Error, "enough");
  assertInstanceOf(aborted, Error);
  assertEquals(aborted.message, "enough");
  await assertRejects(() => run.final(), Error, "enough");
  const late = runTools(client, { input: "Go" }, { tools: [hang], signal });
  await assertRejects(() => late.final(), Error, "enough");
});

Deno.test("runTools() closes the connection where the loop is left", async () => {
  const { client, script } = model([{ ...says("Hm"), end: "stall" }]);
  const run = runTools(client, { input: "Go" }, { tools: [weather] });
  for await (const event of run) {
    if (event.type === "output_text.delta") break;
  }
  assertEquals(script.requests[0]?.outcome, "aborted");
  await assertRejects(() => run.final(), DOMException, "The run was left");
});

Deno.test("runTools() aborts its tools where the loop is left, and asks for nothing more", async () => {
  const signals: AbortSignal[] = [];
  // The first one ends, and the second never does.
  const made = tool({
    name: "made",
    run: (_, { signal }) =>
      signals.push(signal) === 1 ? "" : new Promise(() => {}),
  });
  const { client, script } = model([calls(["made", "{}"], ["made", "{}"])]);
  const run = runTools(client, { input: "Go" }, { tools: [made] });
  for await (const event of run) if (event.type === "tool.done") break;
  assertEquals(signals.map(({ aborted }) => aborted), [true, true]);
  assertEquals(script.requests.length, 1);
});

Deno.test("runTools() makes no call of a response that was cut off", async () => {
  let count = 0;
  const counted = tool({ name: "counted", run: () => ++count });
  const call = { id: "a", function: { name: "counted", arguments: "{}" } };
  const { client } = model([chat({ tool_calls: [call] }, "length")]);
  const run = runTools(client, { input: "Go" }, { tools: [counted] });
  const { status, turns } = await run.final();
  assertEquals([status, turns, count], ["incomplete", 1, 0]);
});

Deno.test("runTools() leaves the calls of tools that it has not to the caller", async () => {
  let count = 0;
  const counted = tool({ name: "counted", run: () => ++count });
  for (
    const mine of [
      { type: "function", name: "mine" },
      { type: "function", function: { name: "mine" } },
    ]
  ) {
    const { client, script } = model([
      calls(["counted", "{}"], ["mine", "{}"]),
    ]);
    const run = runTools(client, { input: "Go", tools: [mine] }, {
      tools: [counted],
    });
    const { output } = await run.final();
    assertEquals([output.length, count], [2, 0]);
    const { tools } = JSON.parse(script.requests[0]?.body ?? "");
    assertEquals(
      tools.map((tool: { function: { name: string } }) => tool.function.name),
      ["mine", "counted"],
    );
  }
});

Deno.test("runTools() demands a call of the first response only, and tells each turn's options", async () => {
  for (
    const [toolChoice, later] of [["required", undefined], [
      "auto",
      "auto",
    ]] as const
  ) {
    const { client, script } = model([
      calls(["weather", '{"city":"Paris"}']),
      says("Warm."),
    ]);
    await runTools(client, { input: "Go", toolChoice }, {
      tools: [weather],
      model: "other",
      headers: { "X-Run": "1" },
      perTurn: (turn) => ({ headers: { "Idempotency-Key": `run/${turn}` } }),
    }).final();
    const bodies = script.requests.map(({ body }) => JSON.parse(body));
    assertEquals(bodies.map(({ tool_choice }) => tool_choice), [
      toolChoice,
      later,
    ]);
    assertEquals(bodies.map(({ model }) => model), ["other", "other"]);
    assertEquals(
      script.requests.map(({ headers }) => headers.get("idempotency-key")),
      ["run/1", "run/2"],
    );
    assertEquals(script.requests[0]?.headers.get("x-run"), "1");
  }
});

Deno.test("runTools() asks for nothing until it is iterated", async () => {
  const { client, script } = model([says("Hello.")]);
  const run = runTools(client, { input: "Go" }, { tools: [] });
  await Promise.resolve();
  assertEquals(script.requests.length, 0);
  assertEquals((await run.final()).outputText, "Hello.");
  assertEquals("tools" in JSON.parse(script.requests[0]?.body ?? ""), false);
});

Deno.test("runTools() parses the answer at the end of the calls", async () => {
  const call = {
    id: "a",
    function: { name: "weather", arguments: '{"city":"Paris"}' },
  };
  const { client } = model([
    // Text beside a call is not an answer.
    chat({ content: "Let me see.", tool_calls: [call] }, "tool_calls"),
    says('{"warm":true}'),
  ]);
  const output = z.object({ warm: z.boolean() });
  const final = await runTools(client, { input: "Go", output }, {
    tools: [weather],
  }).final();
  assertEquals(final.status === "completed" && final.parsed.warm, true);
});

const BAD: [options: Partial<RunOptions>, message: string][] = [
  [{ maxTurns: 0 }, "'maxTurns' must be a whole number from 1"],
  [{ maxTurns: 1.5 }, "'maxTurns' must be a whole number from 1"],
  [{ tools: [weather, weather] }, "two of them are named 'weather'"],
];

for (const [options, message] of BAD) {
  Deno.test(`runTools() refuses options: ${message}`, () => {
    const { client } = model([]);
    assertThrows(
      () => runTools(client, { input: "Go" }, { tools: [weather], ...options }),
      Error,
      message,
    );
  });
}

Deno.test("tool() needs the schema of an object", () => {
  assertThrows(
    () => tool({ name: "f", parameters: z.string(), run: () => "" }),
    TypeError,
    "Cannot make the tool 'f' as 'parameters' must be the schema of an object",
  );
  // A model may leave the arguments out, where there are none.
  assertEquals(tool({ name: "f", run: () => "" }).definition.strict, true);
});

Deno.test("runTools() runs over ten turns with providers that refuse what the real ones refuse (G8)", async () => {
  const rules = {
    thinks: "reasoning_content",
    messageFields: ["reasoning_content"],
    reasoningContent: "turn",
  } as const;
  for (
    const [provider, strict] of [
      [providers.openai, strictResponses(10)],
      [providers.deepseek, strictChat(10, rules)],
    ] as const
  ) {
    const client = new ModelClient({
      model: "m",
      provider: { ...provider, apiKey: "a key" },
      fetch: strict.fetch,
    });
    const run = runTools(client, { input: [user("How warm is it?")] }, {
      tools: [weather],
    });
    const { outputText, turns, input } = await run.final();
    assertEquals([outputText, turns], ["Done.", 10]);
    const next = [...input, user("And now?")];
    await runTools(client, { input: next }, { tools: [weather] }).final();
    assertEquals(strict.refusals, []);
  }
});
