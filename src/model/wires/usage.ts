// This module is browser compatible.
import * as z from "zod";
import type { Usage } from "../usage.ts";

const count = z.number().nonnegative().nullish();

/** A detail that is odd does not spoil the rest. */
const detail = count.catch(undefined);

const inputDetails = z.object({
  cached_tokens: detail,
  cache_write_tokens: detail,
}).nullish().catch(undefined);
const outputDetails = z.object({ reasoning_tokens: detail }).nullish()
  .catch(undefined);

/** The names of Responses, and those of Chat; providers mix them. */
const schema = z.object({
  input_tokens: count,
  prompt_tokens: count,
  output_tokens: count,
  completion_tokens: count,
  total_tokens: detail,
  input_tokens_details: inputDetails,
  prompt_tokens_details: inputDetails,
  /** DeepSeek's, beside the usual ones. */
  prompt_cache_hit_tokens: detail,
  /** Anthropic's, of gateways that keep it. */
  cache_creation_input_tokens: detail,
  output_tokens_details: outputDetails,
  completion_tokens_details: outputDetails,
  cost: detail,
  /** Anthropic's; elsewhere it is beside the usage. */
  service_tier: z.string().nullish().catch(undefined),
});

/**
 * Reads the usage that a provider reports, in the names of either wire API.
 *
 * @param value The value of `usage`.
 * @param serviceTier The tier, where the response says it beside the usage.
 * @returns The usage; `undefined` if it does not say what went in and what came out.
 */
export function parseUsage(
  value: unknown,
  serviceTier?: unknown,
): Usage | undefined {
  const { success, data } = schema.safeParse(value);
  if (!success) return undefined;
  const input = first(data.input_tokens, data.prompt_tokens);
  const output = first(data.output_tokens, data.completion_tokens);
  if (input === undefined || output === undefined) return undefined;
  const inputs = [data.input_tokens_details, data.prompt_tokens_details];
  const cached = first(
    ...inputs.map((one) => one?.cached_tokens),
    data.prompt_cache_hit_tokens,
  );
  const cacheWrite = first(
    ...inputs.map((one) => one?.cache_write_tokens),
    data.cache_creation_input_tokens,
  );
  const reasoning = first(
    data.output_tokens_details?.reasoning_tokens,
    data.completion_tokens_details?.reasoning_tokens,
  );
  const { cost, total_tokens: total, service_tier = serviceTier } = data;
  const usage: Usage = {
    inputTokens: input,
    ...(cached === undefined ? {} : { cachedInputTokens: cached }),
    ...(cacheWrite === undefined ? {} : { cacheWriteInputTokens: cacheWrite }),
    outputTokens: output,
    ...(reasoning === undefined ? {} : { reasoningOutputTokens: reasoning }),
    totalTokens: total || input + output,
    ...(cost == null ? {} : { cost }),
    ...(typeof service_tier === "string" ? { serviceTier: service_tier } : {}),
  };
  return Object.defineProperty(usage, "raw", { value });
}

/**
 * The first number that says anything: gateways fill the names that a provider
 * does not use with 0.
 */
function first(
  ...values: readonly (number | null | undefined)[]
): number | undefined {
  const given = values.filter((value) => value != null);
  return given.find((value) => value > 0) ?? given[0];
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
    a.cacheWriteInputTokens === b.cacheWriteInputTokens &&
    a.outputTokens === b.outputTokens &&
    a.reasoningOutputTokens === b.reasoningOutputTokens &&
    a.totalTokens === b.totalTokens && a.cost === b.cost &&
    a.serviceTier === b.serviceTier;
}
