import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  isSameItem,
  mergeDeltas,
  readDelta,
} from "../../../src/model/wires/merge.ts";
import type { WireDelta } from "../../../src/model/wires/wire_delta.ts";
import { foldWire, type Wire } from "../../support/model/fold_wire.ts";
import { propertyParameters } from "../../support/property.ts";
import { readRecordedEvents } from "../../support/recordings/recorded_events.ts";
import { recordingsMissing } from "../../support/recordings/recordings.ts";
import { calls, choice, chunk } from "./chat/decode.ts";

/** Merges what is adjacent. */
function mergeAll(events: readonly Wire[]): Wire[] {
  const merged: Wire[] = [];
  let run: WireDelta[] = [];
  const flush = (): void => {
    if (run.length > 0) merged.push([run[0]!.name, mergeDeltas(run)]);
    run = [];
  };
  for (const [name, data] of events) {
    const delta = readDelta(name, data);
    if (!delta || !run[0] || !isSameItem(run[0], delta)) flush();
    if (delta) run.push(delta);
    else merged.push([name, data]);
  }
  flush();
  return merged;
}

function responses(type: string, fields: Record<string, unknown> = {}): Wire {
  const data = {
    type: `response.${type}`,
    item_id: "i",
    output_index: 0,
    delta: "a",
    ...fields,
  };
  return [`response.${type}`, JSON.stringify(data)];
}

const block = (delta: unknown, index = 0): Wire => [
  "content_block_delta",
  JSON.stringify({ type: "content_block_delta", index, delta }),
];
const plain = (data: string): Wire => ["message", data];
const ui = (chunk: unknown): Wire => plain(JSON.stringify(chunk));
const fragment = (fields: Record<string, unknown>): Wire =>
  plain(calls({ index: 0, function: { arguments: "a" }, ...fields }));
const withText = (text: string): Record<string, unknown> => ({
  function: { arguments: text },
});

/** The deltas of the Messages API, and the field that has their text. */
const BLOCK_DELTAS = [
  ["text_delta", "text"],
  ["thinking_delta", "thinking"],
  ["input_json_delta", "partial_json"],
] as const;

/** A pair that merges, and what it becomes. */
const MERGED: [name: string, a: Wire, b: Wire, expected: unknown][] = [
  ...([
    "output_text.delta",
    "refusal.delta",
    "reasoning_text.delta",
    "reasoning_summary_text.delta",
    "function_call_arguments.delta",
    "custom_tool_call_input.delta",
    "mcp_call_arguments.delta",
  ].map((type): typeof MERGED[number] => [
    type,
    responses(type, { sequence_number: 4, obfuscation: "xyz" }),
    responses(type, { sequence_number: 5, delta: "b", obfuscation: "u" }),
    {
      type: `response.${type}`,
      item_id: "i",
      output_index: 0,
      delta: "ab",
      sequence_number: 5,
    },
  ])),
  ...BLOCK_DELTAS.map(([type, field]): typeof MERGED[number] => [
    `Messages ${type}`,
    block({ type, [field]: "a" }, 2),
    block({ type, [field]: "b" }, 2).map((data) =>
      data.replace(/}$/, "   }")
    ) as [string, string], // of two, as before
    JSON.parse(block({ type, [field]: "ab" }, 2)[1]),
  ]),
  ...["text-delta", "reasoning-delta"].map((type): typeof MERGED[number] => [
    `UI messages ${type}`,
    ui({ type, id: "1", delta: "a", providerMetadata: {} }),
    ui({ type, id: "1", delta: "b", providerMetadata: {} }),
    { type, id: "1", delta: "ab", providerMetadata: {} },
  ]),
  [
    "logprobs",
    responses("output_text.delta", { logprobs: [{ token: "a" }] }),
    responses("output_text.delta", { logprobs: [{ token: "b" }] }),
    {
      ...JSON.parse(responses("output_text.delta")[1]),
      delta: "aa",
      logprobs: [{ token: "a" }, { token: "b" }],
    },
  ],
  [
    "no logprobs, and then some",
    responses("output_text.delta", { logprobs: [] }),
    responses("output_text.delta", { logprobs: [{ token: "b" }] }),
    {
      ...JSON.parse(responses("output_text.delta")[1]),
      delta: "aa",
      logprobs: [{ token: "b" }],
    },
  ],
  [
    "a type that only the event's name says",
    ["response.output_text.delta", '{"delta":"a"}'],
    ["response.output_text.delta", '{"delta":"b"}'],
    { delta: "ab" },
  ],
  [
    "an empty delta",
    responses("output_text.delta", { delta: "" }),
    responses("output_text.delta"),
    JSON.parse(responses("output_text.delta")[1]),
  ],
  [
    "halves of a character",
    responses("output_text.delta", { delta: "\ud83d" }),
    responses("output_text.delta", { delta: "\ude00" }),
    { ...JSON.parse(responses("output_text.delta")[1]), delta: "\u{1f600}" },
  ],
  ...(["content", "reasoning", "reasoning_content", "refusal"].map(
    (field): typeof MERGED[number] => [
      `Chat ${field}`,
      plain(choice({ [field]: "a" })),
      plain(choice({ [field]: "b" })),
      JSON.parse(choice({ [field]: "ab" })),
    ],
  )),
  [
    "Chat content among what is empty",
    plain(choice({ content: "a", refusal: "", tool_calls: null, role: "r" })),
    plain(choice({ content: "b", refusal: "", tool_calls: null, role: "r" })),
    JSON.parse(
      choice({ content: "ab", refusal: "", tool_calls: null, role: "r" }),
    ),
  ],
  [
    "Chat reasoning beside no content",
    plain(choice({ content: null, reasoning_content: "a" })),
    plain(choice({ content: null, reasoning_content: "b" })),
    JSON.parse(choice({ content: null, reasoning_content: "ab" })),
  ],
  [
    "Chat made at different times, and padded",
    plain(chunk({
      choices: [{ index: 0, delta: { content: "a" } }],
      created: 7,
      obfuscation: "x",
      p: "abc",
    })),
    plain(chunk({
      choices: [{ index: 0, delta: { content: "b" } }],
      created: 8,
      obfuscation: "yz",
      p: "a",
    })),
    JSON.parse(chunk({
      choices: [{ index: 0, delta: { content: "ab" } }],
      created: 7,
    })),
  ],
  [
    "Chat logprobs",
    plain(choice({ content: "a" }, null, {
      logprobs: { content: [1], refusal: null },
    })),
    plain(choice({ content: "b" }, null, {
      logprobs: { content: [2], refusal: null },
    })),
    JSON.parse(choice({ content: "ab" }, null, {
      logprobs: { content: [1, 2], refusal: null },
    })),
  ],
  [
    "Chat without logprobs",
    plain(choice({ content: "a" }, null, { logprobs: null })),
    plain(choice({ content: "b" }, null, { logprobs: null })),
    JSON.parse(choice({ content: "ab" }, null, { logprobs: null })),
  ],
  [
    "Chat arguments",
    fragment({}),
    fragment(withText("b")),
    JSON.parse(fragment(withText("ab"))[1]),
  ],
  [
    "Chat arguments with an empty id and no name",
    fragment({ id: "", function: { name: null, arguments: "a" } }),
    fragment({ id: "", function: { name: null, arguments: "b" } }),
    JSON.parse(
      fragment({ id: "", function: { name: null, arguments: "ab" } })[1],
    ),
  ],
  [
    "Chat arguments beside empty content",
    plain(choice({ content: "", tool_calls: [withText("a")] })),
    plain(choice({ content: "", tool_calls: [withText("b")] })),
    JSON.parse(choice({ content: "", tool_calls: [withText("ab")] })),
  ],
];

for (const [name, a, b, expected] of MERGED) {
  Deno.test(`mergeDeltas merges ${name}`, () => {
    const merged = mergeAll([a, b]);
    assertEquals(merged.length, 1);
    assertEquals(merged[0]![0], a[0]);
    assertEquals(JSON.parse(merged[0]![1]), expected);
    // Merged events merge with more.
    const [once] = merged;
    assertEquals(
      mergeAll([once!, b]).map(([, data]) => JSON.parse(data)),
      mergeAll([a, b, b]).map(([, data]) => JSON.parse(data)),
    );
  });
}

/** Events that are not deltas, or must stay as they are. */
const LEFT: [name: string, event: Wire][] = [
  ["text that is no JSON", plain('"delta"')],
  ["broken JSON", plain('{"delta":')],
  ["[DONE]", plain("[DONE]")],
  ["an array", plain('["delta"]')],
  ["something with a delta", plain('{"delta":"a"}')],
  [
    "the delta of another API",
    plain(
      '{"type":"text-delta","index":0,"delta":{"type":"text_delta","text":"a"}}',
    ),
  ],
  ["a signature", block({ type: "signature_delta", signature: "a" })],
  ["a citation", block({ type: "citations_delta", citation: { url: "a" } })],
  ["a compaction", block({ type: "compaction_delta", content: "a" })],
  ["a delta of a block without text", block({ type: "text_delta" })],
  [
    "the reason to stop of a message",
    plain('{"type":"message_delta","delta":{"stop_reason":"end_turn"}}'),
  ],
  ["another event of Responses", responses("output_text.done")],
  ["another delta of Responses", responses("audio.delta")],
  [
    "a delta that is no string",
    responses("mcp_call_arguments.delta", {
      delta: { a: 1 },
    }),
  ],
  ["an error", responses("output_text.delta", { error: { code: "x" } })],
  ["an event that is called error", [
    "error",
    responses("output_text.delta")[1],
  ]],
  [
    "an object that is an error",
    responses("output_text.delta", {
      object: "error",
    }),
  ],
  ["a delta of both APIs", responses("output_text.delta", { choices: [] })],
  [
    "a chunk with a delta of its own",
    plain(chunk({
      choices: [{ delta: { content: "a" } }],
      delta: "a",
    })),
  ],
  ["a chunk without a choice", plain(chunk({ choices: [], delta: 1 }))],
  [
    "a chunk with two",
    plain(chunk({
      choices: [{ delta: { content: "a" } }, { delta: { content: "b" } }],
    })),
  ],
  ["a chunk with a reason to end", plain(choice({ content: "a" }, "stop"))],
  [
    "a chunk with usage",
    plain(chunk({
      choices: [{ delta: { content: "a" } }],
      usage: {},
    })),
  ],
  [
    "a choice with usage",
    plain(choice({ content: "a" }, null, {
      usage: { total_tokens: 1 },
    })),
  ],
  [
    "a chunk with an error",
    plain(chunk({
      choices: [{ delta: { content: "a" } }],
      error: {},
    })),
  ],
  [
    "a chunk of Groq's",
    plain(chunk({
      choices: [{ delta: { content: "a" } }],
      x_groq: { id: "x" },
    })),
  ],
  [
    "a chunk with the text twice",
    plain(choice({ content: "a" }, null, {
      text: "a",
    })),
  ],
  [
    "a chunk with a message",
    plain(choice(undefined, null, {
      message: { content: '"delta"' },
      delta: undefined,
    })),
  ],
  ["a delta with nothing", plain(choice({}))],
  ["a delta with a role alone", plain(choice({ role: "assistant" }))],
  ["a delta with two texts", plain(choice({ content: "a", refusal: "b" }))],
  [
    "a delta with two that are empty",
    plain(choice({
      content: "",
      refusal: "",
    })),
  ],
  [
    "a delta with content in parts",
    plain(choice({
      content: [{ type: "text", text: "a" }],
    })),
  ],
  [
    "a delta with details",
    plain(choice({
      reasoning: "a",
      reasoning_details: [{ type: "reasoning.text", text: "a" }],
    })),
  ],
  ["a delta with audio", plain(choice({ content: "", audio: { data: "a" } }))],
  [
    "a delta with the old call",
    plain(choice({
      content: "",
      function_call: { arguments: "a" },
    })),
  ],
  [
    "logprobs of a refusal",
    plain(choice({ refusal: "a" }, null, {
      logprobs: { content: [], refusal: [1] },
    })),
  ],
  [
    "logprobs of another form",
    plain(choice({ content: "a" }, null, {
      logprobs: [1],
    })),
  ],
  [
    "logprobs in a content of another form",
    plain(choice(
      { content: "a" },
      null,
      { logprobs: { content: { a: 1 } } },
    )),
  ],
  ["two fragments", plain(calls(withText("a"), withText("b")))],
  ["a fragment that is no object", plain(calls("a"))],
  [
    "a fragment that is not in a list",
    plain(choice({
      tool_calls: { index: 0, ...withText("a") },
    })),
  ],
  [
    "a fragment beside text",
    plain(choice({
      content: "a",
      tool_calls: [withText("a")],
    })),
  ],
  ["a fragment with an id", fragment({ id: "c" })],
  [
    "a fragment with a name",
    fragment({
      function: { name: "f", arguments: "a" },
    }),
  ],
  [
    "a UI message's delta with metadata of the provider",
    ui({
      type: "text-delta",
      id: "1",
      delta: "a",
      providerMetadata: { p: { signature: "x" } },
    }),
  ],
  [
    "a UI message's input of a tool",
    ui({
      type: "tool-input-delta",
      toolCallId: "1",
      inputTextDelta: "a",
    }),
  ],
  [
    "a UI message's delta that is no text",
    ui({
      type: "text-delta",
      id: "1",
      delta: { a: 1 },
    }),
  ],
  ["a fragment with a signature", fragment({ extra_content: { a: 1 } })],
  [
    "a fragment with an object for arguments",
    fragment({
      function: { arguments: { a: 1 } },
    }),
  ],
  [
    "a fragment of a custom tool",
    fragment({
      function: undefined,
      custom: { input: "a" },
    }),
  ],
];

/** Numbers that `JSON.stringify` would write as others. */
for (
  const number of ["1e999", "-1e999", "-0", "-0.0", "9007199254740993", "1e30"]
) {
  LEFT.push(
    [`the number ${number} in a delta`, [
      "response.output_text.delta",
      `{"type":"response.output_text.delta","delta":"a","x":[{"y":${number}}]}`,
    ]],
    [`the number ${number} of an event`, [
      "response.output_text.delta",
      `{"type":"response.output_text.delta","delta":"a","sequence_number":${number}}`,
    ]],
    [
      `the number ${number} in a chunk`,
      plain(`{"choices":[{"index":${number},"delta":{"content":"a"}}]}`),
    ],
  );
}

for (const [name, [event, data]] of LEFT) {
  Deno.test(`readDelta leaves ${name} alone`, () => {
    assertEquals(readDelta(event, data), undefined);
  });
}

Deno.test("readDelta reads numbers that are written again as they were", () => {
  const [name] = responses("output_text.delta");
  const data = (x: string): string =>
    `{"type":"response.output_text.delta","delta":"a-0","item_id":"1e9 1234567890123456","x":${x}}`;
  for (
    const x of ["-0.5", "1.5e-7", "0.12345678901234567", "-9007199254740991"]
  ) {
    const delta = readDelta(name, data(x));
    assert(delta, x);
    assertEquals(JSON.parse(mergeDeltas([delta, delta])).x, Number(x));
  }
});

/** Pairs of deltas that are not of one item, or not alike. */
const APART: [name: string, a: Wire, b: Wire][] = [
  [
    "of different items",
    responses("output_text.delta"),
    responses("output_text.delta", { item_id: "j" }),
  ],
  [
    "of different places",
    responses("output_text.delta", { content_index: 0 }),
    responses("output_text.delta", { content_index: 1 }),
  ],
  [
    "of different types",
    responses("output_text.delta"),
    responses("refusal.delta"),
  ],
  [
    "with and without a number",
    responses("output_text.delta", { sequence_number: 1 }),
    responses("output_text.delta"),
  ],
  [
    "with and without logprobs",
    responses("output_text.delta", { logprobs: [] }),
    responses("output_text.delta"),
  ],
  [
    "of different names",
    ["message", responses("output_text.delta")[1]],
    responses("output_text.delta"),
  ],
  [
    "with another field",
    responses("output_text.delta"),
    responses("output_text.delta", { phase: "x" }),
  ],
  [
    "of different texts in the same chunk",
    plain(choice({ content: "a", refusal: "" })),
    plain(choice({ content: "", refusal: "a" })),
  ],
  [
    "of different models",
    plain(choice({ content: "a" })),
    plain(choice({ content: "b" }).replace('"m"', '"n"')),
  ],
  [
    "with and without a role",
    plain(choice({ role: "assistant", content: "" })),
    plain(choice({ content: "" })),
  ],
  ["of different calls", fragment({}), fragment({ index: 1 })],
  [
    "of different choices",
    plain(choice({ content: "a" })),
    plain(choice({ content: "a" }, null, { index: 1 })),
  ],
];

for (const [name, a, b] of APART) {
  Deno.test(`mergeDeltas keeps deltas apart ${name}`, () => {
    assert(readDelta(...a) && readDelta(...b), "both are deltas");
    assertEquals(
      mergeAll([a, b]),
      [a, b].map(([name, data]) => {
        const { obfuscation: _, ...rest } = JSON.parse(data);
        return [name, JSON.stringify(rest)];
      }),
    );
  });
}

Deno.test("mergeDeltas needs something to merge", () => {
  assertThrows(() => mergeDeltas([]), RangeError, "nothing to merge");
});

function assertExact(events: readonly Wire[], cuts: readonly number[]): void {
  const merged: Wire[] = [];
  let from = 0;
  for (const to of [...cuts, events.length]) {
    merged.push(...mergeAll(events.slice(from, to)));
    from = to;
  }
  assertEquals(foldWire(merged), foldWire(events));
}

Deno.test({
  name: "Merging leaves every recorded response the same, wherever it is cut",
  ignore: recordingsMissing("Merging leaves every recorded response the same"),
  fn: async () => {
    const all = new Map<string, Wire[]>();
    for (const [name, events] of await readRecordedEvents()) {
      all.set(name, events.map(({ event, data }) => [event, data]));
    }
    let before = 0;
    let after = 0;
    for (const [name, events] of all) {
      assertExact(events, []);
      if (!/\.(responses|chat|anthropic)\./.test(name)) continue;
      before += events.length;
      after += mergeAll(events).length;
    }
    console.log(`${before} events of recordings merge into ${after}`);
    assert(after < before / 2, "most of a response is deltas");
    const names = [...all.keys()];
    await fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
        (name, places) => {
          const events = all.get(name) ?? [];
          const cuts = places.map((place) => Math.floor(place * events.length))
            .sort((a, b) => a - b);
          assertExact(events, cuts);
        },
      ),
      propertyParameters(200),
    );
  },
});

/** Fragments of a call as servers send them: the worst that merging could meet. */
const anyFragment = fc.record({
  index: fc.constantFrom(0, 1, undefined),
  id: fc.constantFrom(undefined, "", "x", "y"),
  function: fc.record({
    name: fc.constantFrom(undefined, "", "f"),
    arguments: fc.constantFrom("", " ", "{", "}", "{}", '{"a":1}', '"', "\\"),
  }),
});

const anyDelta = fc.oneof(
  fc.record({ content: fc.constantFrom("", "a", "b\n", null) }),
  fc.record({ reasoning: fc.constantFrom("", "a"), content: fc.constant("") }),
  fc.record({ refusal: fc.constantFrom("", "a") }),
  fc.record({
    reasoning: fc.constantFrom("", "a"),
    reasoning_content: fc.constantFrom("", "a"),
  }),
  fc.record({
    reasoning: fc.constantFrom("a"),
    reasoning_details: fc.constantFrom([], [{ type: "t", text: "a" }]),
  }),
  anyFragment.map((call) => ({ tool_calls: [call] })),
  fc.array(anyFragment, { maxLength: 2 }).map((calls) => ({
    tool_calls: calls,
  })),
);

const anyChunk = fc.oneof(
  { weight: 20, arbitrary: anyDelta.map((delta) => plain(choice(delta))) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      plain(choice({}, "stop")),
      plain(choice({ content: "a" }, "length")),
      plain("[DONE]"),
      plain(chunk({ choices: [], usage: { total_tokens: 1 } })),
    ),
  },
);

const anyResponsesEvent = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      type: fc.constantFrom(
        "output_text.delta",
        "refusal.delta",
        "reasoning_text.delta",
        "reasoning_summary_text.delta",
        "function_call_arguments.delta",
        "custom_tool_call_input.delta",
      ),
      output_index: fc.constantFrom(0, 1, undefined),
      item_id: fc.constantFrom("i", "j", undefined),
      content_index: fc.constantFrom(0, undefined),
      delta: fc.constantFrom("", "a", "{"),
      sequence_number: fc.option(fc.nat(9), { nil: undefined }),
    }).map(({ type, ...fields }) => responses(type, fields)),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constantFrom("output_item.added", "output_item.done"),
      item: fc.constantFrom(
        { type: "message", id: "i", role: "assistant", content: [] },
        {
          type: "function_call",
          id: "j",
          call_id: "c",
          name: "f",
          arguments: "",
        },
      ),
      output_index: fc.constantFrom(0, 1, undefined),
    }).map(({ type, ...fields }) => responses(type, fields)),
  },
  {
    weight: 1,
    arbitrary: fc.constant(
      responses("incomplete", { response: { id: "r", status: "incomplete" } }),
    ),
  },
);

const anyBlock = fc.constantFrom(
  { type: "text", text: "" },
  { type: "text", text: "a", citations: [] },
  { type: "thinking", thinking: "", signature: "" },
  { type: "tool_use", id: "x", name: "f", input: {} },
  { type: "server_tool_use", id: "y", name: "web_search", input: {} },
  { type: "web_search_tool_result", tool_use_id: "y", content: [] },
);
const anyIndex = fc.constantFrom(0, 1, 2, undefined);

const anyMessagesEvent = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.tuple(
      fc.constantFrom(...BLOCK_DELTAS),
      fc.constantFrom("", "a", "{", "}", '{"a":1}'),
      anyIndex,
    ).map(([[type, field], text, index]) =>
      block({ type, [field]: text }, index)
    ),
  },
  {
    weight: 3,
    arbitrary: fc.record({ content_block: anyBlock, index: anyIndex })
      .map((fields) =>
        plain(JSON.stringify({ type: "content_block_start", ...fields }))
      ),
  },
  {
    weight: 2,
    arbitrary: anyIndex.map((index) =>
      plain(JSON.stringify({ type: "content_block_stop", index }))
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      block({ type: "signature_delta", signature: "s" }),
      plain('{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}'),
      plain('{"type":"message_stop"}'),
    ),
  },
);

for (
  const [name, event] of [
    ["Chat", anyChunk],
    ["Messages", anyMessagesEvent],
    ["Responses", anyResponsesEvent],
  ] as const
) {
  Deno.test(`Merging leaves any response of ${name} the same, however odd`, () => {
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 30 }),
        (events) => assertExact(events, []),
      ),
      propertyParameters(2_000),
    );
  });
}
