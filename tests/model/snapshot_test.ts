import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import type { MessageItem, ResponseItem } from "../../src/model/item.ts";
import type { ResponseEvent } from "../../src/model/response_event.ts";
import {
  type ResponseSnapshot,
  snapshot,
  SnapshotBuilder,
} from "../../src/model/snapshot.ts";
import { propertyParameters } from "../support/property.ts";
import { eventsOf, frozen, itemOf, scripts, textOf, USAGE } from "./events.ts";

const at = { outputIndex: 0, contentIndex: 0 };

function message(text: string, status = "completed"): MessageItem {
  const content = [{ type: "output_text" as const, text, annotations: [] }];
  return { type: "message", role: "assistant", status, content };
}

const EMPTY: ResponseSnapshot = {
  status: "in_progress",
  responseId: "",
  output: [],
  outputText: "",
};

const CALL: ResponseItem = {
  type: "function_call",
  call_id: "c",
  name: "f",
  arguments: "",
};

const ROWS: [
  name: string,
  events: ResponseEvent[],
  expected: Partial<ResponseSnapshot>,
][] = [
  ["nothing of no events", [], {}],
  [
    "the id and the model",
    [{ type: "created", responseId: "r", model: "m" }],
    { responseId: "r", model: "m" },
  ],
  ["no model where none is told", [{ type: "created", responseId: "r" }], {
    responseId: "r",
  }],
  [
    "nothing of what is not of the response",
    [{ type: "rate_limits", rateLimits: 1 }, { type: "other", event: 1 }],
    {},
  ],
  [
    "the last usage",
    [
      { type: "usage", usage: { ...USAGE, totalTokens: 1 } },
      { type: "usage", usage: USAGE },
    ],
    { usage: USAGE },
  ],
  [
    "the text of a message that was added",
    [
      {
        type: "output_item.added",
        outputIndex: 0,
        item: {
          type: "message",
          role: "assistant",
          id: "msg_1",
          phase: "final",
          content: [],
        },
      },
      { type: "output_text.delta", ...at, delta: "Hel" },
      { type: "output_text.delta", ...at, delta: "lo" },
    ],
    {
      output: [{
        type: "message",
        role: "assistant",
        id: "msg_1",
        phase: "final",
        content: [{ type: "output_text", text: "Hello", annotations: [] }],
      }],
      outputText: "Hello",
    },
  ],
  [
    "text behind what a part had when it was added",
    [
      {
        type: "output_item.added",
        outputIndex: 0,
        item: {
          type: "message",
          role: "assistant",
          content: [
            { type: "(other)image" },
            { type: "output_text", text: "a", logprobs: [1] },
          ],
        },
      },
      { type: "output_text.delta", ...at, contentIndex: 1, delta: "b" },
    ],
    {
      output: [{
        type: "message",
        role: "assistant",
        content: [
          { type: "(other)image" },
          { type: "output_text", text: "ab", logprobs: [1] },
        ],
      }],
      outputText: "ab",
    },
  ],
  [
    "a message for text that nothing was added for",
    [{ type: "output_text.delta", ...at, delta: "a" }],
    { output: [message("a", "in_progress")], outputText: "a" },
  ],
  [
    "a message for a refusal, apart from the text",
    [
      { type: "refusal.delta", ...at, contentIndex: 1, delta: "No" },
      { type: "output_text.delta", ...at, delta: "a" },
      { type: "refusal.delta", ...at, contentIndex: 1, delta: "!" },
    ],
    {
      output: [{
        type: "message",
        role: "assistant",
        status: "in_progress",
        content: [
          { type: "output_text", text: "a", annotations: [] },
          { type: "refusal", refusal: "No!" },
        ],
      }],
      outputText: "a",
    },
  ],
  [
    "two parts of two types in one place",
    [
      { type: "output_text.delta", ...at, delta: "a" },
      { type: "refusal.delta", ...at, delta: "No" },
    ],
    {
      output: [{
        type: "message",
        role: "assistant",
        status: "in_progress",
        content: [
          { type: "output_text", text: "a", annotations: [] },
          { type: "refusal", refusal: "No" },
        ],
      }],
      outputText: "a",
    },
  ],
  [
    "a reasoning item for reasoning and its summary",
    [
      { type: "reasoning.delta", ...at, delta: "x" },
      {
        type: "reasoning_summary.delta",
        outputIndex: 0,
        summaryIndex: 7,
        delta: "z",
      },
      {
        type: "reasoning_summary.delta",
        outputIndex: 0,
        summaryIndex: 0,
        delta: "y",
      },
    ],
    {
      output: [{
        type: "reasoning",
        summary: [
          { type: "summary_text", text: "y" },
          { type: "summary_text", text: "z" },
        ],
        content: [{ type: "reasoning_text", text: "x" }],
      }],
    },
  ],
  [
    "reasoning where the item has null for it",
    [
      {
        type: "output_item.added",
        outputIndex: 0,
        item: { type: "reasoning", summary: [], content: null },
      },
      { type: "reasoning.delta", ...at, delta: "x" },
    ],
    {
      output: [{
        type: "reasoning",
        summary: [],
        content: [{ type: "reasoning_text", text: "x" }],
      }],
    },
  ],
  [
    "a function call for arguments that nothing was added for",
    [{ type: "tool_call.delta", outputIndex: 0, delta: '{"a"' }],
    {
      output: [{
        type: "function_call",
        call_id: "",
        name: "",
        arguments: '{"a"',
        status: "in_progress",
      }],
    },
  ],
  [
    "arguments of a call, input of a custom one, arguments of one of MCP",
    [
      { type: "output_item.added", outputIndex: 0, item: CALL },
      {
        type: "output_item.added",
        outputIndex: 1,
        item: { type: "custom_tool_call", call_id: "c", name: "f", input: "" },
      },
      {
        type: "output_item.added",
        outputIndex: 2,
        item: { type: "(other)mcp_call", arguments: "" },
      },
      { type: "tool_call.delta", outputIndex: 0, delta: "1" },
      { type: "tool_call.delta", outputIndex: 1, delta: "2" },
      { type: "tool_call.delta", outputIndex: 2, delta: "3" },
    ],
    {
      output: [
        { ...CALL, arguments: "1" },
        { type: "custom_tool_call", call_id: "c", name: "f", input: "2" },
        { type: "(other)mcp_call", arguments: "3" },
      ],
    },
  ],
  [
    "arguments behind those that came with the call",
    [
      {
        type: "output_item.added",
        outputIndex: 0,
        item: { ...CALL, arguments: '{"a"' },
      },
      { type: "tool_call.delta", outputIndex: 0, delta: ":1}" },
    ],
    { output: [{ ...CALL, arguments: '{"a":1}' }] },
  ],
  [
    "every kind of call among those that were cut off",
    [
      {
        type: "output_item.added",
        outputIndex: 1,
        item: {
          type: "local_shell_call",
          status: "in_progress",
          action: { type: "exec" },
        },
      },
      {
        type: "output_item.added",
        outputIndex: 0,
        item: { type: "custom_tool_call", call_id: "c", name: "f", input: "" },
      },
      { type: "incomplete", reason: "unknown", responseId: "" },
    ],
    {
      status: "incomplete",
      reason: "unknown",
      unfinished: [
        {
          type: "custom_tool_call",
          call_id: "c",
          name: "f",
          input: "",
          status: "incomplete",
        },
        {
          type: "local_shell_call",
          status: "incomplete",
          action: { type: "exec" },
        },
      ],
    },
  ],
  [
    "the items in the order of the output, not of their coming",
    [
      { type: "output_text.delta", ...at, outputIndex: 10, delta: "c" },
      { type: "output_item.done", outputIndex: 9, item: message("b") },
      { type: "output_text.delta", ...at, outputIndex: 2, delta: "a" },
    ],
    {
      output: [
        message("a", "in_progress"),
        message("b"),
        message("c", "in_progress"),
      ],
      outputText: "abc",
    },
  ],
  [
    "the whole item in place of its deltas, and nothing of late ones",
    [
      { type: "output_text.delta", ...at, delta: "a" },
      { type: "output_item.done", outputIndex: 0, item: message("A.") },
      { type: "output_text.delta", ...at, delta: "b" },
    ],
    { output: [message("A.")], outputText: "A." },
  ],
  [
    "both items of one place",
    [
      { type: "output_item.done", outputIndex: 0, item: message("a") },
      { type: "output_item.added", outputIndex: 0, item: message("") },
      { type: "output_text.delta", ...at, delta: "b" },
    ],
    { output: [message("a"), message("b")], outputText: "ab" },
  ],
  [
    "text of the assistant only, and only where it is text",
    [
      {
        type: "output_item.done",
        outputIndex: 0,
        item: { ...message("a"), role: "user" },
      },
      {
        type: "output_item.done",
        outputIndex: 1,
        item: {
          type: "message",
          role: "assistant",
          content: [
            // A provider may well send this.
            { type: "output_text", text: null as unknown as string },
            { type: "input_text", text: "b" },
            { type: "output_text", text: "c" },
          ],
        },
      },
    ],
    {
      output: [{ ...message("a"), role: "user" }, {
        type: "message",
        role: "assistant",
        content: [
          { type: "output_text", text: null as unknown as string },
          { type: "input_text", text: "b" },
          { type: "output_text", text: "c" },
        ],
      }],
      outputText: "c",
    },
  ],
  [
    "only what comes after a reset",
    [
      { type: "created", responseId: "r", model: "m" },
      { type: "usage", usage: USAGE },
      { type: "output_item.done", outputIndex: 0, item: message("a") },
      { type: "output_text.delta", ...at, outputIndex: 1, delta: "b" },
      { type: "incomplete", reason: "unknown", responseId: "r" },
      { type: "reset", attempt: 2 },
      { type: "output_text.delta", ...at, delta: "c" },
    ],
    { output: [message("c", "in_progress")], outputText: "c" },
  ],
  [
    "what the last event says: completed",
    [
      { type: "usage", usage: { ...USAGE, totalTokens: 1 } },
      {
        type: "completed",
        responseId: "r",
        usage: USAGE,
        endTurn: false,
      },
    ],
    { status: "completed", responseId: "r", usage: USAGE, endTurn: false },
  ],
  [
    "what was known where the last event says nothing",
    [
      { type: "created", responseId: "r" },
      { type: "usage", usage: USAGE },
      { type: "completed", responseId: "", usage: undefined },
    ],
    { status: "completed", responseId: "r", usage: USAGE },
  ],
  [
    "what the last event says: incomplete",
    [
      {
        type: "incomplete",
        responseId: "r",
        reason: "max_output_tokens",
        usage: USAGE,
        unfinished: [CALL],
      },
    ],
    {
      status: "incomplete",
      responseId: "r",
      usage: USAGE,
      reason: "max_output_tokens",
      unfinished: [CALL],
    },
  ],
  [
    "text that was cut off, and no call that was",
    [
      { type: "output_text.delta", ...at, delta: "a" },
      { type: "output_item.added", outputIndex: 1, item: CALL },
      { type: "tool_call.delta", outputIndex: 1, delta: "{" },
      { type: "output_item.added", outputIndex: 2, item: message("") },
      {
        type: "output_item.added",
        outputIndex: 3,
        item: { type: "(other)mcp_call" },
      },
      { type: "tool_call.delta", outputIndex: 3, delta: "{" },
      { type: "incomplete", reason: "unknown", responseId: "" },
    ],
    {
      status: "incomplete",
      output: [message("a", "incomplete")],
      outputText: "a",
      reason: "unknown",
      unfinished: [{ ...CALL, arguments: "{", status: "incomplete" }],
    },
  ],
  [
    "no call among the output of a completed response that was not whole",
    [
      { type: "output_item.added", outputIndex: 0, item: CALL },
      { type: "tool_call.delta", outputIndex: 0, delta: "{}" },
      { type: "output_text.delta", ...at, outputIndex: 1, delta: "a" },
      { type: "completed", responseId: "", usage: undefined },
    ],
    {
      status: "completed",
      output: [message("a", "incomplete")],
      outputText: "a",
    },
  ],
];

for (const [name, events, expected] of ROWS) {
  Deno.test(`snapshot() has ${name}`, () => {
    const before = structuredClone(events);
    const actual = snapshot(frozen(events));
    assertEquals<Partial<ResponseSnapshot>>(actual, { ...EMPTY, ...expected });
    // Absent fields are left out, which assertEquals() may pass over.
    assert(!Object.values(actual).includes(undefined));
    assertEquals(events, before);
  });
}

Deno.test("snapshot() of any interleaved prefix has the text that came", () => {
  fc.assert(
    fc.property(scripts, fc.nat(), ({ items, events }, cut) => {
      const prefix = events.slice(0, cut % (events.length + 1));
      const { status, output, outputText } = snapshot(frozen(prefix));
      assertEquals(status, "in_progress");
      const seen = items.flatMap((item, outputIndex) => {
        const own = prefix.filter((event) =>
          "outputIndex" in event && event.outputIndex === outputIndex
        );
        if (own.length === 0) return [];
        const count = own.filter((event) => "delta" in event).length;
        const isDone = own.at(-1)?.type === "output_item.done";
        const pieces = item.pieces.slice(0, count);
        const status = isDone ? "completed" : "in_progress";
        return [{ pieces, whole: itemOf(item.type, pieces, status) }];
      });
      const parts = (item: ResponseItem | undefined) => [
        item?.["content"] ?? [],
        item?.["summary"] ?? [],
        item?.["arguments"] ?? item?.["input"] ?? "",
      ];
      assertEquals(output.map(parts), seen.map(({ whole }) => parts(whole)));
      assertEquals(
        outputText,
        seen.map(({ pieces }) =>
          [0, 1, 2].map((part) => textOf(pieces, "text", part)).join("")
        ).join(""),
      );
    }),
    propertyParameters(300),
  );
});

Deno.test("SnapshotBuilder comes to the same, wherever it is looked at", () => {
  fc.assert(
    fc.property(
      scripts,
      fc.func(fc.boolean()),
      fc.constantFrom<ResponseEvent>(
        { type: "completed", responseId: "r", usage: USAGE },
        { type: "incomplete", responseId: "r", reason: "unknown" },
        { type: "reset", attempt: 2 },
        { type: "other", event: 1 },
      ),
      ({ events }, isLookedAt, last) => {
        const all = [...events, last, ...events];
        const builder = new SnapshotBuilder();
        const seen: { snapshot: ResponseSnapshot; as: unknown }[] = [];
        for (const [i, event] of all.entries()) {
          builder.push(frozen(event));
          if (!isLookedAt(i)) continue;
          const { snapshot: snap } = builder;
          assertEquals(snap, snapshot(all.slice(0, i + 1)));
          seen.push({ snapshot: snap, as: structuredClone(snap) });
        }
        assertEquals(builder.snapshot, snapshot(all));
        // Snapshots that were handed out stay as they were.
        for (const { snapshot, as } of seen) {
          assertEquals<unknown>(snapshot, as);
        }
      },
    ),
    propertyParameters(200),
  );
});

Deno.test("snapshot() of a completed response has the items that were done", () => {
  fc.assert(
    fc.property(scripts, ({ items, events }) => {
      const done = items.map((item) => ({ ...item, isDone: true }));
      const rest = events.filter((event) => event.type !== "output_item.done")
        .filter((event) => !("outputIndex" in event));
      const { status, output } = snapshot([
        ...rest,
        ...done.flatMap(eventsOf),
        { type: "completed", responseId: "r", usage: undefined },
      ]);
      assertEquals(status, "completed");
      assertEquals(
        output,
        done.map(({ type, pieces }) => itemOf(type, pieces, "completed")),
      );
    }),
    propertyParameters(200),
  );
});

Deno.test("SnapshotBuilder hands out what came whole, and what has not changed", () => {
  const builder = new SnapshotBuilder();
  const whole = message("a");
  builder.push({ type: "output_item.done", outputIndex: 0, item: whole });
  builder.push({
    type: "output_text.delta",
    ...at,
    outputIndex: 1,
    delta: "b",
  });
  const first = builder.snapshot;
  assertStrictEquals(first.output[0], whole);
  assertStrictEquals(builder.snapshot, first);
  builder.push({ type: "other", event: 1 });
  builder.push({ type: "rate_limits", rateLimits: 1 });
  builder.push({ type: "output_text.delta", ...at, delta: "late" });
  assertStrictEquals(builder.snapshot, first);
  builder.push({
    type: "output_text.delta",
    ...at,
    outputIndex: 2,
    delta: "c",
  });
  const second = builder.snapshot;
  assertStrictEquals(second.output[1], first.output[1]);
  builder.push({
    type: "output_text.delta",
    ...at,
    outputIndex: 1,
    delta: "d",
  });
  assertEquals(builder.snapshot.outputText, "abdc");
  assertEquals(first.outputText, "ab");
});

Deno.test("SnapshotBuilder looks at each of 100,000 deltas once, and copies nothing else", () => {
  const COUNT = 100_000;
  let reads = 0;
  let copies = 0;
  // A part that was there before, whose fields are read when it is copied.
  const part = {
    type: "output_text" as const,
    text: "",
    get annotations() {
      copies++;
      return [];
    },
  };
  const builder = new SnapshotBuilder();
  builder.push({
    type: "output_item.added",
    outputIndex: 0,
    item: { type: "message", role: "assistant", content: [part] },
  });
  const other = {
    type: "message",
    role: "assistant",
    content: [part],
  } as const;
  builder.push({
    type: "output_item.added",
    outputIndex: 1,
    item: { ...other, content: [...other.content] },
  });
  const event = {
    type: "output_text.delta" as const,
    ...at,
    get delta() {
      reads++;
      return "x";
    },
  };
  let snapshots = 0;
  for (let i = 0; i < COUNT; i++) {
    builder.push(event);
    if (i % 100 > 0) continue;
    snapshots++;
    assertEquals(builder.snapshot.outputText.length, i + 1);
  }
  assertEquals(builder.snapshot.outputText, "x".repeat(COUNT));
  assertEquals(reads, COUNT);
  // Of the one part that changes, and not of the other; once for a snapshot.
  assertEquals(copies, snapshots + 1);
});
