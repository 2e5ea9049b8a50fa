import { assertEquals, assertThrows } from "@std/assert";
import {
  chatBody,
  chatPath,
} from "../../../../src/model/wires/chat/request.ts";
import {
  file,
  functionCallOutput,
  user,
} from "../../../../src/model/input_items.ts";
import type { InputItem } from "../../../../src/model/item.ts";
import type {
  Prompt,
  Reasoning,
  RequestFacts,
  Tool,
} from "../../../../src/model/prompt.ts";
import {
  DEEPSEEK_TRAITS,
  DEFAULT_TRAITS,
  type ServerTraits,
} from "../../../../src/model/wires/server_traits.ts";
import { calls, choice, decode, finish, itemsOf } from "./decode.ts";

function bodyOf(
  prompt: Partial<Prompt>,
  facts: Partial<RequestFacts> = {},
  traits: Partial<ServerTraits> = {},
): Record<string, unknown> {
  return chatBody(
    {
      model: "m",
      prompt: { input: [], ...prompt },
      reasoning: undefined,
      ...facts,
    },
    { ...DEFAULT_TRAITS, ...traits },
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

// Point 34. We differ: the usage is asked for, `tools` is left out if there are none,
// and custom tools are sent too (G9).
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
      tools: [tool, { type: "custom", name: "g" }],
      text: {
        format: { type: "json_schema", name: "n", strict: true, schema: {} },
        verbosity: "low",
      },
      store: true,
      include: [],
      background: false,
      toolChoice: { name: "f" },
      parallelToolCalls: false,
      temperature: 0,
      topP: 0.5,
      maxOutputTokens: 100,
      stop: ["x"],
      seed: 7,
      logprobs: 2,
      extra: { user: "u" },
    },
    { reasoning: { effort: "high", summary: "none" } },
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
    }, { type: "custom", custom: { name: "g" } }],
    tool_choice: { type: "function", function: { name: "f" } },
    parallel_tool_calls: false,
    reasoning_effort: "high",
    response_format: {
      type: "json_schema",
      json_schema: { name: "n", strict: true, schema: {} },
    },
    verbosity: "low",
    store: true,
    temperature: 0,
    top_p: 0.5,
    max_tokens: 100,
    stop: ["x"],
    seed: 7,
    logprobs: true,
    top_logprobs: 2,
    user: "u",
  };
  assertEquals(JSON.stringify(body), JSON.stringify(expected));
});

Deno.test("chatBody leaves out what there is nothing for", () => {
  assertEquals(
    bodyOf(
      {
        input: [],
        tools: [],
        toolChoice: "auto",
        parallelToolCalls: true,
        text: { format: { type: "text" }, verbosity: null },
      },
      { reasoning: { summary: "none" } },
      { includeUsage: false },
    ),
    { model: "m", messages: [], stream: true },
  );
  assertEquals(
    bodyOf({ text: {} }, { reasoning: {} }, { includeUsage: false }),
    {
      model: "m",
      messages: [],
      stream: true,
    },
  );
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
        { type: "input_image", image_url: { url: "data:," } },
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
        { type: "image_url", image_url: { url: "data:," } },
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
  assertEquals(
    messagesOf(said("a"), said("b"), call("c"), said("d"), said("e")),
    [
      { role: "assistant", content: "a" },
      { role: "assistant", content: "bd", tool_calls: [asked("c")] },
      { role: "assistant", content: "e" },
    ],
  );
  assertEquals(
    messagesOf(said("a"), { type: "reasoning", summary: [] }, said("b")),
    [{ role: "assistant", content: "ab" }],
  );
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

const image: InputItem = {
  role: "user",
  content: [{ type: "input_image", file_id: "file_1" }],
};
const tool = (output: unknown): InputItem => ({
  type: "function_call_output",
  call_id: "a",
  output,
});

// The reference leaves them out (point 33, point 34), and the model answers
// something else than was asked.
const NO_PLACE: [path: string, prompt: Partial<Prompt>, facts?: Reasoning][] = [
  ["prompt.input.0", { input: [{ type: "item_reference", id: "x" }] }],
  ["prompt.input.1", {
    input: [user("Hi"), { type: "web_search_call", id: "ws" }],
  }],
  ["prompt.input.0.content.0.file_id", { input: [image] }],
  ["prompt.input.0.content.1.file_url", {
    input: [user("Hi", file("https://example.com/a.pdf"))],
  }],
  ["prompt.input.0.output", { input: [tool({ degrees: 21 })] }],
  ["prompt.input.0.output", { input: [tool(21)] }],
  ["prompt.input.1.output.1", {
    input: [
      call("a"),
      tool([{ type: "input_text", text: "2" }, {
        type: "input_image",
        image_url: "data:,",
      }]),
    ],
  }],
  ["prompt.tools.1", {
    tools: [{ type: "function", name: "f" }, { type: "web_search" }],
  }],
  ["prompt.tools.0", { tools: [{ type: "mcp", server_url: "x" }] }],
  ["prompt.toolChoice", {
    tools: [{ type: "function", name: "f" }],
    toolChoice: { type: "file_search" },
  }],
  ["prompt.previousResponseId", { previousResponseId: "r" }],
  ["prompt.include", { include: ["x"] }],
  ["prompt.background", { background: true }],
  ["prompt.text.tone", { text: { tone: "kind" } }],
  ["reasoning.summary", {}, { summary: "auto" }],
];

for (const [path, prompt, reasoning] of NO_PLACE) {
  Deno.test(`chatBody refuses ${path} by name: ${JSON.stringify(prompt)} (G9)`, () => {
    assertThrows(
      () => bodyOf(prompt, { reasoning }),
      TypeError,
      `Cannot stream as Chat Completions has no place for '${path}': `,
    );
  });
}

Deno.test("chatBody sends what Chat has a place for (G9)", () => {
  const cache_control = { type: "ephemeral" };
  const text = { type: "text", text: "a", cache_control };
  assertEquals(
    messagesOf(
      { role: "system", content: [{ ...text, type: "input_text" }] },
      { role: "user", name: "Ann", content: [text], cache_control },
      {
        role: "user",
        content: [
          { type: "input_image", image_url: "data:,", cache_control },
          { type: "input_file", file_id: "f", filename: "n", cache_control },
        ],
      },
      {
        role: "assistant",
        name: "Bob",
        content: [{
          type: "output_text",
          text: "a",
          annotations: [],
          cache_control,
        }],
      },
      call("c"),
      {
        type: "function_call_output",
        call_id: "c",
        output: [{ type: "input_text", text: "a", cache_control }],
        cache_control,
      },
    ),
    [
      { role: "system", content: [text] },
      { role: "user", content: [text], name: "Ann", cache_control },
      {
        role: "user",
        content: [
          { type: "image_url", image_url: { url: "data:," }, cache_control },
          {
            type: "file",
            file: { file_id: "f", filename: "n" },
            cache_control,
          },
        ],
      },
      {
        role: "assistant",
        content: [text],
        name: "Bob",
        tool_calls: [asked("c")],
      },
      {
        role: "tool",
        tool_call_id: "c",
        content: [text],
        cache_control,
      },
    ],
  );
});

Deno.test("chatBody sends messages that have Chat's own shape as they are (G9)", () => {
  const messages = [
    { role: "user", content: "Hi", name: "Ann" },
    {
      role: "assistant",
      content: null,
      reasoning_content: "Hm",
      tool_calls: [asked("a"), asked("b")],
    },
    { role: "tool", content: "1", tool_call_id: "a" },
    { role: "tool", content: "2", tool_call_id: "b" },
    { role: "assistant", content: "Done.", prefix: true },
  ];
  assertEquals(messagesOf(...messages), messages);
});

Deno.test("chatBody sends custom tools, their grammars and choices (G9)", () => {
  const grammar = { syntax: "lark", definition: "start: WORD" };
  const custom = { type: "custom", name: "g", description: "d" };
  const body = bodyOf({
    tools: [
      { ...custom, format: { type: "grammar", ...grammar } },
      { ...custom, format: { type: "text" } },
      // A server's own: Moonshot's, z.ai's, OpenRouter's.
      { type: "builtin_function", function: { name: "$web_search" } },
      { type: "web_search", web_search: { enable: true } },
      { type: "openrouter:web_search" },
      { type: "function", name: "f", cache_control: { type: "ephemeral" } },
    ],
    toolChoice: { name: "g" },
  });
  assertEquals(body.tools, [
    {
      type: "custom",
      custom: {
        name: "g",
        description: "d",
        format: { type: "grammar", grammar },
      },
    },
    {
      type: "custom",
      custom: { name: "g", description: "d", format: { type: "text" } },
    },
    { type: "builtin_function", function: { name: "$web_search" } },
    { type: "web_search", web_search: { enable: true } },
    { type: "openrouter:web_search" },
    {
      type: "function",
      function: { name: "f" },
      cache_control: { type: "ephemeral" },
    },
  ]);
  assertEquals(body.tool_choice, { type: "custom", custom: { name: "g" } });
  const f = { type: "function", name: "f" };
  assertEquals(
    bodyOf({
      tools: [f],
      toolChoice: { type: "allowed_tools", mode: "auto", tools: [f] },
    }).tool_choice,
    {
      type: "allowed_tools",
      allowed_tools: {
        mode: "auto",
        tools: [{ type: "function", function: { name: "f" } }],
      },
    },
  );
});

Deno.test("chatBody tells a model not to think as its server wants to be told (G10)", () => {
  const reasoning = { effort: "none" };
  assertEquals(bodyOf({}, { reasoning }).reasoning_effort, "none");
  const { thinking, reasoning_effort } = bodyOf(
    {},
    { reasoning },
    DEEPSEEK_TRAITS,
  );
  assertEquals(
    [thinking, reasoning_effort],
    [{ type: "disabled" }, undefined],
  );
  assertEquals(
    bodyOf({}, { reasoning: { effort: "high" } }, DEEPSEEK_TRAITS)
      .reasoning_effort,
    "high",
  );
});

Deno.test("chatBody sends reasoning back to the servers that want it, where they do (G8)", () => {
  const thought = (text: string): InputItem => ({
    type: "reasoning",
    summary: [],
    content: [{ type: "reasoning_text", text }],
  });
  const items = [
    user("1"),
    thought("p"),
    said("plain"),
    user("2"),
    thought("q"),
    said("Let me see."),
    call("a"),
    call("b"),
    functionCallOutput("a", "x"),
    functionCallOutput("b", "y"),
    thought("r"),
    said("Done."),
    user("3"),
    thought("cut off"),
  ];
  const sent = (reasoningBack: ServerTraits["reasoningBack"]) => {
    const { messages } = bodyOf({ input: items }, {}, { reasoningBack });
    if (!Array.isArray(messages)) throw new TypeError("no messages");
    assertEquals(messages.length, 8);
    return messages.filter(({ role }) => role === "assistant")
      .map((message) => message.reasoning_content);
  };
  assertEquals(sent("none"), [undefined, undefined, undefined]);
  assertEquals(sent("turn"), [undefined, "q", "r"]);
  assertEquals(sent("calls"), [undefined, "q", undefined]);
  assertEquals(sent("all"), ["p", "q", "r"]);
});

Deno.test("chatBody sends a signature back with what it signs (G8)", () => {
  const reasoning: InputItem = {
    type: "reasoning",
    summary: [],
    content: [{ type: "reasoning_text", text: "Hm" }],
    reasoning_opaque: "s",
  };
  assertEquals(messagesOf(reasoning, said("a")), [{
    role: "assistant",
    content: "a",
    reasoning_text: "Hm",
    reasoning_opaque: "s",
  }]);
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
