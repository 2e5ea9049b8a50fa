// This module is browser compatible.
import * as z from "zod";
import { content, type Question } from "../speech.ts";

/**
 * The fields that are read from the body of `POST /v1/responses`; all others
 * are ignored.
 */
export const responseRequest = z.looseObject({
  model: z.string().default("hostile-1"),
  input: z.union([
    z.string(),
    z.array(z.looseObject({
      type: z.string().optional(),
      role: z.string().optional(),
      content: content.optional(),
      output: content.optional(),
    })),
  ]).default(""),
  stream: z.boolean().nullish(),
  background: z.boolean().nullish(),
  instructions: z.string().nullish(),
  max_output_tokens: z.int().nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  tools: z.array(z.looseObject({
    type: z.string(),
    name: z.string().optional(),
    parameters: z.unknown().optional(),
  })).nullish(),
  tool_choice: z.unknown().optional(),
});

/** A request for a response. */
export type ResponseRequest = z.infer<typeof responseRequest>;

/** Returns the question that a response is to answer. */
export function questionOf(read: ResponseRequest): Question {
  const { input, tools, tool_choice, max_output_tokens: limit } = read;
  const last = typeof input === "string"
    ? { type: "message", content: input, output: "" }
    : input.findLast(({ type, role }) =>
      type === "function_call_output" || role === "user"
    );
  const isToolResult = last?.type === "function_call_output";
  return {
    text: (isToolResult ? last?.output : last?.content) ?? "",
    isToolResult,
    tools: tool_choice === "none" ? [] : tools?.flatMap((tool) => {
      const { type, name, parameters } = tool;
      return type === "function" && name !== undefined
        ? { name, parameters }
        : [];
    }) ?? [],
    limit,
  };
}
