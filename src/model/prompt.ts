// This module is browser compatible.
import { user } from "./input_items.ts";
import type { InputItem } from "./item.ts";
import type { AnySchema } from "./model_schema.ts";

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
  /** The kind of tool: `"function"`, `"custom"`, `"web_search"`, ... */
  type: string;
  /** The name by which the model calls it, if it has one. */
  name?: string;
  /** The description of its purpose, which the model reads. */
  description?: string;
  /** The JSON Schema of its arguments. */
  parameters?: Record<string, unknown> | null;
  /** Whether the model must keep to `parameters`. */
  strict?: boolean | null;
  /** All other fields. */
  [field: string]: unknown;
}

/**
 * Returns the name of a tool.
 *
 * @param tool The tool, in the shape of either API.
 * @returns The name; `undefined` if it has none.
 */
export function nameOf(tool: Tool): unknown {
  const { type, name } = tool;
  if (name !== undefined) return name;
  // Chat has one level more.
  const definition = tool[type];
  return typeof definition === "object" && definition !== null &&
      "name" in definition
    ? definition.name
    : undefined;
}

/**
 * The tools that the model may, or must, call: `"auto"` leaves it to the model,
 * `"none"` forbids calls, `"required"` demands one, `{ name }` demands that
 * tool. Any other choice that a provider knows is sent as it is, in the shape
 * of the Responses API.
 *
 * @example Demand a call
 * ```ts
 * import type { ToolChoice } from "@rivulet/rivulet/model";
 *
 * const choice: ToolChoice = { name: "weather" };
 * ```
 */
export type ToolChoice =
  | "auto"
  | "none"
  | "required"
  | { readonly name: string }
  | { readonly type: string; readonly [field: string]: unknown };

/**
 * A request to a model: a conversation, and settings for the answer.
 *
 * Settings have one name for every wire API, and are left out unless they are
 * given. If the provider's API has no place for a setting, the client throws a
 * `TypeError` before anything is sent.
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
  /** The application's instructions to the model. */
  instructions?: string | undefined;
  /**
   * The instructions of the application's user to the model. They follow
   * `instructions`.
   */
  userInstructions?: string | undefined;
  /** The conversation so far; text stands for one message of the user. */
  input: string | readonly InputItem[];
  /**
   * The tools that the model may call.
   *
   * @default {[]}
   */
  tools?: readonly Tool[] | undefined;
  /**
   * The tools that the model may, or must, call. Nothing is sent without
   * `tools`.
   *
   * @default what the provider thinks best: `"auto"`
   */
  toolChoice?: ToolChoice | undefined;
  /**
   * Whether the model may make several calls at once. Nothing is sent without
   * `tools`.
   *
   * @default what the provider thinks best
   */
  parallelToolCalls?: boolean | undefined;
  /** The freedom with which the model chooses its words: from 0 to 2, or to 1. */
  temperature?: number | undefined;
  /** The share of the most likely words that the model chooses from: from 0 to 1. */
  topP?: number | undefined;
  /** The most tokens that the model may write, its reasoning included. */
  maxOutputTokens?: number | undefined;
  /** Texts that end the answer where the model writes one of them. Chat and Messages. */
  stop?: string | readonly string[] | undefined;
  /** The same seed gives the same answer, as far as the provider can. Chat only. */
  seed?: number | undefined;
  /**
   * Whether the events with text are to tell how likely its tokens were; a number
   * asks for as many alternatives of each.
   */
  logprobs?: boolean | number | undefined;
  /** The response that this one goes on from, kept by the provider. Responses only. */
  previousResponseId?: string | undefined;
  /**
   * Whether the provider keeps the response.
   *
   * @default {false}
   */
  store?: boolean | undefined;
  /**
   * Further parts of the response. Responses only. Without `store`, the
   * encrypted reasoning is asked for anyway, which the next turn has to give back.
   */
  include?: readonly string[] | undefined;
  /**
   * The schema of an object that the answer is to fit: `final()` then has the value
   * as `parsed`. Of zod, or of any library with Standard Schema, or written by hand.
   */
  output?: AnySchema<unknown> | undefined;
  /**
   * The format and verbosity of the text: `{ format, verbosity }`, as in the
   * Responses API.
   */
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

/**
 * A prompt whose answer is to fit a schema.
 *
 * @typeParam T The type of the values that fit.
 *
 * @example Ask for data
 * ```ts
 * import type { StructuredPrompt } from "@rivulet/rivulet/model";
 * import { z } from "zod";
 *
 * const prompt: StructuredPrompt<{ degrees: number }> = {
 *   input: "How warm is it in Paris?",
 *   output: z.object({ degrees: z.number() }),
 * };
 * ```
 */
export type StructuredPrompt<T> = Omit<Prompt, "output"> & {
  /** The schema. */
  output: AnySchema<T>;
};

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

/** The amount of reasoning before an answer. */
export interface Reasoning {
  /**
   * The effort: `"minimal"`, `"low"`, `"medium"`, `"high"`; `"none"` tells the model
   * not to think.
   */
  effort?: string | undefined;
  /**
   * The summary of the reasoning: `"auto"`, `"concise"`, `"detailed"`; `"none"` leaves it
   * out. Responses and Messages only.
   */
  summary?: string | undefined;
}

/** The facts from which a wire API makes the body of a request. */
export interface RequestFacts {
  /** The model's name. */
  readonly model: string;
  /** The prompt. */
  readonly prompt: Prompt;
  /** The amount of reasoning; `undefined` leaves it to the provider. */
  readonly reasoning: Reasoning | undefined;
}
