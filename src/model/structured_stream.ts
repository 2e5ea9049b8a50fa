// This module is browser compatible.
import { OutputError } from "./errors/output_error.ts";
import { CALLERS_CALLS } from "./item.ts";
import { type AnySchema, holdAgainst, issuesText } from "./model_schema.ts";
import type { Opened } from "./requester.ts";
import {
  type FinalResponse,
  ResponseStream,
  type ResponseStreamOptions,
} from "./response_stream.ts";

/**
 * A response whose text fits the schema of the prompt's `output`, if it is whole.
 *
 * @typeParam T The type of `parsed`.
 *
 * @example Take the value of a whole answer
 * ```ts
 * import type { StructuredResponse } from "@rivulet/rivulet/model";
 *
 * const degreesIn = (response: StructuredResponse<{ degrees: number }>): number =>
 *   response.status === "completed" ? response.parsed.degrees : NaN;
 * ```
 */
export type StructuredResponse<T> =
  | (Extract<FinalResponse, { readonly status: "completed" }> & {
    /** The value; `undefined` if the model calls tools in place of an answer. */
    readonly parsed: T;
  })
  | (Extract<FinalResponse, { readonly status: "incomplete" }> & {
    /** Nothing: the text was cut off. */
    readonly parsed?: undefined;
  });

/**
 * The events of a response to a prompt with `output`: {@linkcode ResponseStream},
 * whose `final()` holds the text against the schema.
 *
 * @typeParam T The type of the value.
 *
 * @example Ask for data
 * ```ts
 * import { ModelClient, providers } from "@rivulet/rivulet/model";
 * import { HostileProvider } from "@rivulet/rivulet/testing";
 * import { assertRejects } from "@std/assert";
 * import { z } from "zod";
 *
 * const hostile = new HostileProvider(); // says something else than was asked for
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: { ...providers.openai, apiKey: "a key" },
 *   fetch: (...request) => hostile.fetch(new Request(...request)),
 * });
 * const stream = await client.stream({
 *   input: "How warm is it in Paris?",
 *   output: z.object({ degrees: z.number() }),
 * });
 * await assertRejects(() => stream.final(), Error, "The answer does not fit 'output'");
 * ```
 */
export class StructuredStream<T> extends ResponseStream {
  readonly #schema: AnySchema<T>;
  #parsed: Promise<StructuredResponse<T>> | undefined;

  /** Made by {@linkcode ModelClient.stream}. */
  constructor(
    opened: Opened,
    options: ResponseStreamOptions,
    schema: AnySchema<T>,
  ) {
    super(opened, options);
    this.#schema = schema;
  }

  /**
   * Reads the response to its end, as that of {@linkcode ResponseStream} does, and
   * holds its text against the schema.
   *
   * @returns The whole response, with the value as `parsed`.
   * @throws {OutputError} If the text of the whole response does not fit.
   * @throws {ModelError} If the response failed, or its stream broke off.
   */
  override final(): Promise<StructuredResponse<T>> {
    return this.#parsed ??= this.#parse(super.final());
  }

  async #parse(
    final: Promise<FinalResponse>,
  ): Promise<StructuredResponse<T>> {
    const response = await final;
    if (response.status === "incomplete") return response;
    // Text beside calls is not the answer yet.
    if (response.output.some(({ type }) => CALLERS_CALLS.has(type))) {
      // The type says so where the prompt has tools: see ModelClient.stream().
      return { ...response, parsed: undefined as T };
    }
    const parsed = await parse(response, this.#schema);
    return { ...response, parsed };
  }
}

async function parse<T>(
  response: FinalResponse,
  schema: AnySchema<T>,
): Promise<T> {
  const { outputText: text, responseId, usage } = response;
  const facts = { responseId, usage };
  const refusal = refusalIn(response);
  if (text === "" && refusal !== "") {
    throw new OutputError(refusal, "is a refusal").about(facts);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = text === "" ? "has no text" : "is no JSON";
    throw new OutputError(text, reason, [], { cause }).about(facts);
  }
  const result = await holdAgainst(schema, value);
  if (result.issues === undefined) return result.value;
  const { issues } = result;
  throw new OutputError(text, `is wrong (${issuesText(issues)})`, issues)
    .about(facts);
}

function refusalIn({ output }: FinalResponse): string {
  let text = "";
  for (const item of output) {
    if (item.type !== "message") continue;
    for (const part of item.content) {
      if (part.type === "refusal") text += String(part.refusal);
    }
  }
  return text;
}
