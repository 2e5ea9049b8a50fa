import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { ResponseFailedError } from "../../../../src/model/errors/response_failed_error.ts";
import { StreamError } from "../../../../src/model/errors/stream_error.ts";
import type {
  CustomToolCallItem,
  FunctionCallItem,
  MessageItem,
  OtherItem,
} from "../../../../src/model/item.ts";
import type { ResponseEvent } from "../../../../src/model/response_event.ts";
import { ResponsesDecoder } from "../../../../src/model/wires/responses/decoder.ts";

// Points 20 to 31 of the reference. Where we differ, the test says how.

type Fields = Record<string, unknown>;

/** Data to push: an object, text, or a name and either. */
type Input = Fields | string | [name: string, data: Fields | string];

function decode(inputs: readonly Input[], { deltas = true } = {}) {
  const decoder = new ResponsesDecoder({ deltas });
  const events: ResponseEvent[] = [];
  for (const input of inputs) {
    const [name, data] = Array.isArray(input) ? input : ["message", input];
    const text = typeof data === "string" ? data : JSON.stringify(data);
    decoder.push(name, text, events);
  }
  const { state } = decoder;
  const outcome = decoder.end(events);
  const last = "last" in outcome ? outcome.last : undefined;
  const error = "error" in outcome ? outcome.error : undefined;
  return { decoder, events, state, last, error };
}

function failure(inputs: readonly Input[]): ResponseFailedError {
  const { error, state } = decode(inputs);
  assertEquals(state, "ended");
  assertInstanceOf(error, ResponseFailedError);
  return error;
}

const created = {
  type: "response.created",
  sequence_number: 0,
  response: { id: "resp_1", model: "gpt-5", status: "in_progress", output: [] },
};

const completed = {
  type: "response.completed",
  sequence_number: 9,
  response: { id: "resp_1", status: "completed", output: [] },
};

const usage = {
  input_tokens: 10,
  input_tokens_details: { cached_tokens: 4 },
  output_tokens: 5,
  output_tokens_details: { reasoning_tokens: 3 },
  total_tokens: 15,
};

const ourUsage = {
  inputTokens: 10,
  cachedInputTokens: 4,
  outputTokens: 5,
  reasoningOutputTokens: 3,
  totalTokens: 15,
};

const message: MessageItem = {
  type: "message",
  id: "msg_1",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text: "Hi", annotations: [] }],
};

const call: FunctionCallItem = {
  type: "function_call",
  id: "fc_1",
  call_id: "call_1",
  name: "weather",
  arguments: "",
  status: "in_progress",
};

const of = { item_id: "item_1", output_index: 2 };

const MAPPED: [wire: Fields, event: Fields][] = [
  [{ type: "response.created", response: { id: "resp_1", model: "gpt-5" } }, {
    type: "created",
    responseId: "resp_1",
    model: "gpt-5",
  }],
  [{ type: "response.created", response: { id: 7, model: null } }, {
    type: "created",
    responseId: "",
  }],
  [{ type: "response.created" }, { type: "created", responseId: "" }],
  [
    {
      type: "response.output_item.added",
      output_index: 2,
      item: { ...message, content: [], status: "in_progress" },
    },
    {
      type: "output_item.added",
      item: { ...message, content: [], status: "in_progress" },
      outputIndex: 2,
    },
  ],
  [
    { type: "response.output_item.done", output_index: 2, item: message },
    { type: "output_item.done", item: message, outputIndex: 2 },
  ],
  [
    {
      type: "response.output_text.delta",
      ...of,
      content_index: 1,
      delta: "Hi",
      logprobs: [],
      obfuscation: "x",
    },
    {
      type: "output_text.delta",
      itemId: "item_1",
      outputIndex: 2,
      contentIndex: 1,
      delta: "Hi",
    },
  ],
  [
    {
      type: "response.output_text.delta",
      ...of,
      content_index: 1,
      delta: "Hi",
      logprobs: [{ token: "Hi", logprob: -0.5 }],
    },
    {
      type: "output_text.delta",
      itemId: "item_1",
      outputIndex: 2,
      contentIndex: 1,
      delta: "Hi",
      logprobs: [{ token: "Hi", logprob: -0.5 }],
    },
  ],
  [
    { type: "response.refusal.delta", ...of, content_index: 0, delta: "No" },
    {
      type: "refusal.delta",
      itemId: "item_1",
      outputIndex: 2,
      contentIndex: 0,
      delta: "No",
    },
  ],
  [
    {
      type: "response.reasoning_text.delta",
      ...of,
      content_index: 0,
      delta: "hm",
      logprobs: [{ token: "hm" }],
    },
    {
      type: "reasoning.delta",
      itemId: "item_1",
      outputIndex: 2,
      contentIndex: 0,
      delta: "hm",
    },
  ],
  [
    {
      type: "response.reasoning_summary_text.delta",
      ...of,
      summary_index: 3,
      delta: "**So**",
    },
    {
      type: "reasoning_summary.delta",
      itemId: "item_1",
      outputIndex: 2,
      summaryIndex: 3,
      delta: "**So**",
    },
  ],
  [
    { type: "response.function_call_arguments.delta", ...of, delta: '{"a' },
    {
      type: "tool_call.delta",
      itemId: "item_1",
      outputIndex: 2,
      delta: '{"a',
    },
  ],
  [
    { type: "response.custom_tool_call_input.delta", ...of, delta: "ls" },
    { type: "tool_call.delta", itemId: "item_1", outputIndex: 2, delta: "ls" },
  ],
  [
    { type: "response.mcp_call_arguments.delta", ...of, delta: "{}" },
    { type: "tool_call.delta", itemId: "item_1", outputIndex: 2, delta: "{}" },
  ],
  [
    {
      type: "codex.rate_limits",
      plan_type: "plus",
      rate_limits: { primary: { used_percent: 5 } },
    },
    {
      type: "rate_limits",
      rateLimits: {
        type: "codex.rate_limits",
        plan_type: "plus",
        rate_limits: { primary: { used_percent: 5 } },
      },
    },
  ],
];

for (const [index, [wire, event]] of MAPPED.entries()) {
  Deno.test(`ResponsesDecoder reads ${wire.type} (row ${index})`, () => {
    assertEquals(decode([wire]).events, [event as unknown as ResponseEvent]);
    // With a number, which comes through; rate limits keep the event as it is.
    const numbered = { ...wire, sequence_number: 7 };
    const { events, decoder } = decode([numbered]);
    assertEquals(decoder.sequenceNumber, 7);
    const expected: Fields = { ...event, sequenceNumber: 7 };
    if (event.type === "rate_limits") expected.rateLimits = numbered;
    assertEquals(events, [expected as unknown as ResponseEvent]);
  });

  Deno.test(`ResponsesDecoder reads ${wire.type} without deltas (row ${index})`, () => {
    const { events } = decode([wire], { deltas: false });
    assertEquals(
      events,
      event.type === "output_item.done"
        ? [event as unknown as ResponseEvent]
        : [],
    );
  });
}

/** All that openai 7.57.0 and the wire have beside those. */
const OTHERS = [
  "response.queued",
  "response.in_progress",
  "response.content_part.added",
  "response.content_part.done",
  "response.output_text.done",
  "response.output_text.annotation.added",
  "response.refusal.done",
  "response.reasoning_summary_part.added",
  "response.reasoning_summary_part.done",
  "response.reasoning_summary_text.done",
  "response.reasoning_text.done",
  "response.function_call_arguments.done",
  "response.custom_tool_call_input.done",
  "response.mcp_call_arguments.done",
  "response.mcp_call.in_progress",
  "response.mcp_call.completed",
  "response.mcp_call.failed",
  "response.mcp_list_tools.in_progress",
  "response.mcp_list_tools.completed",
  "response.mcp_list_tools.failed",
  "response.web_search_call.in_progress",
  "response.web_search_call.searching",
  "response.web_search_call.completed",
  "response.file_search_call.in_progress",
  "response.file_search_call.searching",
  "response.file_search_call.completed",
  "response.code_interpreter_call.in_progress",
  "response.code_interpreter_call.interpreting",
  "response.code_interpreter_call.completed",
  "response.code_interpreter_call_code.delta",
  "response.code_interpreter_call_code.done",
  "response.image_generation_call.in_progress",
  "response.image_generation_call.generating",
  "response.image_generation_call.completed",
  "response.image_generation_call.partial_image",
  "response.shell_call_command.added",
  "response.shell_call_command.delta",
  "response.shell_call_command.done",
  "response.shell_call_output_content.delta",
  "response.shell_call_output_content.done",
  "response.compaction.compacting",
  "response.audio.delta",
  "response.audio.done",
  "response.audio.transcript.delta",
  "response.audio.transcript.done",
  "response.apply_patch_call_operation_diff.delta",
  "response.apply_patch_call_operation_diff.done",
  "response.metadata",
  "keepalive",
  "something.new",
];

Deno.test("ResponsesDecoder passes on what it has no event for", () => {
  for (const type of OTHERS) {
    const event = { type, sequence_number: 3, delta: "x", more: [1, { a: 2 }] };
    const { events, state } = decode([event]);
    assertEquals(state, "open", type);
    assertEquals(events, [{ type: "other", event, sequenceNumber: 3 }], type);
    assertEquals(decode([event], { deltas: false }).events, [], type);
  }
});

/** Events of a known type without a readable content. */
const MISSHAPEN: Fields[] = [
  { type: "response.output_text.delta", ...of, content_index: 0 },
  { type: "response.output_text.delta", ...of, content_index: 0, delta: {} },
  { type: "response.refusal.delta", ...of, delta: null },
  { type: "response.reasoning_text.delta", ...of, delta: 1 },
  { type: "response.reasoning_summary_text.delta", ...of, delta: [] },
  { type: "response.custom_tool_call_input.delta", output_index: true },
  { type: "response.output_item.added", output_index: 0 },
  { type: "response.output_item.added", output_index: 0, item: "message" },
  { type: "response.output_item.done" },
  { type: "response.output_item.done", output_index: 0, item: null },
  { type: "response.output_item.done", output_index: 0, item: {} },
  ...[
    { type: "function_call", call_id: "c", arguments: "{}" },
    { type: "custom_tool_call", call_id: "c", input: "x" },
    { type: "local_shell_call", status: "completed", action: "ls" },
    { type: "function_call_output", call_id: "c" },
  ].map((item) => ({ type: "response.output_item.done", item })),
];

/** Odd deltas that can be read all the same. */
const ODD_DELTAS: [wire: Fields, event: Fields][] = [
  [
    { type: "response.output_text.delta", output_index: "2", delta: "x" },
    { type: "output_text.delta", outputIndex: 2, contentIndex: 0, delta: "x" },
  ],
  [
    { type: "response.output_text.delta", output_index: -1, delta: "x" },
    { type: "output_text.delta", outputIndex: 0, contentIndex: 0, delta: "x" },
  ],
  [
    {
      type: "response.output_text.delta",
      output_index: 2,
      content_index: "1",
      delta: "x",
    },
    { type: "output_text.delta", outputIndex: 2, contentIndex: 1, delta: "x" },
  ],
  [
    { type: "response.text.delta", output_index: 0, text: "x" },
    { type: "output_text.delta", outputIndex: 0, contentIndex: 0, delta: "x" },
  ],
  [
    { type: "response.output_text.delta", delta: { text: "x" } },
    { type: "output_text.delta", outputIndex: 0, contentIndex: 0, delta: "x" },
  ],
  [
    {
      type: "response.reasoning_summary_text.delta",
      output_index: 0,
      summary_index: {},
      delta: "x",
    },
    {
      type: "reasoning_summary.delta",
      outputIndex: 0,
      summaryIndex: 0,
      delta: "x",
    },
  ],
  [
    {
      type: "response.function_call_arguments.delta",
      output_index: 0,
      delta: { a: 1 },
    },
    { type: "tool_call.delta", outputIndex: 0, delta: '{"a":1}' },
  ],
];

Deno.test("ResponsesDecoder reads deltas that are odd (G2)", () => {
  for (const [wire, event] of ODD_DELTAS) {
    assertEquals<unknown>(decode([wire]).events, [event], JSON.stringify(wire));
    assertEquals(decode([wire], { deltas: false }).events, []);
  }
});

const part = { type: "output_text", text: "Hi", annotations: [] };

/** Odd items that can be read all the same, and what is read. */
const ODD_ITEMS: [item: Fields, read: Fields][] = [
  [{ type: "message", role: "assistant" }, { content: [] }],
  [{ type: "message", role: "assistant", content: "Hi" }, { content: [part] }],
  [{ type: "message", content: ["Hi"] }, {
    role: "assistant",
    content: [part],
  }],
  [{ role: "assistant", content: { text: "Hi" } }, {
    type: "message",
    content: [part],
  }],
  [{ type: "message", role: "assistant", content: [{ text: "Hi" }] }, {
    content: [part],
  }],
  [{ type: "message", content: [{ refusal: "No" }] }, {
    role: "assistant",
    content: [{ type: "refusal", refusal: "No" }],
  }],
  [{ type: "message", content: [] }, { role: "assistant" }],
  [{ type: "reasoning", summary: null, encrypted_content: "e" }, {
    summary: [],
  }],
  [{ type: "reasoning", summary: "so" }, {
    summary: [{ type: "summary_text", text: "so" }],
  }],
  [{ type: "reasoning", summary: [{ text: "so" }], content: "hm" }, {
    summary: [{ type: "summary_text", text: "so" }],
    content: [{ type: "reasoning_text", text: "hm" }],
  }],
  [{ type: "function_call", call_id: "c", name: "f" }, { arguments: "{}" }],
  [{ type: "function_call", call_id: "c", name: "f", arguments: { a: 1 } }, {
    arguments: '{"a":1}',
  }],
  [{ type: "function_call", id: "fc", name: "f", arguments: "{}" }, {
    call_id: "fc",
  }],
  [{ type: "function_call", name: "f", arguments: "{}" }, {
    call_id: "call_resp_1_0",
  }],
  [{ type: "function_call", call_id: "", name: "f", arguments: "{}" }, {
    call_id: "call_resp_1_0",
  }],
  [{ type: "function", id: "c", function: { name: "f", arguments: "{}" } }, {
    type: "function_call",
    call_id: "c",
    name: "f",
    arguments: "{}",
  }],
  [{ type: "custom_tool_call", call_id: "c", name: "f" }, { input: "" }],
];

Deno.test("ResponsesDecoder reads items that are odd, wherever they come (G2)", () => {
  for (const [item, read] of ODD_ITEMS) {
    const name = JSON.stringify(item);
    const expected = { ...item, ...read };
    const ends: Input[][] = [
      [{ type: "response.output_item.done", item }, completed],
      [{ ...completed, response: { ...completed.response, output: [item] } }],
    ];
    for (const deltas of [true, false]) {
      for (const end of ends) {
        const { events, last } = decode([created, ...end], { deltas });
        const items = events.flatMap((event) =>
          event.type === "output_item.done" ? [event.item] : []
        );
        assertEquals<unknown>(items, [expected], name);
        assertEquals(last?.type, "completed", name);
      }
    }
  }
});

Deno.test("ResponsesDecoder does not complete without an item that it cannot read (G2)", () => {
  const item = { type: "function_call", call_id: "c", arguments: "{}" };
  const done = { type: "response.output_item.done", output_index: 0, item };
  assertEquals(decode([created, done, completed]).last, {
    type: "incomplete",
    reason: "unreadable_item",
    responseId: "resp_1",
    sequenceNumber: 9,
  });
  // Unless it comes once more, and can be read then.
  const output = [{ ...item, name: "f" }];
  const { last, events } = decode([created, done, {
    ...completed,
    response: { ...completed.response, output },
  }]);
  assertEquals(last?.type, "completed");
  assertEquals<unknown>(events.at(-1), {
    type: "output_item.done",
    item: output[0],
    outputIndex: 0,
    sequenceNumber: 9,
  });
});

// The reference drops these (24, 40).
Deno.test("ResponsesDecoder passes on what is not in its shape as it came", () => {
  for (const event of MISSHAPEN) {
    const { events, state } = decode([event]);
    assertEquals(events, [{ type: "other", event }], JSON.stringify(event));
    assertEquals(state, "open");
    assertEquals(decode([event], { deltas: false }).events, []);
  }
});

Deno.test("ResponsesDecoder passes on data that is no object", () => {
  const { events } = decode(["not-json", "[1]", "null", "12", '"x"', '{"a":']);
  assertEquals(
    events,
    ["not-json", [1], null, 12, "x", '{"a":'].map((event) => ({
      type: "other",
      event,
    })),
  );
});

Deno.test("ResponsesDecoder passes over pings and [DONE]", () => {
  const inputs: Input[] = ["", " ", ["ping", ""], "\n", "[DONE]", " [DONE] "];
  for (const deltas of [true, false]) {
    const { events, state, decoder } = decode(inputs, { deltas });
    assertEquals(events, []);
    assertEquals(state, "open");
    assertEquals(decoder.sequenceNumber, undefined);
  }
});

// The reference (21) ignores names; here one stands in for a type that is missing.
Deno.test("ResponsesDecoder goes by the type in the data, and by the name only without one", () => {
  const delta = { ...of, content_index: 0, delta: "x" };
  const made = {
    type: "output_text.delta" as const,
    itemId: "item_1",
    outputIndex: 2,
    contentIndex: 0,
    delta: "x",
  };
  const { events } = decode([
    ["error", { type: "response.output_text.delta", ...delta }],
    ["response.output_text.delta", delta],
    ["message", { ...delta }],
  ]);
  assertEquals(events, [made, made, { type: "other", event: delta }]);
});

Deno.test("ResponsesDecoder knows each end also by its name only", () => {
  const response = { id: "resp_1" };
  assertEquals(
    decode([["response.completed", { response }]]).last?.type,
    "completed",
  );
  assertEquals(
    decode([["response.incomplete", { response }]]).last?.type,
    "incomplete",
  );
  assertEquals(
    failure([["response.failed", { response }]]).responseId,
    "resp_1",
  );
});

Deno.test("ResponsesDecoder keeps unknown fields, parts and items in their order", () => {
  const items = [
    '{"zeta":1,"type":"message","status":"completed","role":"assistant","phase":"final","content":[{"type":"hologram","depth":3},{"new":null,"text":"Hi","type":"output_text"}],"id":"m"}',
    '{"type":"tool_search_call","execution":"client","arguments":{"query":"x"},"call_id":null}',
    '{"id":"rs_1","type":"reasoning","encrypted_content":"gAAAA","summary":[],"content":null}',
  ];
  for (const deltas of [true, false]) {
    const { events } = decode(
      items.map((item, index) =>
        `{"type":"response.output_item.done","output_index":${index},"item":${item}}`
      ),
      { deltas },
    );
    assertEquals(
      events.map((event) =>
        event.type === "output_item.done" ? JSON.stringify(event.item) : ""
      ),
      items,
    );
  }
});

// The reference (25, 26) tells it only when the body ends.
Deno.test("ResponsesDecoder ends at once with response.completed", () => {
  const { events, state, last, decoder } = decode([created, {
    ...completed,
    response: { ...completed.response, usage, end_turn: true },
  }]);
  assertEquals(state, "ended");
  assertEquals(events.slice(1), [
    { type: "usage", usage: ourUsage, sequenceNumber: 9 },
  ]);
  assertEquals(last, {
    type: "completed",
    responseId: "resp_1",
    usage: ourUsage,
    endTurn: true,
    sequenceNumber: 9,
  });
  assertEquals(decoder.usage, ourUsage);
  assertEquals(decoder.responseId, "resp_1");
  assertEquals(decoder.sequenceNumber, 9);
});

Deno.test("ResponsesDecoder takes nothing in after the end", () => {
  const later: Input[] = [
    { type: "response.output_item.done", output_index: 0, item: message },
    { type: "response.failed", sequence_number: 10, response: { id: "other" } },
    { type: "error", message: "late" },
    "[DONE]",
    "not-json",
  ];
  for (const deltas of [true, false]) {
    const { events, last, decoder } = decode([completed, ...later], { deltas });
    assertEquals(events, []);
    assertEquals(last?.type, "completed");
    assertEquals(decoder.sequenceNumber, 9);
    assertEquals(decoder.responseId, "resp_1");
  }
});

Deno.test("ResponsesDecoder completes without a response or with an odd one", () => {
  for (
    const response of [undefined, null, "x", [], {}, { id: "" }, { id: 1 }]
  ) {
    const { last } = decode([created, {
      type: "response.completed",
      response,
    }]);
    assertEquals(last, {
      type: "completed",
      responseId: "resp_1",
      usage: undefined,
    });
  }
  assertEquals(decode([{ type: "response.completed" }]).last, {
    type: "completed",
    responseId: "",
    usage: undefined,
  });
});

Deno.test("ResponsesDecoder takes the id from whatever event of a response has it", () => {
  for (const type of ["response.queued", "response.in_progress"]) {
    const { decoder } = decode([{ type, response: { id: "resp_2" } }]);
    assertEquals(decoder.responseId, "resp_2");
  }
  // A stream that goes on from a later event has no response.created.
  assertEquals(decode([completed]).last?.responseId, "resp_1");
});

// The reference (28) fails with all of response.completed.
Deno.test("ResponsesDecoder completes with odd usage", () => {
  const odd = [null, 0, "10", [], {}, { input_tokens: "10" }, {
    input_tokens: -1,
    output_tokens: 2,
  }];
  for (const usage of odd) {
    const { last, events } = decode([{
      type: "response.completed",
      response: { id: "resp_1", usage },
    }]);
    assertEquals(events, [], JSON.stringify(usage));
    assertEquals(last, {
      type: "completed",
      responseId: "resp_1",
      usage: undefined,
    });
  }
});

Deno.test("ResponsesDecoder tells usage only with the last event when there are no deltas", () => {
  const { events, last } = decode([{
    type: "response.completed",
    response: { id: "resp_1", usage },
  }], { deltas: false });
  assertEquals(events, []);
  assertEquals(last, {
    type: "completed",
    responseId: "resp_1",
    usage: ourUsage,
  });
});

// The reference (29) ignores response.incomplete.
const REASONS: [details: unknown, reason: string][] = [
  [{ reason: "max_output_tokens" }, "max_output_tokens"],
  [{ reason: "content_filter" }, "content_filter"],
  [{ reason: "something new" }, "something new"],
  [{ reason: "" }, "unknown"],
  [{ reason: 3 }, "unknown"],
  [{}, "unknown"],
  [null, "unknown"],
  ["x", "unknown"],
  [undefined, "unknown"],
];

Deno.test("ResponsesDecoder says why a response is incomplete", () => {
  for (const [incomplete_details, reason] of REASONS) {
    const { last, state, events } = decode([created, {
      type: "response.incomplete",
      sequence_number: 5,
      response: { id: "resp_1", incomplete_details, usage },
    }]);
    assertEquals(state, "ended");
    assertEquals(last, {
      type: "incomplete",
      reason,
      responseId: "resp_1",
      usage: ourUsage,
      sequenceNumber: 5,
    });
    assertEquals(events.at(-1)?.type, "usage");
  }
  assertEquals(decode([created, { type: "response.incomplete" }]).last, {
    type: "incomplete",
    reason: "unknown",
    responseId: "resp_1",
  });
});

Deno.test("ResponsesDecoder believes the response's status more than the event's name", () => {
  const { last } = decode([{
    type: "response.completed",
    response: {
      id: "resp_1",
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
    },
  }]);
  assertEquals(last, {
    type: "incomplete",
    reason: "max_output_tokens",
    responseId: "resp_1",
  });
  const error = failure([{
    type: "response.completed",
    response: {
      id: "resp_1",
      status: "failed",
      error: { code: "server_error", message: "Sorry" },
    },
  }]);
  assertEquals(error.providerCode, "server_error");
});

Deno.test("ResponsesDecoder holds back a call that was cut off", () => {
  const partial = { ...call, arguments: '{"ci', status: "incomplete" };
  const custom: CustomToolCallItem = {
    type: "custom_tool_call",
    call_id: "call_2",
    name: "sh",
    input: "ls -",
    status: "incomplete",
  };
  for (const deltas of [true, false]) {
    const { events, last } = decode([
      { type: "response.output_item.done", output_index: 1, item: custom },
      { type: "response.output_item.done", output_index: 0, item: partial },
      {
        type: "response.incomplete",
        response: { incomplete_details: { reason: "max_output_tokens" } },
      },
    ], { deltas });
    assertEquals(events, []);
    assertEquals(last, {
      type: "incomplete",
      reason: "max_output_tokens",
      responseId: "",
      unfinished: [partial, custom],
    });
  }
  // A message that was cut off is a message none the less.
  const cut = { ...message, status: "incomplete" };
  assertEquals(
    decode([{ type: "response.output_item.done", item: cut }]).events,
    [{ type: "output_item.done", item: cut, outputIndex: 0 }],
  );
});

Deno.test("ResponsesDecoder puts calls that were never done together from their deltas", () => {
  const begun = { ...call, extra: 1 };
  const custom: CustomToolCallItem = {
    type: "custom_tool_call",
    call_id: "call_2",
    name: "sh",
    input: "",
  };
  const third = { ...call, id: "fc_3", call_id: "call_3" };
  const done = { ...call, id: "fc_4", arguments: "{}", status: "completed" };
  const inputs: Input[] = [
    { type: "response.output_item.added", output_index: 4, item: done },
    { type: "response.output_item.done", output_index: 4, item: done },
    { type: "response.output_item.added", output_index: 1, item: custom },
    { type: "response.output_item.added", output_index: 0, item: begun },
    { type: "response.output_item.added", output_index: 2, item: third },
    {
      type: "response.function_call_arguments.delta",
      item_id: "another",
      output_index: 0,
      delta: '{"ci',
    },
    {
      type: "response.custom_tool_call_input.delta",
      output_index: 1,
      delta: "ls",
    },
    {
      type: "response.function_call_arguments.delta",
      item_id: "fc_1",
      output_index: 0,
      delta: 'ty":',
    },
    {
      type: "response.custom_tool_call_input.done",
      output_index: 1,
      input: "ls -l",
    },
    {
      type: "response.function_call_arguments.done",
      output_index: 2,
      arguments: '{"a":1}',
    },
    { type: "response.incomplete" },
  ];
  for (const deltas of [true, false]) {
    const { last } = decode(inputs, { deltas });
    assert(last?.type === "incomplete");
    assertEquals(last.unfinished as unknown[], [
      { ...begun, arguments: '{"city":', status: "incomplete" },
      { ...custom, input: "ls -l", status: "incomplete" },
      { ...third, arguments: '{"a":1}', status: "incomplete" },
    ]);
  }
  assertEquals(call.arguments, "");
});

Deno.test("ResponsesDecoder never completes with a call that was cut off", () => {
  const partial = { ...call, arguments: '{"ci', status: "incomplete" };
  const { last } = decode([
    { type: "response.output_item.done", output_index: 0, item: partial },
    completed,
  ]);
  assertEquals(last, {
    type: "incomplete",
    reason: "tool_call_arguments",
    responseId: "resp_1",
    unfinished: [partial],
    sequenceNumber: 9,
  });
});

// Keyed by output_index, as GitHub Copilot changes ids on the way.
Deno.test("ResponsesDecoder does not mind ids that change", () => {
  const inputs: Input[] = [
    {
      type: "response.output_item.added",
      output_index: 0,
      item: { ...call, id: "a" },
    },
    {
      type: "response.function_call_arguments.delta",
      output_index: 0,
      item_id: "b",
      delta: "{}",
    },
    {
      type: "response.output_item.done",
      output_index: 0,
      item: { ...call, id: "c", arguments: "{}", status: "completed" },
    },
    { type: "response.incomplete", response: { id: "d" } },
  ];
  const { events, last } = decode([created, ...inputs]);
  assertEquals(
    events.slice(1).map((event) =>
      "outputIndex" in event ? event.outputIndex : event.type
    ),
    [0, 0, 0],
  );
  assertEquals(last, {
    type: "incomplete",
    reason: "unknown",
    responseId: "d",
  });
});

Deno.test("ResponsesDecoder does without numbers, and with odd ones", () => {
  const { events, decoder, last } = decode([
    { type: "response.created", response: { id: "resp_1" } },
    { type: "response.output_text.delta", ...of, content_index: 0, delta: "a" },
    {
      type: "response.output_text.delta",
      ...of,
      content_index: 0,
      delta: "b",
      sequence_number: "4",
    },
    { type: "response.completed", response: { id: "resp_1" } },
  ]);
  assertEquals(decoder.sequenceNumber, undefined);
  assert([...events, last].every((event) => !("sequenceNumber" in event!)));
  const gap = decode([created, { ...completed, sequence_number: 40 }]);
  assertEquals(gap.decoder.sequenceNumber, 40);
});

// As in fixtures that were written by hand: the reference asks for no more.
Deno.test("ResponsesDecoder does without indexes", () => {
  const { events } = decode([
    { type: "response.output_item.added", item: { ...message, content: [] } },
    { type: "response.output_text.delta", delta: "Hi", content_index: null },
    { type: "response.output_item.done", item: message },
    { type: "response.reasoning_summary_text.delta", delta: "so" },
    { type: "response.output_item.done", item: { type: "reasoning" } },
    // Two at once are told apart by their ids.
    { type: "response.output_item.added", item: call },
    { type: "response.output_item.added", item: { ...call, id: "fc_2" } },
    {
      type: "response.function_call_arguments.delta",
      item_id: "fc_1",
      delta: "{}",
    },
    { type: "response.function_call_arguments.delta", delta: "{}" },
    { type: "response.output_item.done", item: call },
    { type: "response.output_item.done", item: { ...call, id: "fc_9" } },
    { type: "response.output_item.added", output_index: 7, item: call },
    { type: "response.output_item.done", output_index: 7, item: call },
    { type: "response.output_item.done", item: message },
  ]);
  assertEquals(
    events.map((event) => "outputIndex" in event ? event.outputIndex : -1),
    [0, 0, 0, 1, 1, 2, 3, 2, 3, 2, 3, 7, 7, 8],
  );
  assertEquals(events[1], {
    type: "output_text.delta",
    outputIndex: 0,
    contentIndex: 0,
    delta: "Hi",
  });
  assertEquals(events[3], {
    type: "reasoning_summary.delta",
    outputIndex: 1,
    summaryIndex: 0,
    delta: "so",
  });
});

Deno.test("ResponsesDecoder goes on after the last index, where one is missing", () => {
  const { events } = decode([
    { type: "response.output_item.added", output_index: 5, item: call },
    { type: "response.output_item.added", output_index: 0, item: call },
    { type: "response.output_item.done", output_index: 0, item: call },
    { type: "response.output_item.done", output_index: 5, item: call },
    { type: "response.output_item.done", output_index: 1, item: message },
    { type: "response.output_item.added", item: message },
  ]);
  assertEquals(
    events.map((event) => "outputIndex" in event ? event.outputIndex : -1),
    [5, 0, 0, 5, 1, 6],
  );
  const second = decode([
    { type: "response.output_item.added", output_index: 5, item: call },
    { type: "response.output_item.added", output_index: 0, item: message },
    { type: "response.output_item.done", output_index: 0, item: message },
    { type: "response.output_item.done", item: { type: "new" } },
  ]);
  assertEquals(second.events.at(-1), {
    type: "output_item.done",
    // The type cannot be said, see OtherType.
    item: { type: "new" } as unknown as OtherItem,
    outputIndex: 6,
  });
});

Deno.test("ResponsesDecoder keeps what a call began with that was never done", () => {
  const { last } = decode([
    {
      type: "response.output_item.added",
      output_index: 0,
      item: { ...call, arguments: '{"a":' },
    },
    { type: "response.incomplete" },
  ]);
  assertEquals(last, {
    type: "incomplete",
    reason: "unknown",
    responseId: "",
    unfinished: [{ ...call, arguments: '{"a":', status: "incomplete" }],
  });
});

Deno.test("ResponsesDecoder keeps an item id also without a number", () => {
  const { events } = decode([
    { type: "response.output_text.delta", ...of, delta: "x" },
    { type: "response.reasoning_summary_text.delta", ...of, delta: "x" },
    { type: "response.function_call_arguments.delta", ...of, delta: "x" },
  ]);
  assertEquals(
    events.map((event) => "itemId" in event ? event.itemId : undefined),
    ["item_1", "item_1", "item_1"],
  );
});

const CODES: [wire: string, code: string, retryable: boolean][] = [
  ["context_length_exceeded", "context_length_exceeded", false],
  ["insufficient_quota", "insufficient_quota", false],
  ["usage_not_included", "usage_not_included", false],
  ["cyber_policy", "cyber_policy", false],
  ["invalid_prompt", "invalid_prompt", false],
  ["rate_limit_exceeded", "rate_limit_exceeded", true],
  ["server_is_overloaded", "server_is_overloaded", true],
  ["slow_down", "server_is_overloaded", true],
  ["server_error", "response_failed", true],
  ["vector_store_timeout", "response_failed", true],
];

for (const [wire, code, retryable] of CODES) {
  const error = { code: wire, message: "Sorry" };
  const ways: [way: string, event: Fields][] = [
    ["response.failed", {
      type: "response.failed",
      response: { id: "resp_1", status: "failed", error },
    }],
    ["a nested error", { type: "error", error }],
    ["a flat error", { type: "error", ...error, param: null }],
    ["an error without a type", { error }],
  ];
  for (const [way, event] of ways) {
    // The reference (29) ignores all of these.
    Deno.test(`ResponsesDecoder fails with ${wire} of ${way}`, () => {
      const failed = failure([created, event]);
      assertEquals(failed.code, code);
      assertEquals(failed.retryable, retryable);
      assertEquals(failed.providerCode, wire);
      assertEquals(failed.providerMessage, "Sorry");
      assertEquals(failed.responseId, "resp_1");
      assertEquals(failed.message, `the response has failed (${wire}): Sorry`);
    });
  }
}

Deno.test("ResponsesDecoder reads how long to wait from the words of a rate limit", () => {
  const waits: [words: string, wait: number | undefined][] = [
    ["Please try again in 1.5s.", 1_500],
    ["please Try Again in 20ms.", 20],
    ["Try again in 3 seconds.", 3_000],
    ["Try again in 1 second", 1_000],
    ["Try again later.", undefined],
  ];
  for (const [message, wait] of waits) {
    const error = { code: "rate_limit_exceeded", message };
    const { retryAfter } = failure([
      { type: "response.failed", response: { error } },
    ]);
    assertEquals(retryAfter, wait, message);
  }
});

Deno.test("ResponsesDecoder keeps what a failed response has cost", () => {
  const { error, events } = decode([created, {
    type: "response.failed",
    response: { error: { code: "server_error", message: "x" }, usage },
  }]);
  assertEquals(error?.usage, ourUsage);
  assertEquals(error?.responseId, "resp_1");
  assertEquals(events.slice(1), [{ type: "usage", usage: ourUsage }]);
});

Deno.test("ResponsesDecoder fails also without a reason", () => {
  const inputs: Input[] = [
    { type: "response.failed", response: { id: "resp_1", error: null } },
    { type: "response.failed", response: {} },
    { type: "response.failed" },
    { type: "error" },
    { type: "error", error: null, sequence_number: 3 },
  ];
  for (const input of inputs) {
    const { code, retryable, message } = failure([input]);
    assertEquals(code, "response_failed");
    assertEquals(retryable, true);
    assertEquals(
      message,
      "the response has failed (response_failed): the provider gives no reason",
    );
  }
});

Deno.test("ResponsesDecoder fails with an error that is only text", () => {
  const inputs: Input[] = [
    { type: "error", error: "overloaded" },
    { error: "overloaded" },
    ["error", "overloaded"],
    ["error", '"overloaded"'],
    ["error", { message: "overloaded" }],
    ["error", { error: { message: "overloaded" } }],
  ];
  for (const input of inputs) {
    assertEquals(failure([input]).providerMessage, "overloaded");
  }
});

Deno.test("ResponsesDecoder keeps to the first of error and response.failed", () => {
  const error = failure([
    {
      type: "error",
      sequence_number: 2,
      error: {
        type: "invalid_request_error",
        code: "context_length_exceeded",
        message: "Too long",
        param: "input",
      },
    },
    {
      type: "response.failed",
      response: { error: { code: "server_error", message: "?" } },
    },
  ]);
  assertEquals(error.code, "context_length_exceeded");
  assertEquals(error.param, "input");
  assertEquals(error.providerType, "invalid_request_error");
});

// Point 27, and its text of point 42.
Deno.test("ResponsesDecoder says that a stream was cut off", () => {
  for (const inputs of [[], [created], [created, "[DONE]"]]) {
    const { state, error, events, decoder } = decode(inputs);
    assertEquals(state, "open");
    assertInstanceOf(error, StreamError);
    assertEquals(error.code, "truncated");
    assertEquals(
      error.message,
      "stream disconnected before completion: stream closed before response.completed",
    );
    assertEquals(error.responseId, inputs.length ? "resp_1" : undefined);
    assertEquals(events.length, inputs.length ? 1 : 0);
    assertEquals(decoder.state, "ended");
  }
});
