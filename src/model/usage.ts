// This module is browser compatible.

/**
 * The cost of a response, in tokens.
 *
 * @example Add up what a conversation has cost
 * ```ts
 * import type { Usage } from "@rivulet/rivulet/model";
 *
 * const total = (turns: Usage[]): number =>
 *   turns.reduce((sum, { totalTokens }) => sum + totalTokens, 0);
 * ```
 */
export interface Usage {
  /** Of the prompt, those from the cache counted. */
  readonly inputTokens: number;
  /** Of the prompt, those that came from the provider's cache. */
  readonly cachedInputTokens?: number;
  /** Of the prompt, those that were written to the provider's cache. */
  readonly cacheWriteInputTokens?: number;
  /** Of the answer, those of the reasoning counted. */
  readonly outputTokens: number;
  /** Of the answer, those of the reasoning. */
  readonly reasoningOutputTokens?: number;
  /** All together. */
  readonly totalTokens: number;
  /** The price, where the provider says it: in its own unit (OpenRouter: US dollars). */
  readonly cost?: number;
  /** The tier that the provider has served the response in. */
  readonly serviceTier?: string;
  /**
   * The usage as the wire has it, with all that has no field here. It is not
   * enumerable: a copy of a usage has its fields alone.
   */
  readonly raw?: unknown;
}
