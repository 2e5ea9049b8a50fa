import { assertEquals } from "@std/assert";
import type { Usage } from "../../../src/model/usage.ts";
import { parseUsage } from "../../../src/model/wires/usage.ts";

// Point 28, less its all or nothing.
const CASES: [what: string, value: unknown, expected: Usage | undefined][] = [
  ["Responses", {
    input_tokens: 10,
    input_tokens_details: { cached_tokens: 4, cache_write_tokens: 1 },
    output_tokens: 5,
    output_tokens_details: { reasoning_tokens: 3 },
    total_tokens: 15,
  }, {
    inputTokens: 10,
    cachedInputTokens: 4,
    cacheWriteInputTokens: 1,
    outputTokens: 5,
    reasoningOutputTokens: 3,
    totalTokens: 15,
  }],
  ["Chat", {
    prompt_tokens: 10,
    completion_tokens: 5,
    total_tokens: 15,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
    cost: 0.1,
  }, {
    inputTokens: 10,
    cachedInputTokens: 0,
    outputTokens: 5,
    reasoningOutputTokens: 0,
    totalTokens: 15,
    cost: 0.1,
  }],
  ["names of both APIs, of which one has a value (G3)", {
    prompt_tokens: 0,
    completion_tokens: 0,
    total_tokens: 0,
    input_tokens: 12,
    output_tokens: 5,
    prompt_tokens_details: { cached_tokens: 3 },
    input_tokens_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 2 },
    output_tokens_details: { reasoning_tokens: 0 },
  }, {
    inputTokens: 12,
    cachedInputTokens: 3,
    outputTokens: 5,
    reasoningOutputTokens: 2,
    totalTokens: 17,
  }],
  ["names of both APIs, of which one is null", {
    prompt_tokens: 12,
    completion_tokens: 5,
    input_tokens: null,
    output_tokens: null,
  }, { inputTokens: 12, outputTokens: 5, totalTokens: 17 }],
  ["a price, a tier and what was written to the cache (G15)", {
    prompt_tokens: 12,
    completion_tokens: 5,
    cache_creation_input_tokens: 4,
    cost: 0.00014,
    service_tier: "priority",
  }, {
    inputTokens: 12,
    cacheWriteInputTokens: 4,
    outputTokens: 5,
    totalTokens: 17,
    cost: 0.00014,
    serviceTier: "priority",
  }],
  ["DeepSeek's cache", {
    prompt_tokens: 10,
    completion_tokens: 5,
    total_tokens: 15,
    prompt_cache_hit_tokens: 8,
    prompt_cache_miss_tokens: 2,
  }, {
    inputTokens: 10,
    cachedInputTokens: 8,
    outputTokens: 5,
    totalTokens: 15,
  }],
  ["no details", { input_tokens: 1, output_tokens: 2, total_tokens: 3 }, {
    inputTokens: 1,
    outputTokens: 2,
    totalTokens: 3,
  }],
  ["details that are null", {
    prompt_tokens: 1,
    completion_tokens: 2,
    total_tokens: 3,
    prompt_tokens_details: null,
    completion_tokens_details: null,
    prompt_cache_hit_tokens: null,
  }, { inputTokens: 1, outputTokens: 2, totalTokens: 3 }],
  ["details that are odd", {
    prompt_tokens: 1,
    completion_tokens: 2,
    total_tokens: 3,
    prompt_tokens_details: { cached_tokens: "many" },
    completion_tokens_details: 7,
  }, { inputTokens: 1, outputTokens: 2, totalTokens: 3 }],
  ["no total", { prompt_tokens: 1, completion_tokens: 2 }, {
    inputTokens: 1,
    outputTokens: 2,
    totalTokens: 3,
  }],
  ["an odd total", {
    prompt_tokens: 1,
    completion_tokens: 2,
    total_tokens: null,
  }, { inputTokens: 1, outputTokens: 2, totalTokens: 3 }],
  ["a total that is more than both", {
    prompt_tokens: 43,
    completion_tokens: 10,
    total_tokens: 60,
  }, { inputTokens: 43, outputTokens: 10, totalTokens: 60 }],
  ["nothing at all", {
    prompt_tokens: 0,
    completion_tokens: 0,
    total_tokens: 0,
  }, { inputTokens: 0, outputTokens: 0, totalTokens: 0 }],
  ["names of both APIs", {
    input_tokens: 1,
    completion_tokens: 2,
    prompt_tokens: 9,
  }, { inputTokens: 1, outputTokens: 2, totalTokens: 3 }],
  ["only what went in", { prompt_tokens: 1, total_tokens: 1 }, undefined],
  ["only what came out", { output_tokens: 1 }, undefined],
  [
    "text for a number",
    { prompt_tokens: "1", completion_tokens: 2 },
    undefined,
  ],
  ["less than nothing", { prompt_tokens: -1, completion_tokens: 2 }, undefined],
  ["an empty object", {}, undefined],
  ["null", null, undefined],
  ["undefined", undefined, undefined],
  ["an array", [1, 2, 3], undefined],
  ["a number", 15, undefined],
];

Deno.test("parseUsage() keeps what has come, and the tier beside it (G15)", () => {
  const value = { input_tokens: 1, output_tokens: 2, more: { audio: 3 } };
  const usage = parseUsage(value, "flex");
  assertEquals(usage?.raw, value);
  assertEquals(usage?.serviceTier, "flex");
  // A copy has the fields, and a comparison looks at nothing else.
  assertEquals(Object.keys({ ...usage }).includes("raw"), false);
});

for (const [what, value, expected] of CASES) {
  Deno.test(`parseUsage() reads ${what}`, () => {
    const usage = parseUsage(value);
    assertEquals(usage, expected);
    // A detail that is not told is not there.
    assertEquals(
      Object.values(usage ?? {}).includes(undefined as never),
      false,
    );
  });
}
