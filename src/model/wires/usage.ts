// This module is browser compatible.
import { z } from "zod";
import type { Usage } from "../usage.ts";

const count = z.number().nonnegative();

/** A detail that is odd does not spoil the rest. */
const detail = z.number().nonnegative().nullish().catch(undefined);

/** The names of Responses, and those of Chat; providers mix them. */
const schema = z.object({
  input_tokens: count.optional(),
  prompt_tokens: count.optional(),
  output_tokens: count.optional(),
  completion_tokens: count.optional(),
  total_tokens: count.optional().catch(undefined),
  input_tokens_details: z.object({ cached_tokens: detail }).nullish()
    .catch(undefined),
  prompt_tokens_details: z.object({ cached_tokens: detail }).nullish()
    .catch(undefined),
  /** DeepSeek's, beside the usual ones. */
  prompt_cache_hit_tokens: detail,
  output_tokens_details: z.object({ reasoning_tokens: detail }).nullish()
    .catch(undefined),
  completion_tokens_details: z.object({ reasoning_tokens: detail }).nullish()
    .catch(undefined),
});

/**
 * Reads the usage that a provider reports, in the names of either wire API.
 *
 * @param value The value of `usage`.
 * @returns The usage; `undefined` if it does not say what went in and what came out.
 */
export function parseUsage(value: unknown): Usage | undefined {
  const { success, data } = schema.safeParse(value);
  if (!success) return undefined;
  const input = data.input_tokens ?? data.prompt_tokens;
  const output = data.output_tokens ?? data.completion_tokens;
  if (input === undefined || output === undefined) return undefined;
  const cached = data.input_tokens_details?.cached_tokens ??
    data.prompt_tokens_details?.cached_tokens ?? data.prompt_cache_hit_tokens;
  const reasoning = data.output_tokens_details?.reasoning_tokens ??
    data.completion_tokens_details?.reasoning_tokens;
  return {
    inputTokens: input,
    ...(cached == null ? {} : { cachedInputTokens: cached }),
    outputTokens: output,
    ...(reasoning == null ? {} : { reasoningOutputTokens: reasoning }),
    totalTokens: data.total_tokens ?? input + output,
  };
}

/**
 * Whether two usages are the same.
 *
 * @param a One of them.
 * @param b The other; `undefined` if nothing was told.
 * @returns Whether they are.
 */
export function isSameUsage(a: Usage, b: Usage | undefined): boolean {
  return b !== undefined && a.inputTokens === b.inputTokens &&
    a.cachedInputTokens === b.cachedInputTokens &&
    a.outputTokens === b.outputTokens &&
    a.reasoningOutputTokens === b.reasoningOutputTokens &&
    a.totalTokens === b.totalTokens;
}
