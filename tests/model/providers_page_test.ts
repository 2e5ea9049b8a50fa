/**
 * The statements of docs/providers.md about each server, row by row, on streams
 * as these servers send them.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  AnswerError,
  functionCallOutput,
  type InputItem,
  ResponseFailedError,
  type ResponseItem,
  StreamError,
  UnexpectedStatusError,
  user,
} from "../../src/model/mod.ts";
import type { ScriptedConnection } from "../../src/testing/scripted_fetch.ts";
import {
  readRecordings,
  recordingsMissing,
} from "../support/recordings/recordings.ts";
import {
  type Outcome,
  PROMPT,
  scriptedModel,
  sse,
} from "../support/model/scripted_model.ts";

const DONE = "data: [DONE]\n\n";

const chunk = (
  delta: unknown,
  finish_reason: string | null = null,
  more = {},
) =>
  sse({
    id: "chat_1",
    object: "chat.completion.chunk",
    model: "m",
    choices: [{ index: 0, delta, finish_reason }],
    ...more,
  });

const model = (
  connections: readonly ScriptedConnection[],
) => scriptedModel(connections, { provider: { wireApi: "chat" } });

const ask = (...chunks: string[]): Promise<Outcome> =>
  model([{ chunks }]).ask();

const answer = (status: number, body: unknown): ScriptedConnection => ({
  status,
  headers: { "content-type": "application/json" },
  chunks: [JSON.stringify(body)],
});

const GOOD: ScriptedConnection = {
  chunks: [chunk({ content: "Hi" }, "stop"), DONE],
};

function itemsOf({ events }: Outcome): ResponseItem[] {
  return events.flatMap((event) =>
    event.type === "output_item.done" ? [event.item] : []
  );
}

const typesOf = (outcome: Outcome) => itemsOf(outcome).map(({ type }) => type);

const lastOf = ({ events }: Outcome) => events.at(-1);

Deno.test("Ollama: thoughts in reasoning, and calls that are whole in one chunk", async () => {
  const call = {
    index: 0,
    id: "call_1",
    type: "function",
    function: { name: "f", arguments: '{"a":1}' },
  };
  const outcome = await ask(
    chunk({ role: "assistant", content: "", reasoning: "Okay" }),
    chunk({ role: "assistant", content: "", tool_calls: [call] }),
    chunk({ role: "assistant", content: "" }, "tool_calls"),
    DONE,
  );
  assertEquals(typesOf(outcome), ["reasoning", "function_call"]);
  assertEquals(lastOf(outcome)?.type, "completed");
});

Deno.test("llama.cpp: 503 while it loads a model", async () => {
  const { ask, script } = model([
    answer(503, {
      error: { code: 503, message: "Loading model", type: "unavailable_error" },
    }),
    GOOD,
  ]);
  assertEquals((await ask()).error, undefined);
  assertEquals(script.requests.length, 2);
});

Deno.test("llama.cpp: a prompt that is too long", async () => {
  const { ask, script } = model([
    answer(400, {
      error: {
        code: 400,
        message:
          "the request exceeds the available context size, try increasing it",
        type: "exceed_context_size_error",
        n_prompt_tokens: 9_000,
        n_ctx: 4_096,
      },
    }),
  ]);
  const { error } = await ask();
  assertInstanceOf(error, AnswerError);
  assertEquals(error.failureCode, "context_length_exceeded");
  assertEquals(script.requests.length, 1);
});

Deno.test("llama.cpp: timings in the last chunk", async () => {
  const timings = { predicted_per_second: 50.1 };
  const outcome = await ask(
    chunk({ content: "Hi" }),
    chunk({}, "stop", { timings }),
    DONE,
  );
  assertEquals(lastOf(outcome)?.type, "completed");
  const other = outcome.events.find((event) => event.type === "other");
  assertEquals(
    (other?.event as { timings: unknown } | undefined)?.timings, // a chunk
    timings,
  );
});

Deno.test("vLLM: thoughts in reasoning_content, and a stop_reason that is a number", async () => {
  const outcome = await ask(
    chunk({ reasoning_content: "Okay" }),
    sse({
      id: "chat_1",
      choices: [{
        index: 0,
        delta: { content: "Hi" },
        finish_reason: "stop",
        stop_reason: 151_643,
      }],
    }),
    DONE,
  );
  assertEquals(typesOf(outcome), ["reasoning", "message"]);
  assertEquals(lastOf(outcome)?.type, "completed");
  assert(!outcome.events.some(({ type }) => type === "other"));
});

Deno.test("vLLM: no stream_options in old versions", async () => {
  const { ask, script } = model([
    answer(400, {
      object: "error",
      message: "[{'loc': ('body', 'stream_options'), 'msg': 'extra fields'}]",
      type: "BadRequestError",
      code: 400,
    }),
    GOOD,
  ]);
  const last = lastOf(await ask());
  assertEquals(last?.type === "completed" && last.usage, undefined);
  assertEquals(
    script.requests.map(({ body }) => "stream_options" in JSON.parse(body)),
    [true, false],
  );
});

Deno.test("Azure: a first chunk without a choice and an id", async () => {
  const outcome = await ask(
    sse({
      id: "",
      object: "",
      model: "",
      choices: [],
      prompt_filter_results: [{ prompt_index: 0, content_filter_results: {} }],
    }),
    chunk({ content: "Hi" }, "stop"),
    DONE,
  );
  assertEquals(outcome.events[0], {
    type: "created",
    responseId: "chat_1",
    model: "m",
  });
  assert(outcome.events.some(({ type }) => type === "other"));
  assertEquals(typesOf(outcome), ["message"]);
});

Deno.test("Azure: a prompt that the content filter refuses", async () => {
  const message = "The response was filtered due to the prompt";
  const { ask, script } = model([
    answer(400, { error: { message, code: "content_filter", status: 400 } }),
  ]);
  const { error } = await ask();
  assertInstanceOf(error, UnexpectedStatusError);
  assertEquals(error.providerMessage, message);
  assertEquals(script.requests.length, 1);
});

Deno.test("OpenRouter: comments while it waits", async () => {
  const outcome = await ask(
    ": OPENROUTER PROCESSING\n\n",
    ": OPENROUTER PROCESSING\n\n",
    chunk({ content: "Hi" }, "stop"),
    DONE,
  );
  assertEquals(typesOf(outcome), ["message"]);
  assert(!outcome.events.some(({ type }) => type === "other"));
});

Deno.test({
  name: "OpenRouter: a failure after it has begun",
  ignore: recordingsMissing("OpenRouter: a failure after it has begun"),
  fn: async () => {
    const recordings = new Map(await readRecordings());
    const bytes = recordings.get("openrouter.chat.stream-error-0.sse");
    assert(bytes);
    const { error } = await ask(new TextDecoder().decode(bytes));
    assertInstanceOf(error, ResponseFailedError);
    assert(error.providerMessage !== "");
  },
});

Deno.test("OpenRouter: reasoning_details with signatures, and the price", async () => {
  const details = [{
    type: "reasoning.text",
    text: "Okay",
    signature: "sig",
    index: 0,
  }];
  const first = {
    chunks: [
      chunk({ reasoning: "Okay", reasoning_details: details }),
      chunk({ content: "Hi" }, "stop"),
      sse({
        id: "chat_1",
        choices: [],
        usage: { prompt_tokens: 1, completion_tokens: 2, cost: 0.5 },
      }),
      DONE,
    ],
  };
  const { ask, script } = model([first, GOOD]);
  const outcome = await ask();
  const last = lastOf(outcome);
  assertEquals(last?.type === "completed" && last.usage?.cost, 0.5);
  const input: InputItem[] = [user("Hi"), ...itemsOf(outcome), user("And?")];
  assertEquals((await ask({ input })).error, undefined);
  const sent = JSON.parse(script.requests[1]?.body ?? "");
  assertEquals(sent.messages[1].reasoning_details, details);
});

Deno.test("Gemini: errors in a list, with a delay in the body", async () => {
  const { ask, script } = model([
    answer(429, [{
      error: {
        code: 429,
        message: "You exceeded your current quota",
        status: "RESOURCE_EXHAUSTED",
        details: [{
          "@type": "type.googleapis.com/google.rpc.RetryInfo",
          retryDelay: "7s",
        }],
      },
    }]),
    GOOD,
  ]);
  assertEquals((await ask()).error, undefined);
  assertEquals(script.requests.map(({ time }) => time), [0, 7_000]);
});

Deno.test("Gemini: the signature of a call goes back with it", async () => {
  const extra_content = { google: { thought_signature: "sig" } };
  const call = {
    index: 0,
    id: "call_1",
    type: "function",
    function: { name: "f", arguments: "{}" },
    extra_content,
  };
  const { ask, script } = model([
    { chunks: [chunk({ tool_calls: [call] }, "tool_calls"), DONE] },
    GOOD,
  ]);
  const output = itemsOf(await ask());
  const input = [user("Hi"), ...output, functionCallOutput("call_1", "1")];
  assertEquals((await ask({ ...PROMPT, input })).error, undefined);
  const sent = JSON.parse(script.requests[1]?.body ?? "");
  assertEquals(sent.messages[1].tool_calls[0].extra_content, extra_content);
});

Deno.test("Any Chat server: an end without [DONE], and one without a finish_reason", async () => {
  const whole = await ask(chunk({ content: "Hi" }, "stop"));
  assertEquals(lastOf(whole)?.type, "completed");
  const { error } = await model([
    { chunks: [chunk({ content: "Hi" })] },
  ]).ask();
  assertInstanceOf(error, StreamError);
  assertEquals(error.code, "truncated");
});
