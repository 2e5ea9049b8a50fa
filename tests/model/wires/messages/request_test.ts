import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  functionCallOutput,
  type InputItem,
  ModelClient,
  type Prompt,
  providers,
  user,
} from "../../../../src/model/mod.ts";
import type { Reasoning } from "../../../../src/model/prompt.ts";
import {
  messagesBody,
  messagesPath,
} from "../../../../src/model/wires/messages/request.ts";
import { DEFAULT_TRAITS } from "../../../../src/model/wires/server_traits.ts";
import { readEvents } from "../../../../src/sse/mod.ts";
import { refusalOf } from "../../../support/model/messages_rules.ts";
import {
  readRecordings,
  recordingsMissing,
} from "../../../support/recordings/recordings.ts";
import {
  called,
  decodeData,
  itemsOf,
  said,
  START,
  stop,
  thinking,
  whole,
  type Wire,
} from "./decode.ts";

function bodyOf(
  prompt: Partial<Prompt>,
  reasoning?: Reasoning,
  model = "claude-sonnet-5",
): Record<string, unknown> {
  return messagesBody(
    { model, prompt: { input: "Hi", ...prompt }, reasoning },
    DEFAULT_TRAITS,
  );
}

const messagesOf = (...input: InputItem[]) => bodyOf({ input }).messages;

const call = (call_id: string, more = {}): InputItem => ({
  type: "function_call",
  id: "fc_1",
  call_id,
  name: "f",
  arguments: '{"a":1}',
  status: "completed",
  ...more,
});

const used = (id: string, more = {}) => ({
  type: "tool_use",
  id,
  name: "f",
  input: { a: 1 },
  ...more,
});

const result = (id: string, content: unknown, more = {}) => ({
  type: "tool_result",
  tool_use_id: id,
  content,
  ...more,
});

const words = (text: string, more = {}) => ({ type: "text", text, ...more });

Deno.test("messagesPath is right for base URLs with and without a version", () => {
  const table = [
    ["https://api.anthropic.com", "/v1/messages"],
    ["https://api.anthropic.com/", "/v1/messages"],
    ["https://api.anthropic.com/v1", "/messages"],
    ["https://api.anthropic.com/v1/", "/messages"],
    ["https://api.deepseek.com/anthropic", "/v1/messages"],
    ["http://localhost:8787/anthropic/v1", "/messages"],
  ] as const;
  for (const [base, path] of table) assertEquals(messagesPath(base), path);
});

Deno.test("messagesBody makes the smallest body", () => {
  const expected = {
    model: "claude-sonnet-5",
    max_tokens: 32_000,
    messages: [{ role: "user", content: [words("Hi")] }],
    stream: true,
  };
  assertEquals(JSON.stringify(bodyOf({})), JSON.stringify(expected));
});

Deno.test("messagesBody has the settings of a prompt", () => {
  const tools = [{ type: "function", name: "f" }];
  const body = bodyOf({
    temperature: 0.5,
    topP: 0.9,
    maxOutputTokens: 100,
    stop: "END",
    tools,
    toolChoice: { name: "f" },
    parallelToolCalls: false,
    logprobs: false,
  });
  assertEquals(body["temperature"], 0.5);
  assertEquals(body["top_p"], 0.9);
  assertEquals(body["max_tokens"], 100);
  assertEquals<unknown>(body["stop_sequences"], ["END"]);
  assertEquals(refusalOf(body), undefined);
  const disable_parallel_tool_use = true;
  const table: [Partial<Prompt>, unknown][] = [
    [{}, undefined],
    [{ parallelToolCalls: true }, undefined],
    [{ parallelToolCalls: false }, { type: "auto", disable_parallel_tool_use }],
    [{ toolChoice: "auto" }, { type: "auto" }],
    [{ toolChoice: "none", parallelToolCalls: false }, { type: "none" }],
    [{ toolChoice: "required" }, { type: "any" }],
    [{ toolChoice: { type: "function", name: "f" } }, {
      type: "tool",
      name: "f",
    }],
    [{ toolChoice: { name: "f" }, parallelToolCalls: false }, {
      type: "tool",
      name: "f",
      disable_parallel_tool_use,
    }],
    [{ toolChoice: { type: "any" } }, { type: "any" }],
  ];
  for (const [prompt, choice] of table) {
    const body = bodyOf({ tools, ...prompt });
    assertEquals<unknown>(body["tool_choice"], choice);
    assertEquals(refusalOf(body), undefined);
  }
  assertEquals(bodyOf({ toolChoice: "auto" })["tool_choice"], undefined);
});

Deno.test("messagesBody has a place for instructions, tools and a format", () => {
  const parameters = {
    type: "object",
    properties: { city: { type: "string" } },
  };
  const body = bodyOf({
    instructions: "Be short.",
    userInstructions: "Be kind.",
    tools: [
      {
        type: "function",
        name: "f",
        description: "d",
        parameters,
        strict: true,
      },
      { type: "function", name: "g", strict: false },
      { type: "function", function: { name: "h", parameters } },
      { type: "web_search_20250305", name: "web_search", max_uses: 3 },
    ],
    text: {
      format: {
        type: "json_schema",
        name: "n",
        strict: true,
        schema: { a: 1 },
      },
    },
    extra: { temperature: 0 },
  });
  assertEquals(body, {
    model: "claude-sonnet-5",
    max_tokens: 32_000,
    system: "Be short.\nBe kind.",
    messages: [{ role: "user", content: [words("Hi")] }],
    tools: [
      { name: "f", description: "d", input_schema: parameters, strict: true },
      { name: "g", input_schema: { type: "object", properties: {} } },
      { name: "h", input_schema: parameters },
      { type: "web_search_20250305", name: "web_search", max_uses: 3 },
    ],
    output_config: { format: { type: "json_schema", schema: { a: 1 } } },
    stream: true,
    temperature: 0,
  });
  assertEquals(refusalOf(body), undefined);
});

Deno.test("messagesBody asks for thinking as the model has it", () => {
  const table: [
    reasoning: Reasoning,
    model: string,
    thinking: unknown,
    config: unknown,
  ][] = [
    [{}, "claude-sonnet-5", undefined, undefined],
    [{ effort: "high" }, "claude-sonnet-5", { type: "adaptive" }, {
      effort: "high",
    }],
    [{ effort: "minimal" }, "claude-opus-4-6", { type: "adaptive" }, {
      effort: "low",
    }],
    [{ effort: "none" }, "claude-sonnet-5", { type: "disabled" }, undefined],
    [{ summary: "auto" }, "claude-sonnet-5", {
      type: "adaptive",
      display: "summarized",
    }, undefined],
    [
      { effort: "low", summary: "none" },
      "claude-sonnet-5",
      { type: "adaptive", display: "omitted" },
      { effort: "low" },
    ],
    ...[
      "claude-3-7-sonnet-20250219",
      "claude-sonnet-4-20250514",
      "claude-opus-4-1",
      "claude-sonnet-4-5-20250929",
      "claude-haiku-4-5",
      "us.anthropic.claude-sonnet-4-20250514-v1:0",
    ].map((model): typeof table[number] => [
      { effort: "medium" },
      model,
      { type: "enabled", budget_tokens: 10_000 },
      undefined,
    ]),
  ];
  for (const [reasoning, model, thinking, config] of table) {
    const body = bodyOf({}, reasoning, model);
    assertEquals(body["thinking"], thinking, model);
    assertEquals(body["output_config"], config, model);
    assertEquals(refusalOf(body), undefined, model);
  }
});

Deno.test("messagesBody puts the results of calls made at once into one message, before all else (G8)", () => {
  const input: InputItem[] = [
    user("Hi"),
    {
      type: "reasoning",
      content: [{ type: "reasoning_text", text: "hm" }],
      signature: "sig",
    },
    { type: "reasoning", content: [], redacted_data: "sealed" },
    {
      role: "assistant",
      content: [{ type: "output_text", text: "Well" }, {
        type: "output_text",
        text: "",
      }],
    },
    call("a", { caller: { type: "direct" } }),
    call("b"),
    user("And?"),
    functionCallOutput("a", "1"),
    { ...functionCallOutput("b", "2"), is_error: true },
  ];
  const body = bodyOf({ input });
  assertEquals<unknown>(body["messages"], [
    { role: "user", content: [words("Hi")] },
    {
      role: "assistant",
      content: [
        { type: "thinking", thinking: "hm", signature: "sig" },
        { type: "redacted_thinking", data: "sealed" },
        words("Well"),
        used("a", { caller: { type: "direct" } }),
        used("b"),
      ],
    },
    {
      role: "user",
      content: [
        result("a", "1"),
        result("b", "2", { is_error: true }),
        words("And?"),
      ],
    },
  ]);
  assertEquals(refusalOf(body), undefined);
});

Deno.test("messagesBody leaves out reasoning that Anthropic has not signed, or not to its end", () => {
  const content = [{ type: "reasoning_text", text: "hm" }];
  assertEquals<unknown>(
    messagesOf(
      user("Hi"),
      { type: "reasoning", content, encrypted_content: "OpenAI's" },
      { type: "reasoning", content, signature: "", status: "incomplete" },
      { role: "assistant", content: "Well" },
    ),
    [
      { role: "user", content: [words("Hi")] },
      { role: "assistant", content: [words("Well")] },
    ],
  );
});

Deno.test("messagesBody translates images and files", () => {
  const content = [
    { type: "input_image", image_url: "https://example.com/a.png" },
    {
      type: "input_image",
      image_url: "data:image/png;base64,QUJD",
      detail: "auto",
    },
    { type: "image_url", image_url: { url: "https://example.com/a.png" } },
    { type: "input_image", file_id: "file_1" },
    {
      type: "input_file",
      filename: "a.pdf",
      file_data: "data:application/pdf;base64,QUJD",
    },
    { type: "input_file", file_data: "data:text/csv;base64,w7w=" },
    { type: "input_file", file_url: "https://example.com/a.pdf" },
    { type: "file", file: { file_id: "file_2" } },
    words("as it is", { cache_control: { type: "ephemeral" } }),
  ];
  const url = { type: "url", url: "https://example.com/a.png" };
  const body = bodyOf({ input: [{ role: "user", content }] });
  assertEquals<unknown>(body["messages"], [{
    role: "user",
    content: [
      { type: "image", source: url },
      {
        type: "image",
        source: { type: "base64", media_type: "image/png", data: "QUJD" },
      },
      { type: "image", source: url },
      { type: "image", source: { type: "file", file_id: "file_1" } },
      {
        type: "document",
        source: { type: "base64", media_type: "application/pdf", data: "QUJD" },
        title: "a.pdf",
      },
      {
        type: "document",
        source: { type: "text", media_type: "text/plain", data: "ü" },
      },
      {
        type: "document",
        source: { type: "url", url: "https://example.com/a.pdf" },
      },
      { type: "document", source: { type: "file", file_id: "file_2" } },
      words("as it is", { cache_control: { type: "ephemeral" } }),
    ],
  }]);
  assertEquals(refusalOf(body), undefined);
});

Deno.test("messagesBody sends images and objects that a tool has returned (G9)", () => {
  const parts = [{
    type: "input_image",
    image_url: "data:image/png;base64,QUJD",
  }];
  const body = bodyOf({
    input: [
      call("a"),
      call("b"),
      { type: "function_call_output", call_id: "a", output: parts },
      { type: "function_call_output", call_id: "b", output: { degrees: 21 } },
    ],
  });
  const source = { type: "base64", media_type: "image/png", data: "QUJD" };
  assertEquals<unknown>(body["messages"], [
    { role: "assistant", content: [used("a"), used("b")] },
    {
      role: "user",
      content: [
        result("a", [{ type: "image", source }]),
        result("b", '{"degrees":21}'),
      ],
    },
  ]);
  assertEquals(refusalOf(body), undefined);
});

Deno.test("messagesBody keeps marks for the cache (G9)", () => {
  const cache_control = { type: "ephemeral", ttl: "1h" };
  const marked = { cache_control };
  const body = bodyOf({
    instructions: "Be short.",
    input: [
      {
        role: "system",
        content: [{ type: "input_text", text: "Long", ...marked }],
      },
      { role: "user", content: [{ type: "input_text", text: "a", ...marked }] },
      call("a", marked),
      { ...functionCallOutput("a", "1"), ...marked },
      { role: "user", content: "b", ...marked },
    ],
    tools: [{ type: "function", name: "f", ...marked }],
    extra: marked,
  });
  assertEquals<unknown>(body["system"], [
    words("Be short."),
    words("Long", marked),
  ]);
  assertEquals<unknown>(body["messages"], [
    { role: "user", content: [words("a", marked)] },
    { role: "assistant", content: [used("a", marked)] },
    { role: "user", content: [result("a", "1", marked), words("b", marked)] },
  ]);
  assertEquals<unknown>(body["tools"], [{
    name: "f",
    ...marked,
    input_schema: { type: "object", properties: {} },
  }]);
  assertEquals(body["cache_control"], cache_control);
  assertEquals(refusalOf(body), undefined);
});

Deno.test("messagesBody keeps a system message in its place", () => {
  assertEquals<unknown>(
    messagesOf(
      user("a"),
      { role: "developer", content: "Now in French" },
      user("b"),
    ),
    [
      { role: "user", content: [words("a")] },
      { role: "system", content: [words("Now in French")] },
      { role: "user", content: [words("b")] },
    ],
  );
});

Deno.test("messagesBody reads messages in the shape of Chat (G9)", () => {
  const body = bodyOf({
    input: [
      { role: "user", content: "Hi" },
      {
        role: "assistant",
        content: null,
        tool_calls: [{
          id: "functions.f:0",
          type: "function",
          function: { name: "f", arguments: '{"a":1}' },
        }],
      } as unknown as InputItem, // of another API
      { role: "tool", tool_call_id: "functions.f:0", content: "1" },
    ],
  });
  assertEquals<unknown>(body["messages"], [
    { role: "user", content: [words("Hi")] },
    { role: "assistant", content: [used("functions_f_0")] },
    { role: "user", content: [result("functions_f_0", "1")] },
  ]);
  assertEquals(refusalOf(body), undefined);
});

/** The values for which the API has no place, and their paths. */
const REFUSED: [path: string, prompt: Partial<Prompt>][] = [
  ["prompt.previousResponseId", { previousResponseId: "r" }],
  ["prompt.store", { store: true }],
  ["prompt.background", { background: true }],
  ["prompt.include", {
    include: ["reasoning.encrypted_content", "logprobs"],
  }],
  ["prompt.seed", { seed: 1 }],
  ["prompt.logprobs", { logprobs: 2 }],
  ["prompt.toolChoice", {
    tools: [{ type: "function", name: "f" }],
    toolChoice: { type: "allowed_tools", mode: "auto", tools: [] },
  }],
  ["prompt.text.verbosity", { text: { verbosity: "low" } }],
  ["prompt.text.format", { text: { format: { type: "json_object" } } }],
  ["prompt.tools.1", {
    tools: [{ type: "function", name: "f" }, { type: "custom", name: "g" }],
  }],
  ...([
    ["", { type: "custom_tool_call", call_id: "a", name: "f", input: "x" }],
    ["", {
      type: "local_shell_call",
      status: "completed",
      action: { type: "exec" },
    }],
    ["", { type: "web_search_call", id: "ws_1" }],
    ["", { type: "item_reference", id: "msg_1" }],
    [".arguments", call("a", { arguments: "{" })],
    [".arguments", call("a", { arguments: "[1]" })],
    [".name", { role: "user", content: "a", name: "Ada" }],
    [".role", { role: "critic", content: "a" }],
    [".content.0", { role: "user", content: [{ type: "input_audio" }] }],
    [".content.0", { role: "user", content: [{ type: "input_image" }] }],
    [".content.0.detail", {
      role: "user",
      content: [{ type: "input_image", image_url: "u", detail: "high" }],
    }],
    [".content.0", {
      role: "user",
      content: [{
        type: "input_file",
        file_data: "data:audio/wav;base64,QUJD",
      }],
    }],
  ] as [string, InputItem][]).map(([path, item]): typeof REFUSED[number] => [
    `prompt.input.1${path}`,
    { input: [user("Hi"), item] },
  ]),
];

Deno.test("messagesBody refuses by name what this API has no place for (G9)", () => {
  for (const [path, prompt] of REFUSED) {
    assertThrows(
      () => bodyOf(prompt),
      TypeError,
      `Cannot stream as Messages has no place for '${path}': `,
      path,
    );
  }
});

Deno.test({
  name: "messagesBody sends back what every recording has brought",
  ignore: recordingsMissing("messagesBody sends back what came"),
  fn: async () => {
    let seen = 0;
    for (const [name, bytes] of await readRecordings()) {
      if (!name.includes(".anthropic.")) continue;
      seen++;
      const wire: [string, string][] = [];
      const body = new Response(bytes.slice()).body!;
      for await (const { event, data } of readEvents(body)) {
        wire.push([event, data]);
      }
      const output = itemsOf(decodeData(wire));
      const results = output.flatMap((item) =>
        item.type === "function_call"
          ? [functionCallOutput(item.call_id, "1")]
          : []
      );
      const request = bodyOf({ input: [user("Hi"), ...output, ...results] });
      assertEquals(refusalOf(request), undefined, name);
      // Every block as it was, in its order.
      const blocks = wire.map(([, data]) => JSON.parse(data))
        .filter(({ type }) => type === "content_block_start")
        .map(({ content_block }) => content_block.type);
      const [, answer] = request["messages"] as { content: Wire[] }[]; // as it was made
      assertEquals(answer?.content.map(({ type }) => type), blocks, name);
    }
    assert(seen >= 5);
  },
});

Deno.test("The tool loop of the README goes on for ten turns by Messages (G8)", async () => {
  const requests: Record<string, unknown>[] = [];
  const client = new ModelClient({
    model: "claude-sonnet-5",
    provider: { ...providers.anthropic, apiKey: "key" },
    reasoning: { effort: "high" },
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const body = await request.json();
      const refusal = refusalOf(body);
      if (refusal !== undefined) {
        const error = { type: "invalid_request_error", message: refusal };
        return Response.json({ type: "error", error }, { status: 400 });
      }
      requests.push(body);
      const turn = requests.length;
      const events = [
        START,
        ...whole(
          0,
          { type: "thinking", thinking: "", signature: "" },
          thinking(0, `turn ${turn}`),
          {
            type: "content_block_delta",
            index: 0,
            delta: { type: "signature_delta", signature: `sig${turn}` },
          },
        ),
        ...whole(1, { type: "redacted_thinking", data: `sealed${turn}` }),
        ...said(2, `I call ${turn}`),
        ...(turn === 10 ? stop("end_turn") : [
          ...called(3, `toolu_${turn}_a`, "", '{"n":', `${turn}}`),
          ...called(4, `toolu_${turn}_b`),
          ...stop("tool_use"),
        ]),
      ];
      return new Response(
        events.map((event) =>
          `event: ${event["type"]}\ndata: ${JSON.stringify(event)}\n\n`
        ).join(""),
        { headers: { "content-type": "text/event-stream" } },
      );
    },
  });
  let input: InputItem[] = [user("Go")];
  for (let turn = 1; turn <= 10; turn++) {
    const { output, status } = await (await client.stream({ input })).final();
    assertEquals(status, "completed");
    const results = output.flatMap((item) =>
      item.type === "function_call"
        ? [functionCallOutput(item.call_id, item.arguments)]
        : []
    );
    assertEquals(results.length, turn === 10 ? 0 : 2);
    input = [...input, ...output, ...results];
  }
  const last = requests.at(-1)?.["messages"] as { content: Wire[] }[]; // as it was sent
  assertEquals(last.length, 19);
  assertEquals(last[17]?.content, [
    { type: "thinking", thinking: "turn 9", signature: "sig9" },
    { type: "redacted_thinking", data: "sealed9" },
    words("I call 9"),
    { type: "tool_use", id: "toolu_9_a", name: "f", input: { n: 9 } },
    { type: "tool_use", id: "toolu_9_b", name: "f", input: {} },
  ]);
});
