import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import fc from "fast-check";
import { ChatDecoder } from "../../../../src/model/wires/chat/decoder.ts";
import { ResponseFailedError } from "../../../../src/model/errors/response_failed_error.ts";
import { StreamError } from "../../../../src/model/errors/stream_error.ts";
import type { ResponseEvent } from "../../../../src/model/response_event.ts";
import { propertyParameters } from "../../../support/property.ts";
import {
  calls,
  choice,
  chunk,
  decode,
  DONE,
  finish,
  itemsOf,
  othersOf,
  textOf,
} from "./decode.ts";
import { errorOf, lastOf } from "../decoded.ts";

const CREATED = { type: "created", responseId: "c1", model: "m" };
const USAGE = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
const COST = { inputTokens: 1, outputTokens: 2, totalTokens: 3 };

function message(text: string, status = "completed") {
  return {
    type: "message",
    role: "assistant",
    status,
    content: [{ type: "output_text", text, annotations: [] }],
  };
}

function reasoning(text: string) {
  return {
    type: "reasoning",
    summary: [],
    content: [{ type: "reasoning_text", text }],
  };
}

Deno.test("ChatDecoder tells created, the item, its text, the usage, and the end", () => {
  const decoded = decode([
    choice({ role: "assistant", content: "" }),
    choice({ content: "Hel" }),
    choice({ content: "lo" }),
    finish("stop"),
    chunk({ choices: [], usage: USAGE }),
    DONE,
  ]);
  const at = { itemId: "c1:0", outputIndex: 0, contentIndex: 0 };
  assertEquals<unknown>(decoded.events, [
    CREATED,
    {
      type: "output_item.added",
      item: {
        type: "message",
        role: "assistant",
        status: "in_progress",
        content: [],
      },
      outputIndex: 0,
    },
    { type: "output_text.delta", ...at, delta: "Hel" },
    { type: "output_text.delta", ...at, delta: "lo" },
    { type: "usage", usage: COST },
    { type: "output_item.done", item: message("Hello"), outputIndex: 0 },
  ]);
  assertEquals(decoded.state, "ended");
  assertEquals<unknown>(lastOf(decoded), {
    type: "completed",
    responseId: "c1",
    usage: COST,
  });
});

Deno.test("ChatDecoder tells items only, without deltas", () => {
  const { events, outcome } = decode([
    chunk({ choices: [], prompt_filter_results: [1] }),
    choice({ reasoning: "Hm" }),
    choice({ content: "Hi", citations: [1] }),
    "not JSON",
    chunk({
      choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
      usage: USAGE,
    }),
    DONE,
  ], false);
  assertEquals<unknown>(events, [
    { type: "output_item.done", item: reasoning("Hm"), outputIndex: 0 },
    { type: "output_item.done", item: message("Hi"), outputIndex: 1 },
  ]);
  assertEquals<unknown>(outcome, {
    last: { type: "completed", responseId: "c1", usage: COST },
  });
});

Deno.test("ChatDecoder is open, ending after a finish_reason or an error, and ended after [DONE]", () => {
  const decoder = new ChatDecoder({ deltas: true });
  const out: ResponseEvent[] = [];
  const states: string[] = [decoder.state];
  for (const data of [choice({ content: "Hi" }), finish("stop"), " [DONE] "]) {
    decoder.push("message", data, out);
    states.push(decoder.state);
  }
  assertEquals(states, ["open", "open", "ending", "ended"]);
  const { length } = out;
  decoder.push("message", choice({ content: "late" }), out);
  assertEquals(out.length, length);
  assertEquals(decoder.responseId, "c1");
  assertEquals(decoder.sequenceNumber, undefined);
  assertEquals(decode([chunk({ error: { message: "no" } })]).state, "ending");
  assertEquals(decode([choice({ content: "Hi" }, "")]).state, "open");
});

interface Ending {
  readonly name: string;
  readonly stream: readonly (string | readonly [string, string])[];
  /** The type of the last event, its reason, or the error's name and code. */
  readonly outcome: string;
  readonly message?: string;
  readonly usage?: boolean;
  readonly retryable?: boolean;
}

const HI = choice({ content: "Hi" });
const TRUNCATED =
  "stream disconnected before completion: stream closed before [DONE] or a finish_reason";

const ENDINGS: readonly Ending[] = [
  ...[
    "stop",
    "tool_calls",
    "function_call",
    "eos",
    "eos_token",
    "end_turn",
    "stop_sequence",
    "tool_use",
    "STOP",
  ].map((reason): Ending => ({
    name: `finish_reason "${reason}"`,
    stream: [HI, finish(reason)],
    outcome: "completed",
  })),
  ...([
    ["length", "max_output_tokens"],
    ["max_tokens", "max_output_tokens"],
    ["model_length", "max_output_tokens"],
    ["MAX_TOKENS", "max_output_tokens"],
    ["content_filter", "content_filter"],
    ["SAFETY", "content_filter"],
    ["RECITATION", "RECITATION"],
    ["insufficient_system_resource", "insufficient_system_resource"],
  ] as const).map(([reason, outcome]): Ending => ({
    name: `finish_reason "${reason}"`,
    stream: [HI, finish(reason), DONE],
    outcome: `incomplete ${outcome}`,
  })),
  {
    name: 'finish_reason "error"',
    stream: [HI, finish("error"), DONE],
    outcome: "ResponseFailedError response_failed",
    message: "the response has failed (error): the provider gives no reason",
    retryable: true,
  },
  {
    name: "[DONE] without finish_reason",
    stream: [HI, DONE],
    outcome: "completed",
  },
  {
    name: "finish_reason without [DONE]",
    stream: [HI, finish("stop")],
    outcome: "completed",
  },
  {
    name: 'finish_reason "" in the middle',
    stream: [choice({ content: "Hi" }, ""), DONE],
    outcome: "completed",
  },
  {
    name: 'finish_reason "" and the end of the body',
    stream: [choice({ content: "Hi" }, "")],
    outcome: "StreamError truncated",
    message: TRUNCATED,
    retryable: true,
  },
  {
    name: 'finish_reason "" after another',
    stream: [HI, finish("length"), choice({}, "")],
    outcome: "incomplete max_output_tokens",
  },
  {
    name: "the end of the body with neither",
    stream: [HI, chunk({ choices: [], usage: USAGE })],
    outcome: "StreamError truncated",
    message: TRUNCATED,
    usage: true,
    retryable: true,
  },
  {
    name: "[DONE] and no choice ever",
    stream: [chunk({ choices: [], usage: USAGE }), DONE],
    outcome: "StreamError truncated",
    usage: true,
    retryable: true,
  },
  { name: "nothing", stream: [], outcome: "StreamError truncated" },
  {
    name: "a finish_reason with every chunk: the last one counts (OpenRouter)",
    stream: [
      choice({ content: "H" }, "length"),
      choice({ content: "i" }, "stop"),
      choice({}),
    ],
    outcome: "completed",
  },
  {
    name: "the usage in a last chunk, without choices",
    stream: [HI, finish("stop"), chunk({ choices: [], usage: USAGE }), DONE],
    outcome: "completed",
    usage: true,
  },
  {
    name: "the usage beside a choice",
    stream: [
      HI,
      chunk({
        choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
        usage: USAGE,
      }),
      DONE,
    ],
    outcome: "completed",
    usage: true,
  },
  {
    name: "the usage within the choice (Moonshot)",
    stream: [HI, choice({}, "stop", { usage: USAGE }), DONE],
    outcome: "completed",
    usage: true,
  },
  {
    name: "the usage in x_groq",
    stream: [
      HI,
      chunk({
        choices: [{ index: 0, delta: {}, finish_reason: "length" }],
        x_groq: { id: "r", usage: USAGE },
      }),
      DONE,
    ],
    outcome: "incomplete max_output_tokens",
    usage: true,
  },
  {
    name: "an error chunk with its usage, a choice, and [DONE] (OpenRouter)",
    stream: [
      HI,
      chunk({
        error: { code: 400, message: "Token limit reached" },
        choices: [{ index: 0, delta: { content: "" }, finish_reason: "error" }],
        usage: USAGE,
      }),
      DONE,
    ],
    outcome: "ResponseFailedError response_failed",
    message: "the response has failed (400): Token limit reached",
    usage: true,
    retryable: false,
  },
  {
    name: "an error, then its usage",
    stream: [
      HI,
      chunk({ error: { message: "overloaded", code: 503 } }),
      chunk({ choices: [], usage: USAGE }),
      DONE,
    ],
    outcome: "ResponseFailedError server_is_overloaded",
    usage: true,
    retryable: true,
  },
  {
    name: "an error after a finish_reason",
    stream: [HI, finish("stop"), chunk({ error: { message: "no" } })],
    outcome: "ResponseFailedError response_failed",
  },
  {
    name: "two errors: the first counts",
    stream: [
      HI,
      chunk({ error: { message: "first" } }),
      chunk({ error: { message: "second" } }),
    ],
    outcome: "ResponseFailedError response_failed",
    message: "the response has failed (response_failed): first",
  },
  {
    name: "an error that is a text (Hugging Face)",
    stream: [HI, `{"error":"the model is too busy"}`, DONE],
    outcome: "ResponseFailedError response_failed",
    message: "the response has failed (response_failed): the model is too busy",
  },
  {
    name: "an error within a choice",
    stream: [HI, choice({}, null, { error: { code: 429, message: "slow" } })],
    outcome: "ResponseFailedError rate_limit_exceeded",
  },
  {
    name: "an error that is the chunk (vLLM)",
    stream: [HI, `{"object":"error","message":"too long","code":400}`, DONE],
    outcome: "ResponseFailedError response_failed",
    message: "the response has failed (400): too long",
    retryable: false,
  },
  {
    name: "x_groq.error",
    stream: [HI, chunk({ choices: [], x_groq: { error: "over capacity" } })],
    outcome: "ResponseFailedError response_failed",
    message: "the response has failed (response_failed): over capacity",
  },
  {
    name: "event: error (Groq)",
    stream: [HI, [
      "error",
      `{"error":{"code":"tool_use_failed","type":"invalid_request_error","message":"no such tool"}}`,
    ]],
    outcome: "ResponseFailedError response_failed",
    message: "the response has failed (tool_use_failed): no such tool",
    retryable: false,
  },
  {
    name: "event: error with the error itself (llama.cpp)",
    stream: [HI, ["error", `{"code":500,"message":"oops"}`]],
    outcome: "ResponseFailedError response_failed",
    message: "the response has failed (500): oops",
  },
  {
    name: "event: error with a text",
    stream: [HI, ["error", "oops"]],
    outcome: "ResponseFailedError response_failed",
    message: "the response has failed (response_failed): oops",
  },
  {
    name: "event: error with nothing",
    stream: [HI, ["error", ""], DONE],
    outcome: "ResponseFailedError response_failed",
  },
  {
    name: "an error that is none",
    stream: [chunk({
      error: null,
      choices: [{ index: 0, delta: {}, finish_reason: "stop", error: {} }],
    })],
    outcome: "completed",
  },
];

for (const { name, stream, outcome, message, usage, retryable } of ENDINGS) {
  Deno.test(`ChatDecoder ends: ${name}`, () => {
    for (const deltas of [true, false]) {
      const decoded = decode(stream, deltas);
      if ("last" in decoded.outcome) {
        const { last } = decoded.outcome;
        assertEquals(
          last.type === "incomplete" ? `incomplete ${last.reason}` : last.type,
          outcome,
        );
        assertEquals<unknown>(last.usage, usage ? COST : undefined);
        assertEquals(last.responseId, "c1");
        continue;
      }
      const { error } = decoded.outcome;
      assertEquals(`${error.name} ${error.code}`, outcome);
      if (message !== undefined) assertEquals(error.message, message);
      if (retryable !== undefined) assertEquals(error.retryable, retryable);
      assertEquals<unknown>(error.usage, usage ? COST : undefined);
      assertEquals(error.responseId, stream.length > 0 ? "c1" : undefined);
    }
  });
}

Deno.test("ChatDecoder tells an open message as done when the response is cut off, as incomplete", () => {
  const decoded = decode([
    choice({ reasoning: "Hm" }),
    choice({ content: "Hi" }),
    finish("length"),
  ]);
  assertEquals<unknown>(itemsOf(decoded), [
    reasoning("Hm"),
    message("Hi", "incomplete"),
  ]);
  assertEquals<unknown>(lastOf(decoded), {
    type: "incomplete",
    reason: "max_output_tokens",
    responseId: "c1",
  });
});

Deno.test("ChatDecoder tells no item as done that an error cut off, but for its text where there are no deltas", () => {
  for (const stream of [[HI], [HI, chunk({ error: { message: "no" } })]]) {
    const loud = decode(stream);
    assertEquals(itemsOf(loud), []);
    assertEquals(textOf(loud, "output_text.delta", 0), "Hi");
    const silent = decode(stream, false);
    assertEquals<unknown>(itemsOf(silent), [message("Hi", "incomplete")]);
  }
  assertInstanceOf(errorOf(decode([HI])), StreamError);
  const thought = decode([choice({ reasoning: "Hm" })], false);
  assertEquals(thought.events, []);
});

Deno.test("ChatDecoder tells the usage once for each time that it differs, and the last one at the end", () => {
  const usage = (n: unknown) => ({ prompt_tokens: 1, completion_tokens: n });
  const first = chunk({
    usage: usage(1),
    choices: [{ index: 0, delta: { content: "a" } }],
  });
  const decoded = decode([
    first,
    first,
    chunk({
      usage: usage(2),
      choices: [{ index: 0, delta: { content: "b" } }],
    }),
    chunk({
      usage: null,
      choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
    }),
    chunk({ usage: {}, choices: [] }),
    DONE,
  ]);
  const told = decoded.events.flatMap((event) =>
    event.type === "usage" ? [event.usage.outputTokens] : []
  );
  assertEquals(told, [1, 2]);
  assertEquals(lastOf(decoded).usage?.outputTokens, 2);
  const details = (name: string, field: string, n: number) =>
    chunk({ choices: [], usage: { ...usage(1), [name]: { [field]: n } } });
  for (
    const [name, field] of [
      ["prompt_tokens_details", "cached_tokens"],
      ["completion_tokens_details", "reasoning_tokens"],
    ] as const
  ) {
    const { events } = decode([
      details(name, field, 1),
      details(name, field, 2),
    ]);
    assertEquals(events.filter(({ type }) => type === "usage").length, 2);
  }
});

Deno.test("ChatDecoder reads reasoning under each of its names, once", () => {
  const rows: [string, unknown, string][] = [
    ["reasoning_content", { reasoning_content: "Hm" }, "Hm"],
    ["reasoning", { reasoning: "Hm", content: "" }, "Hm"],
    ["both", { reasoning: "Hm", reasoning_content: "Hm" }, "Hm"],
    ["an object", { reasoning: { text: "Hm" } }, "Hm"],
    ["another object", { reasoning: { content: "Hm" } }, "Hm"],
    ["parts", {
      content: [{ type: "thinking", thinking: [{ type: "text", text: "Hm" }] }],
    }, "Hm"],
    [
      "a part with text",
      { content: [{ type: "thinking", thinking: "Hm" }] },
      "Hm",
    ],
    [
      "null and empty",
      { reasoning: null, reasoning_content: "", content: "x" },
      "",
    ],
  ];
  for (const [name, delta, text] of rows) {
    const decoded = decode([choice(delta), finish("stop")]);
    const items = itemsOf(decoded).filter(({ type }) => type === "reasoning");
    assertEquals<unknown>(items, text === "" ? [] : [reasoning(text)], name);
    assertEquals(textOf(decoded, "reasoning.delta", 0), text, name);
    assertEquals(othersOf(decoded), [], name);
  }
});

Deno.test("ChatDecoder keeps reasoning_details, put together from their pieces", () => {
  const detail = (fields: Record<string, unknown>) =>
    choice({
      content: "",
      reasoning_details: [{
        type: "reasoning.text",
        index: 0,
        format: "x",
        ...fields,
      }],
    });
  const decoded = decode([
    detail({ text: "H", id: null }),
    detail({ text: "m", id: "r1", format: null }),
    detail({ signature: "s", format: null }),
    detail({ text: "other", id: "r2" }),
    choice({
      reasoning_details: [
        { type: "reasoning.encrypted", index: 0, data: "ab" },
        { type: "reasoning.encrypted", index: 0, data: "cd" },
        { type: "reasoning.summary", index: 1, summary: "sum" },
        "odd",
      ],
    }),
    choice({
      reasoning: "!",
      reasoning_details: [{ type: "reasoning.text", index: 3, text: "!" }],
    }),
    choice({ reasoning_details: [] }),
    finish("stop"),
  ]);
  assertEquals(textOf(decoded, "reasoning.delta", 0), "Hmothersum!");
  assertEquals<unknown>(itemsOf(decoded), [{
    ...reasoning("Hmothersum!"),
    reasoning_details: [
      {
        type: "reasoning.text",
        index: 0,
        format: "x",
        text: "Hm",
        id: "r1",
        signature: "s",
      },
      {
        type: "reasoning.text",
        index: 0,
        format: "x",
        text: "other",
        id: "r2",
      },
      { type: "reasoning.encrypted", index: 0, data: "abcd" },
      { type: "reasoning.summary", index: 1, summary: "sum" },
      { type: "reasoning.text", index: 3, text: "!" },
    ],
  }]);
});

Deno.test("ChatDecoder passes on a chunk as it came, also when it keeps details from it", () => {
  const details = [{ type: "reasoning.text", index: 0, text: "H" }];
  const first = choice({ reasoning_details: details, annotations: [1] });
  const decoded = decode([
    first,
    choice({ reasoning_details: details }),
    finish("stop"),
  ]);
  assertEquals(othersOf(decoded), [JSON.parse(first)]);
});

Deno.test("ChatDecoder keeps details without a text where they do not tear a message apart", () => {
  const details = [{ type: "reasoning.encrypted", data: "ab", index: 0 }];
  const within = decode([
    choice({ content: "Hel" }),
    choice({ reasoning_details: details }),
    choice({ content: "lo" }),
    finish("stop"),
  ]);
  assertEquals<unknown>(itemsOf(within), [
    { ...message("Hello"), reasoning_details: details },
  ]);
  const before = decode([
    choice({ reasoning_details: details }),
    choice({ content: "Hi" }),
    finish("stop"),
  ]);
  assertEquals<unknown>(itemsOf(before), [
    { type: "reasoning", summary: [], content: [], reasoning_details: details },
    message("Hi"),
  ]);
});

Deno.test("ChatDecoder reads text in parts, and passes on the parts that it does not know", () => {
  const odd = choice({
    content: [{ type: "text", text: "Hi" }, { type: "text", text: "" }, {
      type: "reference",
      ids: [1],
    }],
  });
  const decoded = decode([odd, finish("stop")]);
  assertEquals<unknown>(itemsOf(decoded), [message("Hi")]);
  assertEquals(othersOf(decoded), [JSON.parse(odd)]);
});

Deno.test("ChatDecoder makes a refusal a part of its own, in the order of appearance", () => {
  const text = { type: "output_text", text: "Well...", annotations: [] };
  const refusal = { type: "refusal", refusal: "I cannot" };
  const rows = [
    [[{ content: "Well" }, { refusal: "I can" }, { content: "..." }, {
      refusal: "not",
    }], [text, refusal]],
    [[{ refusal: "I can" }, { content: "Well" }, {
      refusal: "not",
      content: "...",
    }], [refusal, text]],
    [[{ refusal: "", content: null }, { refusal: "I cannot" }, {
      refusal: null,
    }], [refusal]],
  ] as const;
  for (const [deltas, content] of rows) {
    const decoded = decode([
      ...deltas.map((delta) => choice(delta)),
      finish("stop"),
    ]);
    assertEquals<unknown>(itemsOf(decoded), [{ ...message(""), content }]);
    const indexes = decoded.events.flatMap((event) =>
      event.type === "refusal.delta" ? [event.contentIndex] : []
    );
    const at = content[0].type === "refusal" ? 0 : 1;
    assertEquals(new Set(indexes), new Set([at]));
    assertEquals(textOf(decoded, "refusal.delta", 0), "I cannot");
    assertEquals(othersOf(decoded), []);
  }
});

Deno.test("ChatDecoder begins another item when the kind of text changes", () => {
  const decoded = decode([
    choice({ reasoning: "R1" }),
    choice({ content: "T1" }),
    choice({ content: "T2", reasoning_content: "R2" }),
    choice({ reasoning: "R3" }),
    choice({ content: "T3" }),
    finish("stop"),
  ]);
  const done = decoded.events.flatMap((event) =>
    event.type === "output_item.done" ? [[event.outputIndex, event.item]] : []
  );
  assertEquals<unknown>(done, [
    [0, reasoning("R1")],
    [1, message("T1")],
    [2, reasoning("R2")],
    [3, message("T2")],
    [4, reasoning("R3")],
    [5, message("T3")],
  ]);
  const order = decoded.events.map((event) =>
    "outputIndex" in event ? `${event.type} ${event.outputIndex}` : event.type
  );
  assertEquals(order.slice(1, 7), [
    "output_item.added 0",
    "reasoning.delta 0",
    "output_item.done 0",
    "output_item.added 1",
    "output_text.delta 1",
    "output_item.done 1",
  ]);
});

Deno.test("ChatDecoder puts logprobs on the text that they belong to", () => {
  const content = [{ token: "Hi", logprob: -1 }];
  const call = choice(
    { tool_calls: [{ index: 0, id: "a", function: { name: "f" } }] },
    null,
    { logprobs: { content } },
  );
  const refused = choice({ refusal: "no" }, null, {
    logprobs: { content: null, refusal: content },
  });
  const decoded = decode([
    choice({ content: "Hi" }, null, { logprobs: { content, refusal: null } }),
    choice({ content: "Hi" }, null, { logprobs: { content: [] } }),
    call,
    refused,
    choice({}, "stop", { logprobs: { content: null, refusal: null } }),
  ]);
  const told = decoded.events.flatMap((event) =>
    event.type === "output_text.delta" ? [event.logprobs] : []
  );
  assertEquals(told, [content, undefined]);
  assertEquals(othersOf(decoded), [JSON.parse(call), JSON.parse(refused)]);
});

/** Chunks for which there is no event. */
const OTHERS: readonly string[] = [
  chunk({ choices: [], prompt_filter_results: [{ prompt_index: 0 }] }),
  chunk({ choices: [] }),
  chunk({ object: "chat.completion.done" }),
  chunk({ choices: [], moderation: { input: {} } }),
  chunk({
    choices: [{ index: 0, delta: { content: "x" } }],
    citations: ["https://example.com"],
  }),
  chunk({ choices: [], usage: { cost: 1 } }),
  chunk({ choices: [], x_groq: { id: "r", debug: [1] } }),
  choice({ content: "x", annotations: [{ type: "url_citation" }] }),
  choice({ audio: { id: "a" } }),
  choice({ images: [{ type: "image_url" }] }),
  choice(null, "stop", {
    content_filter_results: { hate: { filtered: false } },
  }),
  choice(undefined, "stop", { message: { role: "assistant", odd: "x" } }),
  choice(["odd"]),
  choice({ content: { odd: true } }),
  choice({ refusal: ["odd"] }),
  choice({ content: "x" }, null, { text: "y" }),
  choice({ reasoning: "a", reasoning_content: "b" }),
  choice({ reasoning_details: "odd" }),
  choice({}, null, { logprobs: "odd" }),
  chunk({ choices: [{ index: 1, delta: { content: "x" } }] }),
  chunk({ choices: [{ index: 0, delta: {} }, { index: 1, delta: {} }] }),
  chunk({ choices: [{ delta: {} }, { delta: { content: "x" } }] }),
  chunk({ choices: ["odd"] }),
  chunk({ x_groq: "odd" }),
  `{"type":"ping"}`,
  "[1]",
  "1",
  "null",
];

Deno.test("ChatDecoder passes on what it has no event for, once", () => {
  for (const data of OTHERS) {
    // The second choice is another answer where more than one was asked for.
    const decoded = decode([choice({}), data], true, true);
    assertEquals(othersOf(decoded), [JSON.parse(data)], data);
  }
  assertEquals(othersOf(decode([choice({}), "not JSON {"])), ["not JSON {"]);
});

/** Chunks that say nothing, or nothing of use to a reader. */
const SILENT: readonly string[] = [
  "",
  "  ",
  choice({
    role: "assistant",
    content: null,
    tool_calls: null,
    annotations: [],
    audio: {},
    function_call: null,
  }),
  choice({ content: "", channel: "analysis", token_id: 5, refusal: null }),
  choice({}, null, {
    native_finish_reason: "stop",
    seed: 5,
    stop_reason: 3,
    matched_stop: 2,
    token_ids: [1],
    logprobs: null,
    content_filter_results: {},
    text: "",
  }),
  chunk({
    choices: [{ index: 0, delta: {} }],
    usage: null,
    system_fingerprint: "f",
    service_tier: "default",
    provider: "P",
    obfuscation: "xyz",
    p: "xyz",
    x_groq: { id: "r", seed: 1 },
    prompt_text: null,
  }),
];

Deno.test("ChatDecoder passes over what says nothing", () => {
  for (const data of SILENT) {
    assertEquals<unknown>(decode([choice({}), data]).events, [CREATED], data);
  }
  const copy = decode([choice({ content: "Hi" }, null, { text: "Hi" })]);
  assertEquals(othersOf(copy), []);
});

Deno.test("ChatDecoder tells created before all else, with the id that comes late", () => {
  const filter =
    `{"id":"","model":"","object":"","choices":[],"prompt_filter_results":[1]}`;
  const azure = decode([filter, choice({ content: "Hi" }), finish("stop")]);
  assertEquals<unknown>(azure.events.slice(0, 2), [
    CREATED,
    { type: "other", event: JSON.parse(filter) },
  ]);
  assertEquals(lastOf(azure).responseId, "c1");

  const pings = decode([`{"type":"ping"}`, `{"type":"ping"}`, HI]);
  assertEquals(pings.events.map(({ type }) => type).slice(0, 3), [
    "created",
    "other",
    "other",
  ]);
  assertEquals(pings.events.filter(({ type }) => type === "created").length, 1);

  const alone = decode(["odd"]);
  assertEquals<unknown>(alone.events, [
    { type: "created", responseId: "" },
    { type: "other", event: "odd" },
  ]);
  const cost = decode([`{"usage":{"prompt_tokens":1,"completion_tokens":2}}`]);
  assertEquals(cost.events.map(({ type }) => type), ["created", "usage"]);
});

Deno.test("ChatDecoder tells nothing before an error that comes first, so that it can be asked again", () => {
  for (
    const stream of [
      [`{"error":{"message":"overloaded"}}`],
      [chunk({ error: { message: "overloaded" } }), DONE],
      [["error", "oops"] as const],
      [`{"object":"error","message":"oops"}`],
    ]
  ) {
    const decoded = decode(stream);
    assertEquals(decoded.events, []);
    assertInstanceOf(errorOf(decoded), ResponseFailedError);
  }
});

Deno.test("ChatDecoder does without ids and a model", () => {
  const decoded = decode([
    `{"choices":[{"delta":{"content":"Hi"}}]}`,
    `{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f"}}]},"finish_reason":"stop"}]}`,
  ]);
  assertEquals<unknown>(decoded.events[0], { type: "created", responseId: "" });
  assertEquals(itemsOf(decoded).map((item) => item.call_id), [
    undefined,
    "call__1",
  ]);
  assertEquals<unknown>(lastOf(decoded), {
    type: "completed",
    responseId: "",
    usage: undefined,
  });
});

Deno.test("ChatDecoder throws at nothing, and its deltas and items say the same", () => {
  const field = fc.constantFrom(
    "id",
    "object",
    "choices",
    "usage",
    "error",
    "x_groq",
    "index",
    "delta",
    "finish_reason",
    "logprobs",
    "content",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "refusal",
    "tool_calls",
    "function_call",
    "function",
    "name",
    "arguments",
    "custom",
    "text",
    "type",
    "extra_content",
    "message",
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "large", withCrossShrink: true },
      fc.constantFrom<unknown>(
        null,
        "",
        "{}",
        '{"x":1}',
        "a",
        "text",
        0,
        1,
        true,
      ),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(field, tie("value"), { maxKeys: 5 }),
    ),
  }));
  const text = fc.constantFrom(undefined, null, "", "a", "bc", [{
    type: "text",
    text: "d",
  }], [{ type: "thinking", thinking: "e" }]);
  const event = fc.oneof(
    fc.dictionary(field, value).map((fields) => JSON.stringify(fields)),
    fc.record({
      content: text,
      refusal: text,
      reasoning: text,
      reasoning_details: value,
      tool_calls: value,
    })
      .map((delta) => choice(delta)),
    fc.tuple(
      fc.nat(2),
      fc.constantFrom("", "{", "}", '{"x":1}'),
      fc.constantFrom("", "f", "g"),
      fc.constantFrom("", "a", "b"),
    )
      .map(([index, args, name, id]) =>
        calls({ index, id, function: { name, arguments: args } })
      ),
    fc.constantFrom(
      finish("stop"),
      finish("length"),
      chunk({ usage: USAGE }),
      "{",
      "[]",
    ),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 12 }), (stream) => {
      const decoded = decode(stream);
      const { events } = decoded;
      if (events.length > 0) assertEquals(events[0]?.type, "created");
      const added = new Set<number>();
      const done = new Set<number>();
      for (const event of events) {
        if (!("outputIndex" in event)) continue;
        const { outputIndex, type } = event;
        if (type === "output_item.added") {
          assert(!added.has(outputIndex));
          added.add(outputIndex);
          continue;
        }
        assert(added.has(outputIndex), `${type} before it was added`);
        assert(!done.has(outputIndex), `${type} after it was done`);
        if (type === "output_item.done") done.add(outputIndex);
      }
      for (const event of events) {
        if (event.type !== "output_item.done") continue;
        const { item, outputIndex } = event;
        if (item.type === "message") {
          for (const part of item.content) {
            const [kind, text] = part.type === "refusal"
              ? ["refusal.delta", part.refusal] as const
              : ["output_text.delta", part.text] as const;
            assertEquals(textOf(decoded, kind, outputIndex), text);
          }
        } else if (item.type === "function_call") {
          JSON.parse(item.arguments);
          assertEquals(
            textOf(decoded, "tool_call.delta", outputIndex),
            item.arguments,
          );
        }
      }
      // Without deltas there are the same items, and the same end.
      const silent = decode(stream, false);
      const hasFailed = "error" in decoded.outcome;
      const items = itemsOf(silent).filter((item) =>
        !hasFailed || item.status !== "incomplete"
      );
      assertEquals<unknown>(items, itemsOf(decoded));
      if (!hasFailed) assertEquals(silent.outcome, decoded.outcome);
      assertEquals(silent.state, decoded.state);
    }),
    propertyParameters(1_000),
  );
});
