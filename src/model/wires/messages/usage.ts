// This module is browser compatible.
import type { Usage } from "../../usage.ts";
import { type Fields, isFields } from "../event_data.ts";
import { parseUsage } from "../usage.ts";

/**
 * The usage of a message: told at its start, and again, as far as it has changed,
 * at its end.
 */
export class MessageUsage {
  #raw: Fields = {};

  /**
   * Takes in what an event tells: every count takes the place of the one before.
   *
   * @param value The value of `usage`.
   * @returns The usage so far; `undefined` if it does not say what went in and
   * what came out.
   */
  take(value: unknown): Usage | undefined {
    if (!isFields(value)) return undefined;
    const told = Object.entries(value).filter(([, count]) => count != null);
    this.#raw = { ...this.#raw, ...Object.fromEntries(told) };
    const {
      input_tokens: input,
      cache_creation_input_tokens: written,
      cache_read_input_tokens: cached,
      output_tokens: output,
      output_tokens_details: details,
    } = this.#raw;
    const usage = parseUsage({
      // Anthropic leaves tokens read from the cache, or written to it, out of
      // `input_tokens`.
      input_tokens: typeof input === "number"
        ? input + countOf(written) + countOf(cached)
        : undefined,
      input_tokens_details: { cached_tokens: cached },
      cache_creation_input_tokens: written,
      output_tokens: output,
      output_tokens_details: {
        reasoning_tokens: isFields(details)
          ? details.thinking_tokens
          : undefined,
      },
      service_tier: this.#raw.service_tier,
    });
    return usage &&
      Object.defineProperty({ ...usage }, "raw", { value: this.#raw });
  }
}

function countOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
