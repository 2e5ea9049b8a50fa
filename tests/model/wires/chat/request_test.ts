import { assertEquals } from "@std/assert";
import {
  chatBody,
  chatPath,
} from "../../../../src/model/wires/chat/request.ts";
import {
  functionCallOutput,
  type InputItem,
  user,
} from "../../../../src/model/item.ts";
import type {
  Prompt,
  RequestFacts,
  Tool,
} from "../../../../src/model/prompt.ts";
import { calls, choice, decode, finish, itemsOf } from "./decode.ts";

function bodyOf(
  prompt: Partial<Prompt>,
  facts: Partial<RequestFacts> = {},
  includeUsage = true,
): Record<string, unknown> {
  return chatBody(
    {
      model: "m",
      prompt: { input: [], ...prompt },
      reasoning: undefined,
      ...facts,
    },
    { includeUsage },
  );
}

const messagesOf = (...input: InputItem[]) => bodyOf({ input }).messages;

const call = (call_id: string, more = {}): InputItem => ({
  type: "function_call",
  id: `fc_${call_id}`,
  call_id,
  name: "f",
  arguments: "{}",
  status: "completed",
  ...more,
});

const said = (text: string): InputItem => ({
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text, annotations: [] }],
});

const asked = (id: string, more = {}) => ({
  id,
  type: "function",
  function: { name: "f", arguments: "{}" },
  ...more,
});

Deno.test("chatPath is that of Chat Completions (point 34)", () => {
  assertEquals(chatPath, "/chat/completions");
});

// Point 34. We differ: the usage is asked for, and `tools` is left out if there are none.
Deno.test("chatBody has the fields of the reference, in order, and asks for the usage (point 34)", () => {
  const tool: Tool = {
    type: "function",
    name: "f",
    description: "d",
    strict: false,
    parameters: { type: "object" },
  };
  const body = bodyOf(
    {
      instructions: "Be short.",
      userInstructions: "Be kind.",
      input: [user("Hi")],
      tools: [tool, { type: "web_search" }, { type: "custom", name: "g" }],
      text: {
        format: { type: "json_schema", name: "n", strict: true, schema: {} },
        verbosity: "low",
      },
      previousResponseId: "r",
      store: true,
      include: ["x"],
      background: true,
      extra: { temperature: 0 },
    },
    { reasoning: { effort: "high", summary: "auto" } },
  );
  const expected = {
    model: "m",
    messages: [
      { role: "system", content: "Be short.\nBe kind." },
      { role: "user", content: "Hi" },
    ],
    stream: true,
    stream_options: { include_usage: true },
    tools: [{
      type: "function",
      function: {
        name: "f",
        description: "d",
        strict: false,
        parameters: { type: "object" },
      },
    }],
    reasoning_effort: "high",
    response_format: {
      type: "json_schema",
      json_schema: { name: "n", strict: true, schema: {} },
    },
    verbosity: "low",
    temperature: 0,
  };
  assertEquals(JSON.stringify(body), JSON.stringify(expected));
});

Deno.test("chatBody leaves out what there is nothing for", () => {
  assertEquals(
    bodyOf(
      {
        input: [],
        tools: [{ type: "web_search" }],
        text: { format: { type: "text" }, verbosity: null },
      },
      { reasoning: { effort: "none", summary: "auto" } },
      false,
    ),
    { model: "m", messages: [], stream: true },
  );
  assertEquals(bodyOf({ text: {} }, { reasoning: {} }, false), {
    model: "m",
    messages: [],
    stream: true,
  });
});

Deno.test("chatBody puts 'extra' over all", () => {
  const body = bodyOf({
    input: [user("Hi")],
    extra: { model: "other", stream_options: null, n: 1 },
  });
  assertEquals(body.model, "other");
  assertEquals(body.stream_options, null);
  assertEquals(body.n, 1);
});

Deno.test("chatBody takes tools and formats that have the shape of Chat already", () => {
  const tool = { type: "function", function: { name: "f" } };
  const json = { type: "json_object" };
  const schema = { type: "json_schema", json_schema: { name: "n" } };
  assertEquals(bodyOf({ tools: [tool] }).tools, [tool]);
  assertEquals(bodyOf({ text: { format: json } }).response_format, json);
  assertEquals(bodyOf({ text: { format: schema } }).response_format, schema);
});

Deno.test("chatBody joins the text of a message (point 33)", () => {
  assertEquals(
    messagesOf(
      {
        role: "developer",
        content: [
          { type: "input_text", text: "a" },
          { type: "output_text", text: "b" },
          { type: "text", text: "c" },
        ],
      },
      { type: "message", role: "user", content: "d" },
      { role: "user", content: [] },
      {
        role: "assistant",
        content: [
          { type: "output_text", text: "e" },
          { type: "refusal", refusal: "f" },
          { type: "output_text", text: "g" },
        ],
      },
    ),
    [
      { role: "developer", content: "abc" },
      { role: "user", content: "d" },
      { role: "user", content: "" },
      { role: "assistant", content: "eg", refusal: "f" },
    ],
  );
});

// The reference drops images.
Deno.test("chatBody keeps images, and parts that it does not know", () => {
  assertEquals(
    messagesOf({
      role: "user",
      content: [
        { type: "input_text", text: "What is this?" },
        { type: "input_image", image_url: "https://example.com/a.png" },
        { type: "input_image", image_url: "data:,", detail: "low" },
        { type: "input_image", file_id: "file_1" },
        { type: "input_file", file_data: "data:," },
        { type: "input_audio", input_audio: { data: "" } },
      ],
    }),
    [{
      role: "user",
      content: [
        { type: "text", text: "What is this?" },
        { type: "image_url", image_url: { url: "https://example.com/a.png" } },
        { type: "image_url", image_url: { url: "data:,", detail: "low" } },
        { type: "input_image", file_id: "file_1" },
        { type: "file", file: { file_data: "data:," } },
        { type: "input_audio", input_audio: { data: "" } },
      ],
    }],
  );
});

// The reference sends a message for each call (point 33), which OpenAI refuses.
Deno.test("chatBody puts what the model said in one go into one message", () => {
  assertEquals(
    messagesOf(
      user("Hi"),
      { type: "reasoning", summary: [] },
      said("Let me see."),
      call("a"),
      call("b", { extra_content: { google: { thought_signature: "s" } } }),
      functionCallOutput("a", "1"),
      {
        type: "function_call_output",
        call_id: "b",
        output: [
          { type: "input_text", text: "2" },
          { type: "input_image", image_url: "data:," },
          { type: "input_text", text: "3" },
        ],
      },
      call("c"),
      functionCallOutput("c", "4"),
      said("Done."),
    ),
    [
      { role: "user", content: "Hi" },
      {
        role: "assistant",
        content: "Let me see.",
        tool_calls: [
          asked("a"),
          asked("b", { extra_content: { google: { thought_signature: "s" } } }),
        ],
      },
      { role: "tool", tool_call_id: "a", content: "1" },
      { role: "tool", tool_call_id: "b", content: "23" },
      { role: "assistant", content: null, tool_calls: [asked("c")] },
      { role: "tool", tool_call_id: "c", content: "4" },
      { role: "assistant", content: "Done." },
    ],
  );
});

Deno.test("chatBody joins text that something else had parted, and no two messages", () => {
  const search = { type: "web_search_call", id: "ws" };
  assertEquals(
    messagesOf(said("a"), said("b"), call("c"), said("d"), said("e")),
    [
      { role: "assistant", content: "a" },
      { role: "assistant", content: "bd", tool_calls: [asked("c")] },
      { role: "assistant", content: "e" },
    ],
  );
  for (const between of [search, { type: "reasoning", summary: [] }]) {
    assertEquals(messagesOf(said("a"), between, said("b")), [
      { role: "assistant", content: "ab" },
    ]);
  }
  assertEquals(messagesOf(said("a"), user("x"), said("b")), [
    { role: "assistant", content: "a" },
    { role: "user", content: "x" },
    { role: "assistant", content: "b" },
  ]);
});

Deno.test("chatBody sends back reasoning_details, and no other reasoning (point 33)", () => {
  const details = [{ type: "reasoning.encrypted", index: 0, data: "x" }];
  const reasoning = {
    type: "reasoning",
    summary: [{ type: "summary_text", text: "s" }],
    content: [{ type: "reasoning_text", text: "t" }],
  };
  assertEquals(messagesOf(reasoning, said("a")), [
    { role: "assistant", content: "a" },
  ]);
  assertEquals(
    messagesOf({ ...reasoning, reasoning_details: details }, call("a")),
    [{
      role: "assistant",
      content: null,
      reasoning_details: details,
      tool_calls: [asked("a")],
    }],
  );
  assertEquals(
    messagesOf({ ...said("a"), reasoning_details: details }),
    [{ role: "assistant", content: "a", reasoning_details: details }],
  );
  assertEquals(messagesOf({ ...reasoning, reasoning_details: [] }), []);
});

Deno.test("chatBody sends local_shell_call as the reference does (point 33)", () => {
  const action = { type: "exec", command: ["ls"] };
  const shell = { type: "local_shell_call", status: "completed", action };
  assertEquals(
    messagesOf({ ...shell, id: "i", call_id: "c" }, {
      ...shell,
      id: null,
      call_id: "c",
    }, shell),
    [{
      role: "assistant",
      content: null,
      tool_calls: [{ id: "i", ...shell }, { id: "c", ...shell }, {
        id: "",
        ...shell,
      }],
    }],
  );
});

Deno.test("chatBody sends calls of custom tools, and their outputs", () => {
  assertEquals(
    messagesOf(
      { type: "custom_tool_call", call_id: "a", name: "g", input: "x" },
      { type: "custom_tool_call_output", call_id: "a", output: "y" },
    ),
    [
      {
        role: "assistant",
        content: null,
        tool_calls: [{
          id: "a",
          type: "custom",
          custom: { name: "g", input: "x" },
        }],
      },
      { role: "tool", tool_call_id: "a", content: "y" },
    ],
  );
});

Deno.test("chatBody leaves out items that Chat has no place for (point 33)", () => {
  assertEquals(
    messagesOf(
      { type: "item_reference", id: "x" },
      user("Hi"),
      { type: "web_search_call", id: "ws", status: "completed" },
    ),
    [{ role: "user", content: "Hi" }],
  );
});

Deno.test("chatBody gives the server back what ChatDecoder made of its answer", () => {
  const extra_content = { google: { thought_signature: "s" } };
  const detail = { type: "reasoning.text", index: 0 };
  const items = itemsOf(decode([
    choice({ reasoning: "H", reasoning_details: [{ ...detail, text: "H" }] }),
    choice({ reasoning: "m", reasoning_details: [{ ...detail, text: "m" }] }),
    choice({ content: "Let me " }),
    choice({ reasoning_details: [{ ...detail, signature: "s" }] }),
    choice({ content: "see." }),
    calls({
      index: 0,
      id: "a",
      function: { name: "f", arguments: "" },
      extra_content,
    }),
    calls({ index: 1, id: "b", function: { name: "f", arguments: "{}" } }),
    finish("tool_calls"),
  ]));
  assertEquals(messagesOf(...items), [{
    role: "assistant",
    content: "Let me see.",
    reasoning_details: [{ ...detail, text: "Hm", signature: "s" }],
    tool_calls: [asked("a", { extra_content }), asked("b")],
  }]);
});
