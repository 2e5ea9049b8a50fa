// This module is browser compatible.
import { messageOf } from "../fetch/message_of.ts";
import type { FunctionCallItem } from "./item.ts";
import {
  type AnySchema,
  holdAgainst,
  issuesText,
  wireSchemaOf,
} from "./model_schema.ts";
import type { Tool } from "./prompt.ts";

/** The facts of a call that a tool gets beside its arguments. */
export interface ToolContext {
  /** Aborted when the result is of no use any more: the run was aborted, or left. */
  readonly signal: AbortSignal;
  /** The call, as the model has made it. */
  readonly call: FunctionCallItem;
  /** The number of the run's response with the call, from 1. */
  readonly turn: number;
}

/**
 * A tool of {@linkcode runTools}.
 *
 * @typeParam T The type of its arguments.
 *
 * @example Options of a tool without arguments
 * ```ts
 * import type { ToolOptions } from "@rivulet/rivulet/model";
 *
 * const clock: ToolOptions<unknown> = {
 *   name: "time",
 *   description: "The time in UTC",
 *   run: () => new Date().toISOString(),
 * };
 * ```
 */
export interface ToolOptions<T> {
  /** The name by which the model calls it. */
  readonly name: string;
  /** The purpose of the tool, for the model to read. */
  readonly description?: string | undefined;
  /**
   * The schema of its arguments, which are held against it before it runs.
   *
   * @default an object without fields
   */
  readonly parameters?: AnySchema<T> | undefined;
  /**
   * Runs it. The model is sent what it returns, as JSON unless that is text or
   * parts, or the message of what it throws.
   *
   * @param input The arguments.
   * @param context The signal, and the call.
   */
  readonly run: (input: T, context: ToolContext) => unknown;
}

/**
 * A tool that can be run: see {@linkcode tool}.
 *
 * @example Show what the model is told of it
 * ```ts
 * import { type RunnableTool, tool } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const time: RunnableTool = tool({ name: "time", run: () => "noon" });
 * assertEquals(time.definition, {
 *   type: "function",
 *   name: "time",
 *   parameters: {
 *     type: "object",
 *     properties: {},
 *     required: [],
 *     additionalProperties: false,
 *   },
 *   strict: true,
 * });
 * ```
 */
export interface RunnableTool {
  /** The tool as the model is told of it. */
  readonly definition: Tool & { readonly name: string };
  /**
   * Runs it.
   *
   * @param context The signal, and the call.
   * @returns The output of the tool.
   * @throws {TypeError} If the arguments do not fit. Else what it throws.
   */
  readonly call: (context: ToolContext) => Promise<unknown>;
}

const NO_PARAMETERS = {
  jsonSchema: { type: "object", properties: {} },
};

/**
 * Makes a tool for {@linkcode runTools}.
 *
 * @typeParam T The type of its arguments, as its schema says.
 * @param options Its name, the schema of its arguments, and what runs it.
 * @returns The tool.
 * @throws {TypeError} If no JSON Schema can be made of `parameters`.
 *
 * @example With a schema of zod
 * ```ts
 * import { tool } from "@rivulet/rivulet/model";
 * import { z } from "zod";
 *
 * const weather = tool({
 *   name: "weather",
 *   description: "The weather in a city",
 *   parameters: z.object({ city: z.string() }),
 *   run: async ({ city }, { signal }) => {
 *     const response = await fetch(`https://example.com/weather/${city}`, { signal });
 *     return await response.json();
 *   },
 * });
 * ```
 */
export function tool<T = unknown>(options: ToolOptions<T>): RunnableTool {
  const { name, description, parameters, run } = options;
  const { schema, strict } = wireSchemaOf(
    parameters ?? NO_PARAMETERS,
    `make the tool '${name}'`,
    "parameters",
  );
  return {
    definition: {
      type: "function",
      name,
      ...(description === undefined ? {} : { description }),
      parameters: schema,
      strict,
    },
    async call(context) {
      const text = context.call.arguments;
      let value: unknown;
      try {
        // Some models send nothing where there is nothing to say.
        value = JSON.parse(text.trim() === "" ? "{}" : text);
      } catch (cause) {
        throw new TypeError(
          `The arguments are no JSON: ${messageOf(cause)}`,
          { cause },
        );
      }
      const result = await holdAgainst<T>(
        // Without a schema the arguments are of no type that anyone has given.
        parameters ?? (NO_PARAMETERS as AnySchema<T>),
        value,
      );
      if (result.issues !== undefined) {
        throw new TypeError(
          `The arguments are wrong: ${issuesText(result.issues)}`,
        );
      }
      return await run(result.value, context);
    },
  };
}
