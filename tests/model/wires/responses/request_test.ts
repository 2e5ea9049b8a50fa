import { assertEquals, assertThrows } from "@std/assert";
import { assistant, user } from "../../../../src/model/input_items.ts";
import type { InputItem } from "../../../../src/model/item.ts";
import type {
  Prompt,
  Reasoning,
  ToolChoice,
} from "../../../../src/model/prompt.ts";
import {
  responsesBody,
  responsesPath,
  resumePath,
} from "../../../../src/model/wires/responses/request.ts";
import {
  DEFAULT_TRAITS,
  type ServerTraits,
} from "../../../../src/model/wires/server_traits.ts";

const input = [user("Hello")];

function body(
  prompt: Partial<Prompt> = {},
  reasoning?: Reasoning,
  model = "gpt-5",
  traits: Partial<ServerTraits> = {},
): Record<string, unknown> {
  return responsesBody(
    { model, prompt: { input, ...prompt }, reasoning },
    { ...DEFAULT_TRAITS, ...traits },
  );
}

// Point 5. What nobody has asked for is left out where the reference sends null,
// [] or its own choice (G10). The encrypted reasoning is what goes back (G8).
Deno.test("responsesBody() makes the smallest body", () => {
  assertEquals(body(), {
    model: "gpt-5",
    input,
    store: false,
    stream: true,
    include: ["reasoning.encrypted_content"],
  });
  const plain = body({}, undefined, "m", { encryptedReasoning: false });
  assertEquals(plain, { model: "m", input, store: false, stream: true });
});

// Point 5: the order, which a cache of prompts may depend on.
Deno.test("responsesBody() keeps the reference's order, and puts the rest after it", () => {
  const full = body({
    extra: { metadata: { a: "1" }, model: "other" },
    background: true,
    text: { verbosity: "low" },
    include: ["reasoning.encrypted_content"],
    store: true,
    previousResponseId: "resp_0",
    tools: [{ type: "web_search" }],
    toolChoice: "auto",
    parallelToolCalls: false,
    temperature: 0,
    topP: 0.5,
    maxOutputTokens: 100,
    logprobs: 2,
    userInstructions: "Be kind.",
    instructions: "Be brief.",
  }, { effort: "high", summary: "auto" });
  assertEquals(Object.keys(full), [
    "model",
    "instructions",
    "input",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "previous_response_id",
    "store",
    "stream",
    "include",
    "text",
    "background",
    "temperature",
    "top_p",
    "max_output_tokens",
    "top_logprobs",
    "metadata",
  ]);
  assertEquals(full, {
    model: "other",
    instructions: "Be brief.\nBe kind.",
    input,
    tools: [{ type: "web_search" }],
    tool_choice: "auto",
    parallel_tool_calls: false,
    reasoning: { effort: "high", summary: "auto" },
    previous_response_id: "resp_0",
    store: true,
    stream: true,
    include: ["reasoning.encrypted_content", "message.output_text.logprobs"],
    text: { verbosity: "low" },
    background: true,
    temperature: 0,
    top_p: 0.5,
    max_output_tokens: 100,
    top_logprobs: 2,
    metadata: { a: "1" },
  });
});

// Point 6, less the texts of one product's prompt.
const INSTRUCTIONS: [
  instructions: string | undefined,
  userInstructions: string | undefined,
  expected: string | undefined,
][] = [
  ["a", "b", "a\nb"],
  ["a", undefined, "a"],
  [undefined, "b", "b"],
  ["", "b", "b"],
  ["a", "", "a"],
  ["", "", undefined],
  [undefined, undefined, undefined],
];

Deno.test("responsesBody() joins instructions, and leaves them out if there are none", () => {
  for (const [instructions, userInstructions, expected] of INSTRUCTIONS) {
    const made = body({ instructions, userInstructions });
    assertEquals(made.instructions, expected);
    assertEquals("instructions" in made, expected !== undefined);
  }
});

// Point 7, for every model: the reference asks for "o" or "codex" in front.
const REASONING: [given: Reasoning | undefined, expected: unknown][] = [
  [{ effort: "low" }, { effort: "low" }],
  [{ effort: "medium", summary: "concise" }, {
    effort: "medium",
    summary: "concise",
  }],
  [{ effort: "high", summary: "none" }, { effort: "high" }],
  [{ effort: "high", summary: undefined }, { effort: "high" }],
  // G10: left out, the model thinks, and bills.
  [{ effort: "none", summary: "auto" }, { effort: "none", summary: "auto" }],
  [{ effort: "none" }, { effort: "none" }],
  [{ summary: "auto" }, { summary: "auto" }],
  [{}, undefined],
  [undefined, undefined],
];

Deno.test("responsesBody() asks for reasoning as the caller does", () => {
  for (const [given, expected] of REASONING) {
    for (const model of ["o3", "codex-mini-latest", "gpt-4.1", "mine"]) {
      const made = body({}, given, model);
      assertEquals(made.reasoning, expected);
      assertEquals("reasoning" in made, expected !== undefined);
    }
  }
});

// Point 8 is one product's tools: here they are the caller's, sent as they are.
Deno.test("responsesBody() sends tools and items as they are given", () => {
  const tools = [
    { type: "function", name: "f", parameters: null, strict: true, new: 1 },
    { type: "hologram" },
  ];
  const items = [
    { role: "user", content: "no type" },
    { type: "reasoning", id: "rs", encrypted_content: "x", summary: [] },
    { type: "hologram", depth: 3 },
  ];
  const made = body({ tools, input: items });
  assertEquals(made.tools, tools);
  assertEquals(made.input, items);
});

Deno.test("responsesBody() sends nothing about tools without tools (G10)", () => {
  for (const tools of [undefined, []]) {
    const made = body({ tools, toolChoice: "auto", parallelToolCalls: true });
    assertEquals(made, body());
  }
});

Deno.test("responsesBody() names the tool that must be called by its type", () => {
  const tools = [{ type: "function", name: "f" }, {
    type: "custom",
    name: "g",
  }];
  const choose = (toolChoice: ToolChoice) =>
    body({ tools, toolChoice }).tool_choice;
  assertEquals(choose("required"), "required");
  assertEquals(choose({ name: "f" }), { type: "function", name: "f" });
  assertEquals(choose({ name: "g" }), { type: "custom", name: "g" });
  assertEquals(choose({ type: "web_search" }), { type: "web_search" });
});

Deno.test("responsesBody() takes tools in the shape of Chat", () => {
  const definition = { name: "f", parameters: { type: "object" } };
  assertEquals(
    body({ tools: [{ type: "function", function: definition }] }).tools,
    [{ type: "function", ...definition }],
  );
});

const NO_PLACE: [path: string, prompt: Partial<Prompt>][] = [
  ["prompt.stop", { stop: "x" }],
  ["prompt.seed", { seed: 1 }],
  ["prompt.input.1.role", {
    input: [...input, { role: "tool", tool_call_id: "c", content: "1" }],
  }],
  ["prompt.input.0.tool_calls", {
    input: [{ role: "assistant", content: null, tool_calls: [{ id: "c" }] }],
  }],
  ["prompt.input.0.name", {
    input: [{ role: "user", name: "Ann", content: "Hi" }],
  }],
  ["prompt.input.0", {
    input: [{ type: "reasoning", id: "rs_1", summary: [] }, assistant("Hi")],
  }],
];

for (const [path, prompt] of NO_PLACE) {
  Deno.test(`responsesBody() refuses ${path} by name (G8, G9)`, () => {
    assertThrows(
      () => body(prompt),
      TypeError,
      `Cannot stream as the Responses API has no place for '${path}': `,
    );
  });
}

Deno.test("responsesBody() sends reasoning back that a provider can read, and nothing else of it (G8)", () => {
  const encrypted = {
    type: "reasoning",
    id: "rs_1",
    encrypted_content: "x",
    summary: [],
  };
  const open = {
    type: "reasoning",
    content: [{ type: "reasoning_text", text: "Hm" }],
  };
  const stored = { type: "reasoning", id: "rs_2", summary: [] };
  const cut = { ...stored, status: "incomplete" };
  const sent = (items: InputItem[], more = {}) =>
    body({ input: items, ...more }).input;
  const answer = assistant("Hi");
  for (const item of [encrypted, open]) {
    assertEquals(sent([item, answer]), [item, answer]);
  }
  for (
    const more of [{ store: true }, { extra: { store: true } }, {
      previousResponseId: "r",
    }]
  ) {
    assertEquals(sent([stored, answer], more), [stored, answer]);
  }
  // Reasoning that nothing follows is refused: the answer was cut off.
  assertEquals(sent([cut, answer]), [answer]);
  assertEquals(sent([encrypted, ...input]), input);
  assertEquals(sent([...input, encrypted]), input);
});

Deno.test("responsesBody() leaves out what an empty previous response would be", () => {
  assertEquals("previous_response_id" in body(), false);
  assertEquals(body({ previousResponseId: "r" }).previous_response_id, "r");
});

// Point 9: what is put after the base URL; the client joins them.
Deno.test("responsesPath is the reference's", () => {
  assertEquals(responsesPath, "/responses");
});

Deno.test("resumePath() says where to read on", () => {
  assertEquals(resumePath("resp_1"), {
    path: "/responses/resp_1",
    query: { stream: "true" },
  });
  assertEquals(resumePath("resp_1", 0), {
    path: "/responses/resp_1",
    query: { stream: "true", starting_after: "0" },
  });
  assertEquals(resumePath("../a?b", 41), {
    path: "/responses/..%2Fa%3Fb",
    query: { stream: "true", starting_after: "41" },
  });
});
