// This module is browser compatible.
import * as z from "zod";
import { described } from "../sse/described.ts";
import { inputItems, type Prompt } from "./prompt.ts";

const record = z.record(z.string(), z.unknown());
const parts = z.array(z.looseObject({ type: z.string() }));

const message = z.union([
  z.looseObject({ role: z.string(), content: z.union([z.string(), parts]) }),
  // Chat's own shape: what the model said may be nothing but calls.
  z.looseObject({
    role: z.string(),
    content: z.null().optional(),
    tool_calls: z.array(z.looseObject({ id: z.string() })),
  }),
]);

const text = z.string("must be a text");

const output = z.object({
  call_id: text,
  output: z.union(
    [z.string(), parts],
    "must be a text or an array of parts: functionCallOutput() makes JSON of other values",
  ),
});

/** The fields that items need in a loop of calls. */
const calls: Readonly<Record<string, z.ZodType>> = {
  function_call: z.object({ call_id: text, name: text, arguments: text }),
  custom_tool_call: z.object({ call_id: text, name: text, input: text }),
  function_call_output: output,
  custom_tool_call_output: output,
};

const byHand = z.object({ jsonSchema: record });

/** Whether it is a schema; those of some libraries are functions. */
function isSchema(value: unknown): boolean {
  if (typeof value !== "object" && typeof value !== "function") return false;
  return value !== null && "~standard" in value ||
    byHand.safeParse(value).success;
}

const schema = z.object({
  instructions: z.string().optional(),
  userInstructions: z.string().optional(),
  input: z.array(
    z.union(
      [z.looseObject({ type: z.string() }), message],
      "must be an item with a 'type', or a message with 'role' and 'content'",
    ).superRefine((item, context) => {
      if (!("type" in item) || typeof item.type !== "string") return;
      if (item.type === "message" && !message.safeParse(item).success) {
        context.addIssue("must be a message with 'role' and 'content'");
      }
      const shape = Object.hasOwn(calls, item.type)
        ? calls[item.type]
        : undefined;
      const issue = shape?.safeParse(item).error?.issues[0];
      if (issue) {
        context.addIssue({
          code: "custom",
          path: [...issue.path],
          message: issue.message,
        });
      }
    }),
  ),
  tools: z.array(z.looseObject({ type: z.string() })).optional(),
  toolChoice: z.union([
    z.enum(["auto", "none", "required"]),
    z.looseObject({ name: z.string() }),
    z.looseObject({ type: z.string() }),
  ], "must be 'auto', 'none', 'required' or { name: 'TOOL' }").optional(),
  parallelToolCalls: z.boolean().optional(),
  temperature: z.number().nonnegative().optional(),
  topP: z.number().min(0).max(1).optional(),
  maxOutputTokens: z.number().int().positive().optional(),
  stop: z.union(
    [z.string(), z.array(z.string())],
    "must be a text or an array of texts",
  ).optional(),
  seed: z.number().int().optional(),
  logprobs: z.union(
    [z.boolean(), z.number().int().nonnegative()],
    "must be a boolean or a whole number",
  ).optional(),
  previousResponseId: z.string().optional(),
  store: z.boolean().optional(),
  include: z.array(z.string()).optional(),
  output: z.custom(
    isSchema,
    "must be a schema, such as z.object({ ... }) of zod, or { jsonSchema }",
  ).optional(),
  text: record.optional(),
  background: z.boolean().optional(),
  extra: record.optional(),
}).refine(
  ({ output, text }) => output === undefined || text?.format === undefined,
  {
    path: ["output"],
    message: "must not be given together with 'text.format'",
  },
);

/**
 * Refuses a prompt that is none.
 *
 * @param prompt The prompt.
 * @throws {TypeError} If something in it is missing, or not what it must be.
 */
export function checkPrompt(prompt: Prompt): void {
  const given: unknown = prompt;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    throw new TypeError(
      `Cannot stream as 'prompt' is not valid: must be an object, such as { input: "Hello" }: current value is ${
        described(given)
      }`,
    );
  }
  const { input } = prompt;
  if (typeof input !== "string" && !Array.isArray(input)) {
    throw new TypeError(
      `Cannot stream as 'prompt.input' is not valid: must be a text or an array of items: current value is ${
        described(input)
      }`,
    );
  }
  const { error } = schema.safeParse({ ...prompt, input: inputItems(prompt) });
  const issue = error?.issues[0];
  if (!issue) return;
  const path = ["prompt", ...issue.path].join(".");
  throw new TypeError(
    `Cannot stream as '${path}' is not valid: ${issue.message}`,
  );
}
