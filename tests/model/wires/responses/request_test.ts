import { assertEquals } from "@std/assert";
import { user } from "../../../../src/model/item.ts";
import type { Prompt, Reasoning } from "../../../../src/model/prompt.ts";
import {
  responsesBody,
  responsesPath,
  resumePath,
} from "../../../../src/model/wires/responses/request.ts";

const input = [user("Hello")];

function body(
  prompt: Partial<Prompt> = {},
  reasoning?: Reasoning,
  model = "gpt-5",
): Record<string, unknown> {
  return responsesBody({ model, prompt: { input, ...prompt }, reasoning });
}

// Point 5. `reasoning` is left out where the reference sends null.
Deno.test("responsesBody() makes the smallest body", () => {
  assertEquals(body(), {
    model: "gpt-5",
    input,
    tools: [],
    tool_choice: "auto",
    parallel_tool_calls: false,
    store: false,
    stream: true,
  });
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
    include: ["reasoning.encrypted_content"],
    text: { verbosity: "low" },
    background: true,
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
  [{ effort: "none", summary: "auto" }, undefined],
  [{ summary: "auto" }, undefined],
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
