// This module is browser compatible.
import { z } from "zod";
import { described } from "../sse/described.ts";
import { type InputItem, user } from "./item.ts";

/**
 * A tool that the model may call, in the shape of the Responses API: a function,
 * or what the provider runs itself.
 *
 * @example A function
 * ```ts
 * import type { Tool } from "@rivulet/rivulet/model";
 *
 * const weather: Tool = {
 *   type: "function",
 *   name: "weather",
 *   description: "The weather in a city",
 *   parameters: {
 *     type: "object",
 *     properties: { city: { type: "string" } },
 *     required: ["city"],
 *   },
 * };
 * ```
 */
export interface Tool {
  /** Which kind: `"function"`, `"custom"`, `"web_search"`, ... */
  type: string;
  /** What it is called with by the model, where it has a name. */
  name?: string;
  /** What it is good for, for the model to read. */
  description?: string;
  /** What it takes: a JSON Schema. */
  parameters?: Record<string, unknown> | null;
  /** Whether the model must keep to `parameters`. */
  strict?: boolean | null;
  /** What else there is. */
  [field: string]: unknown;
}

/**
 * What is asked of a model: a conversation, and how to go on with it.
 *
 * @example A question with instructions
 * ```ts
 * import { type Prompt, user } from "@rivulet/rivulet/model";
 *
 * const prompt: Prompt = {
 *   instructions: "Answer in one sentence.",
 *   input: [user("Why is the sky blue?")],
 * };
 * ```
 */
export interface Prompt {
  /** How the model is to behave, as the application has it. */
  instructions?: string | undefined;
  /** How the model is to behave, as the application's user has it: goes after `instructions`. */
  userInstructions?: string | undefined;
  /** The conversation so far; text stands for one message of the user. */
  input: string | readonly InputItem[];
  /**
   * What the model may call.
   *
   * @default {[]}
   */
  tools?: readonly Tool[] | undefined;
  /** The response that this one goes on from, kept by the provider. Responses only. */
  previousResponseId?: string | undefined;
  /**
   * Whether the provider keeps the response. Responses only.
   *
   * @default {false}
   */
  store?: boolean | undefined;
  /** What else the response is to have, such as `"reasoning.encrypted_content"`. Responses only. */
  include?: readonly string[] | undefined;
  /** What the text is to be like: `{ format, verbosity }`, as the Responses API has it. */
  text?: Record<string, unknown> | undefined;
  /**
   * Whether the provider goes on when nobody listens, so that a stream that breaks
   * off can be continued. Responses only; the provider may want `store` with it.
   *
   * @default {false}
   */
  background?: boolean | undefined;
  /** Put into the body as it is, over all else. */
  extra?: Record<string, unknown> | undefined;
}

const record = z.record(z.string(), z.unknown());

const schema = z.object({
  instructions: z.string().optional(),
  userInstructions: z.string().optional(),
  input: z.array(
    z.union([
      z.looseObject({ type: z.string() }),
      z.looseObject({
        role: z.string(),
        content: z.union([
          z.string(),
          z.array(z.looseObject({ type: z.string() })),
        ]),
      }),
    ], "must be an item with a 'type', or a message with 'role' and 'content'"),
  ),
  tools: z.array(z.looseObject({ type: z.string() })).optional(),
  previousResponseId: z.string().optional(),
  store: z.boolean().optional(),
  include: z.array(z.string()).optional(),
  text: record.optional(),
  background: z.boolean().optional(),
  extra: record.optional(),
});

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

/**
 * Returns the conversation of a prompt.
 *
 * @param prompt The prompt.
 * @returns Its items.
 */
export function inputItems({ input }: Prompt): readonly InputItem[] {
  return typeof input === "string" ? [user(input)] : input;
}

/**
 * All instructions of a prompt: the application's, then its user's.
 *
 * @param prompt The prompt.
 * @returns The instructions, joined by a newline; `undefined` if there are none.
 */
export function fullInstructions(prompt: Prompt): string | undefined {
  const { instructions, userInstructions } = prompt;
  const all = [instructions, userInstructions].filter((text) =>
    text !== undefined && text !== ""
  );
  return all.length === 0 ? undefined : all.join("\n");
}

/** How much a model is to think before it answers. */
export interface Reasoning {
  /** How much: `"minimal"`, `"low"`, `"medium"`, `"high"`; `"none"` leaves it out. */
  effort?: string | undefined;
  /** What is to be told of it: `"auto"`, `"concise"`, `"detailed"`; `"none"` leaves it out. Responses only. */
  summary?: string | undefined;
}

/** What the body of a request is made from. */
export interface RequestFacts {
  /** The model's name. */
  readonly model: string;
  /** The prompt. */
  readonly prompt: Prompt;
  /** How much the model is to think; `undefined` leaves it to the provider. */
  readonly reasoning: Reasoning | undefined;
}
