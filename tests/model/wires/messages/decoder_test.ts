import { assert, assertEquals } from "@std/assert";
import { ResponseFailedError, StreamError } from "../../../../src/model/mod.ts";
import { SnapshotBuilder } from "../../../../src/model/snapshot.ts";
import {
  begin,
  called,
  decode,
  decodeData,
  delta,
  itemsOf,
  json,
  othersOf,
  over,
  said,
  START,
  STOP,
  stop,
  text,
  thinking,
  whole,
  type Wire,
} from "./decode.ts";
import { type Decoded, errorOf, lastOf } from "../decoded.ts";

/** Asserts that an object has fields; it may have others. */
function assertHas(actual: unknown, expected: Record<string, unknown>): void {
  const fields = Object.entries(Object(actual))
    .filter(([field]) => field in expected);
  assertEquals(Object.fromEntries(fields), expected);
}

/** The fields of an error that are getters, too. */
const toldBy = (
  { code, retryable, providerCode, providerMessage }: ResponseFailedError,
) => ({ code, retryable, providerCode, providerMessage });

const message = (...texts: string[]) => ({
  type: "message",
  role: "assistant",
  status: "completed",
  content: texts.map((text) => ({
    type: "output_text",
    text,
    annotations: [] as unknown[],
  })),
});

const call = (call_id: string, json: string, more = {}) => ({
  type: "function_call",
  call_id,
  name: "f",
  arguments: json,
  status: "completed",
  ...more,
});

const USAGE = { inputTokens: 5, outputTokens: 7, totalTokens: 12 };
const COMPLETED = { type: "completed", responseId: "msg_1", usage: USAGE };

Deno.test("MessagesDecoder gives the events of the other wires", () => {
  const { events, outcome, state } = decode([
    START,
    { type: "ping" },
    ...whole(
      0,
      { type: "thinking", thinking: "", signature: "" },
      thinking(0, "hm"),
      delta(0, { type: "signature_delta", signature: "sig" }),
    ),
    ...said(1, "Hel", "lo"),
    ...called(2, "toolu_1", "", '{"a"', ":1}"),
    ...stop("tool_use"),
  ]);
  assertEquals(state, "ended");
  const reasoning = {
    type: "reasoning",
    summary: [],
    content: [{ type: "reasoning_text", text: "hm" }],
    signature: "sig",
  };
  const at = (index: number) => ({
    itemId: `msg_1:${index}`,
    outputIndex: index,
  });
  // deno-fmt-ignore
  assertEquals<unknown[]>([...events], [
    { type: "created", responseId: "msg_1", model: "claude" },
    { type: "usage", usage: { inputTokens: 5, outputTokens: 1, totalTokens: 6 } },
    { type: "output_item.added", item: { ...reasoning, content: [], signature: "" }, outputIndex: 0 },
    { type: "reasoning.delta", ...at(0), contentIndex: 0, delta: "hm" },
    { type: "output_item.done", item: reasoning, outputIndex: 0 },
    { type: "output_item.added", item: { ...message(), status: "in_progress" }, outputIndex: 1 },
    { type: "output_text.delta", ...at(1), contentIndex: 0, delta: "Hel" },
    { type: "output_text.delta", ...at(1), contentIndex: 0, delta: "lo" },
    { type: "output_item.done", item: message("Hello"), outputIndex: 1 },
    { type: "output_item.added", item: call("toolu_1", "", { status: "in_progress" }), outputIndex: 2 },
    { type: "tool_call.delta", ...at(2), delta: '{"a"' },
    { type: "tool_call.delta", ...at(2), delta: ":1}" },
    { type: "output_item.done", item: call("toolu_1", '{"a":1}'), outputIndex: 2 },
    { type: "usage", usage: USAGE },
  ]);
  assertEquals<unknown>(outcome, { last: COMPLETED });
});

Deno.test("MessagesDecoder makes one message of adjacent blocks of text, with their citations", () => {
  const web = {
    type: "web_search_result_location",
    url: "https://example.com",
    title: "Example",
    encrypted_index: "x",
    cited_text: "blue",
  };
  const place = { type: "char_location", document_index: 0 };
  const decoded = decode([
    START,
    ...said(0, "The sky is "),
    ...whole(
      1,
      { type: "text", text: "", citations: [] },
      text(1, "blue"),
      delta(1, { type: "citations_delta", citation: web }),
      delta(1, { type: "citations_delta", citation: place }),
    ),
    ...said(2, "."),
    ...stop("end_turn"),
  ]);
  const expected = message("The sky is ", "blue", ".");
  expected.content[1] = {
    type: "output_text",
    text: "blue",
    annotations: [{
      type: "url_citation",
      url: "https://example.com",
      title: "Example",
      start_index: 0,
      end_index: 4,
      citation: web,
    }, place],
  };
  assertEquals<unknown[]>(itemsOf(decoded), [expected]);
  assertEquals(lastOf(decoded).type, "completed");
  const builder = new SnapshotBuilder();
  for (const event of decoded.events) builder.push(event);
  assertEquals(builder.snapshot.outputText, "The sky is blue.");
});

Deno.test("MessagesDecoder keeps redacted thinking, and the provider's own blocks, as they came", () => {
  const result = {
    type: "web_search_tool_result",
    tool_use_id: "srvtoolu_1",
    content: [{ type: "web_search_result", url: "u", encrypted_content: "e" }],
  };
  const decoded = decode([
    START,
    ...whole(0, { type: "redacted_thinking", data: "sealed" }),
    ...whole(
      1,
      {
        type: "server_tool_use",
        id: "srvtoolu_1",
        name: "web_search",
        input: {},
      },
      json(1, '{"query":'),
      json(1, '"sky"}'),
    ),
    ...whole(2, result),
    ...whole(
      3,
      { type: "compaction", content: null },
      delta(3, { type: "compaction_delta", content: "So far" }),
      delta(3, { type: "compaction_delta", content: " so good" }),
    ),
    ...whole(4, { type: "mcp_tool_use", id: "m", name: "g", input: { a: 1 } }),
    ...stop("end_turn"),
  ]);
  assertEquals<unknown[]>(itemsOf(decoded), [
    { type: "reasoning", summary: [], content: [], redacted_data: "sealed" },
    {
      type: "server_tool_use",
      id: "srvtoolu_1",
      name: "web_search",
      input: { query: "sky" },
    },
    result,
    { type: "compaction", content: "So far so good" },
    { type: "mcp_tool_use", id: "m", name: "g", input: { a: 1 } },
  ]);
  assertEquals(lastOf(decoded).type, "completed");
});

Deno.test("MessagesDecoder keeps the fields of a call that have no name here", () => {
  const decoded = decode([
    START,
    ...whole(0, {
      type: "tool_use",
      id: "toolu_1",
      name: "f",
      input: {},
      caller: { type: "direct" },
    }),
    ...stop("tool_use"),
  ]);
  assertEquals<unknown[]>(itemsOf(decoded), [
    call("toolu_1", "{}", { caller: { type: "direct" } }),
  ]);
});

/** The reason to stop, and the ending. */
const STOPS: [reason: string, expected: string][] = [
  ["end_turn", "completed"],
  ["stop_sequence", "completed"],
  ["tool_use", "completed"],
  ["max_tokens", "max_output_tokens"],
  ["refusal", "content_filter"],
  ["pause_turn", "pause_turn"],
  ["model_context_window_exceeded", "model_context_window_exceeded"],
  ["new_reason", "new_reason"],
];

for (const [reason, expected] of STOPS) {
  Deno.test(`MessagesDecoder ends with ${reason} as ${expected}`, () => {
    const last = lastOf(decode([START, ...said(0, "Hi"), ...stop(reason)]));
    assertEquals(
      last.type === "completed" ? last.type : last.reason,
      expected,
    );
    assertEquals(last.usage, USAGE);
  });
}

Deno.test("MessagesDecoder tells why the model refuses, and what has stopped it", () => {
  const event = {
    type: "message_delta",
    delta: {
      stop_reason: "refusal",
      stop_details: { type: "refusal", explanation: "no" },
    },
    usage: { output_tokens: 7 },
  };
  assertEquals(othersOf(decode([START, event, STOP])), [event]);
  assertEquals(othersOf(decode([START, ...stop("end_turn")])), []);
});

Deno.test("MessagesDecoder calls nothing done that was cut off", () => {
  for (const reason of ["max_tokens", "refusal"]) {
    for (const pieces of [[], [""], ['{"a":'], ['{"a":1']]) {
      for (const isStopped of [true, false]) {
        const cut = called(1, "toolu_2", ...pieces);
        const decoded = decode([
          START,
          ...called(0, "toolu_1", "{}"),
          ...(isStopped ? cut : cut.slice(0, -1)),
          ...stop(reason),
        ]);
        const last = lastOf(decoded);
        assertEquals<unknown[]>(itemsOf(decoded), [call("toolu_1", "{}")]);
        assertEquals(last.type === "incomplete" && last.unfinished?.length, 1);
      }
    }
  }
});

Deno.test("MessagesDecoder is incomplete with arguments that are not JSON", () => {
  const decoded = decode([
    START,
    ...called(0, "toolu_1", '{"a":'),
    ...stop("tool_use"),
  ]);
  assertEquals(itemsOf(decoded), []);
  assertHas(lastOf(decoded), {
    type: "incomplete",
    reason: "tool_call_arguments",
    unfinished: [call("toolu_1", '{"a":', { status: "incomplete" })],
  });
});

Deno.test("MessagesDecoder has a call without arguments before another done, in its place", () => {
  const decoded = decode([
    START,
    ...called(0, "toolu_1"),
    ...called(1, "toolu_2", "{}"),
    ...stop("max_tokens"),
  ]);
  assertEquals<unknown[]>(itemsOf(decoded), [
    call("toolu_1", "{}"),
    call("toolu_2", "{}"),
  ]);
});

Deno.test("MessagesDecoder marks thinking that was cut off", () => {
  const decoded = decode([
    START,
    begin(0, { type: "thinking", thinking: "", signature: "" }),
    thinking(0, "hm"),
    ...stop("max_tokens"),
  ]);
  assertHas(itemsOf(decoded)[0], { status: "incomplete" });
});

/** Streams that are odd, and their texts, thoughts and calls all the same (G1). */
const ODD: [name: string, stream: Wire[]][] = [
  ["without a start", [
    ...said(0, "Hi"),
    ...called(1, "c", '{"a":1}'),
  ]],
  ["without the starts of text", [
    START,
    text(0, "H"),
    text(0, "i"),
    over(0),
    ...called(1, "c", '{"a":1}'),
  ]],
  ["without the stops of blocks", [
    START,
    begin(0, { type: "text", text: "" }),
    text(0, "Hi"),
    begin(1, { type: "tool_use", id: "c", name: "f", input: {} }),
    json(1, '{"a":1}'),
  ]],
  ["with one index for all", [
    START,
    ...said(0, "Hi"),
    ...called(0, "c", '{"a":1}'),
  ]],
  ["with an index that is off by one in deltas", [
    START,
    begin(0, { type: "text", text: "" }),
    text(1, "Hi"),
    over(1),
    begin(1, { type: "tool_use", id: "c", name: "f", input: {} }),
    json(2, '{"a":1}'),
    over(2),
  ]],
  [
    "without any index",
    [START, ...said(0, "Hi"), ...called(1, "c", '{"a":1}')]
      .map(({ index: _, ...event }) => event),
  ],
  ["with the text in the starts", [
    START,
    ...whole(0, { type: "text", text: "Hi" }),
    ...whole(1, { type: "tool_use", id: "c", name: "f", input: { a: 1 } }),
  ]],
  ["with a text that begins in the start", [
    START,
    ...whole(0, { type: "text", text: "H" }, text(0, "i")),
    ...whole(1, { type: "tool_use", id: "c", name: "f", input: '{"a":1}' }),
  ]],
  ["with the input of a call after its stop", [
    START,
    ...said(0, "Hi"),
    ...called(1, "c"),
    json(1, '{"a":1}'),
  ]],
  ["with all of it in the first event", [
    {
      type: "message_start",
      message: {
        id: "msg_1",
        content: [
          { type: "text", text: "Hi" },
          { type: "tool_use", id: "c", name: "f", input: { a: 1 } },
        ],
      },
    },
  ]],
  ["with blocks in turns", [
    START,
    begin(0, { type: "text", text: "" }),
    begin(1, { type: "tool_use", id: "c", name: "f", input: {} }),
    json(1, '{"a"'),
    begin(2, { type: "tool_use", id: "d", name: "f", input: {} }),
    json(2, "{"),
    json(1, ":1}"),
    json(2, "}"),
    text(0, "Hi"),
    over(0),
    over(2),
    over(1),
  ]],
];

function sumOf(decoded: Decoded) {
  let text = "";
  const calls: string[] = [];
  for (const item of itemsOf(decoded)) {
    if (item.type === "message") {
      for (const part of item.content) text += part["text"];
    }
    if (item.type === "function_call") calls.push(item.arguments);
  }
  return { text, call: calls[0] };
}

for (const [name, stream] of ODD) {
  Deno.test(`MessagesDecoder reads a stream ${name} (G1)`, () => {
    for (const deltas of [true, false]) {
      const decoded = decode([...stream, ...stop("tool_use")], deltas);
      assertEquals(sumOf(decoded), { text: "Hi", call: '{"a":1}' });
      assertEquals(lastOf(decoded).type, "completed");
    }
    // The types may be told by the names alone.
    const named = [...stream, ...stop("tool_use")]
      .map(({ type, ...event }) =>
        [String(type), JSON.stringify(event)] as const
      );
    assertEquals(sumOf(decodeData(named)), { text: "Hi", call: '{"a":1}' });
  });
}

Deno.test("MessagesDecoder completes nothing that has lost a piece of a call (G1)", () => {
  const decoded = decode([
    START,
    ...called(0, "toolu_1", "{}"),
    json(0, '{"a":1}'),
    ...stop("tool_use"),
  ]);
  assertHas(lastOf(decoded), {
    type: "incomplete",
    reason: "tool_call_arguments",
  });
});

Deno.test("MessagesDecoder reads a long text as a short one, and pads nothing into it", () => {
  const pieces = Array.from(
    { length: 500 },
    (_, n) => n % 7 ? `${n} ` : '"}\n',
  );
  for (
    const [type, field] of [
      ["text_delta", "text"],
      ["thinking_delta", "thinking"],
      ["input_json_delta", "partial_json"],
    ] as const
  ) {
    const start = type === "text_delta"
      ? { type: "text", text: "" }
      : type === "thinking_delta"
      ? { type: "thinking", thinking: "", signature: "" }
      : { type: "tool_use", id: "t", name: "f", input: {} };
    const data = [START, begin(0, start)].map((event) => JSON.stringify(event));
    for (const [index, piece] of pieces.entries()) {
      const event = JSON.stringify(delta(0, { type, [field]: piece }));
      data.push(event.replace(/}$/, `${" ".repeat(index % 16)}}`));
    }
    const { events } = decodeData(data.map((text) => ["message", text]));
    const read = events.flatMap((event) =>
      "delta" in event ? [event.delta] : []
    );
    assertEquals(read, pieces);
  }
});

Deno.test("MessagesDecoder fails with an error, whatever follows", () => {
  const error = { type: "overloaded_error", message: "Overloaded" };
  for (
    const failed of [
      decode([START, text(0, "Hi"), { type: "error", error }, STOP]),
      decodeData([["error", JSON.stringify({ error })]]),
      decodeData([["error", JSON.stringify(error)]]),
      decodeData([["message", JSON.stringify({ error })]]),
    ]
  ) {
    const thrown = errorOf(failed);
    assertEquals(failed.state, "ended");
    assert(thrown instanceof ResponseFailedError);
    assertEquals<unknown>(toldBy(thrown), {
      code: "server_is_overloaded",
      retryable: true,
      providerCode: "overloaded_error",
      providerMessage: "Overloaded",
    });
  }
});

Deno.test("MessagesDecoder is truncated without message_stop, and says the usage so far", () => {
  const decoded = decode([START, ...said(0, "Hi")]);
  const error = errorOf(decoded);
  assertEquals(error instanceof StreamError && error.code, "truncated");
  assertEquals(error.usage?.inputTokens, 5);
  assertEquals(itemsOf(decoded), []);
  assertHas(
    itemsOf(decode([START, ...said(0, "Hi")], false))[0] ?? {},
    {
      type: "message",
      status: "incomplete",
    },
  );
});

Deno.test("MessagesDecoder adds what came from the cache, and went into it, to the input, and keeps the rest (G15)", () => {
  const decoded = decode([
    {
      type: "message_start",
      message: {
        id: "msg_1",
        usage: {
          input_tokens: 10,
          cache_creation_input_tokens: 200,
          cache_read_input_tokens: 3_000,
          output_tokens: 1,
          service_tier: "standard",
        },
      },
    },
    ...stop("end_turn", {
      usage: {
        input_tokens: null,
        output_tokens: 40,
        output_tokens_details: { thinking_tokens: 30 },
      },
    }),
  ]);
  const { usage } = lastOf(decoded);
  assertEquals<unknown>(usage?.raw, {
    input_tokens: 10,
    cache_creation_input_tokens: 200,
    cache_read_input_tokens: 3_000,
    output_tokens: 40,
    output_tokens_details: { thinking_tokens: 30 },
    service_tier: "standard",
  });
  assertEquals(usage, {
    inputTokens: 3_210,
    cachedInputTokens: 3_000,
    cacheWriteInputTokens: 200,
    outputTokens: 40,
    reasoningOutputTokens: 30,
    totalTokens: 3_250,
    serviceTier: "standard",
  });
});

Deno.test("MessagesDecoder passes on what it does not know", () => {
  const odd = { type: "content_block_start", index: 0 };
  const news = { type: "news", a: 1 };
  const decoded = decodeData([
    ["message_start", JSON.stringify(START)],
    ["message", JSON.stringify(odd)],
    ["news", JSON.stringify(news)],
    ["message", "words"],
    ["message", "17"],
    ["ping", ""],
    ["message", "[DONE]"],
  ]);
  assertEquals(othersOf(decoded), [odd, news, "words", 17]);
  assertEquals(decoded.state, "open");
});
