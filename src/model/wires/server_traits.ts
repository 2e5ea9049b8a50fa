// This module is browser compatible.

/**
 * The model's messages that go back to a Chat server with their reasoning, as
 * `reasoning_content`: none; those of a user's turn that has calls; those with
 * calls; all.
 */
export type ReasoningBack = "none" | "turn" | "calls" | "all";

/**
 * The differences between servers of one wire API. A client begins with what is known
 * of its provider, and learns the rest from refusals: see `Wire.learn`.
 */
export interface ServerTraits {
  /** Whether it takes being asked for the usage. Chat only. */
  readonly includeUsage: boolean;
  /** The name of the output's limit. Chat only. */
  readonly tokenLimit: "max_tokens" | "max_completion_tokens";
  /** The reasoning that is sent back. Chat only. */
  readonly reasoningBack: ReasoningBack;
  /** The reasoning that it has refused to get back: a server may complain of anything. */
  readonly reasoningRefused: readonly ReasoningBack[];
  /** Whether `thinking` says that the model is not to think. Chat only. */
  readonly hasThinking: boolean;
  /** Whether it takes a JSON Schema for the answer, and not only JSON. Chat only. */
  readonly hasJsonSchema: boolean;
  /** Whether it has encrypted reasoning to give. Responses only. */
  readonly encryptedReasoning: boolean;
  /** The most tokens of an answer; `undefined` while that is unknown. Messages only. */
  readonly maxTokens?: number;
  /** Whether thinking has a budget of tokens, and no effort. Messages only. */
  readonly hasThinkingBudget: boolean;
}

/** The traits of a server of which nothing is known. */
export const DEFAULT_TRAITS: ServerTraits = {
  includeUsage: true,
  tokenLimit: "max_tokens",
  reasoningBack: "none",
  reasoningRefused: [],
  hasThinking: false,
  hasJsonSchema: true,
  encryptedReasoning: true,
  hasThinkingBudget: false,
};

/**
 * DeepSeek demands the reasoning of all messages since the user's last one, if
 * there were calls. It did refuse reasoning of other messages.
 *
 * @see {@link https://api-docs.deepseek.com/guides/thinking_mode | DeepSeek: thinking mode}
 */
export const DEEPSEEK_TRAITS: ServerTraits = {
  ...DEFAULT_TRAITS,
  reasoningBack: "turn",
  hasThinking: true,
  hasJsonSchema: false,
};

/** The reasoning to try if a server wants more, or less, in this order. */
const MORE: readonly ReasoningBack[] = ["turn", "all"];
const LESS: readonly ReasoningBack[] = ["turn", "calls", "none"];

/**
 * Learns from the body of a refusal what a server of Chat takes.
 *
 * @param traits The traits assumed so far.
 * @param refusal The body of its answer.
 * @returns The new traits; `undefined` if the refusal is about something else.
 */
export function learnChatTraits(
  traits: ServerTraits,
  refusal: string,
): ServerTraits | undefined {
  if (traits.includeUsage && /stream_options|include_usage/i.test(refusal)) {
    return { ...traits, includeUsage: false };
  }
  if (
    // A complaint about its amount names only the field that was sent.
    traits.tokenLimit === "max_tokens" &&
    refusal.includes("max_completion_tokens")
  ) {
    return { ...traits, tokenLimit: "max_completion_tokens" };
  }
  if (traits.hasJsonSchema && /response_format|json_schema/.test(refusal)) {
    return { ...traits, hasJsonSchema: false };
  }
  if (!refusal.includes("reasoning_content")) return undefined;
  const { reasoningBack, reasoningRefused } = traits;
  const isDemand = /must be|missing|required|passed back/i.test(refusal);
  if (!isDemand && reasoningBack === "none") return undefined;
  const refused = [...reasoningRefused, reasoningBack];
  const next = (isDemand ? MORE : LESS).find((way) => !refused.includes(way));
  return next &&
    { ...traits, reasoningBack: next, reasoningRefused: refused };
}

/**
 * Learns from the body of a refusal what a server of the Responses API takes:
 * models that do not reason have no encrypted reasoning to give.
 *
 * @param traits The traits assumed so far.
 * @param refusal The body of its answer.
 * @returns The new traits; `undefined` if the refusal is about something else.
 */
export function learnResponsesTraits(
  traits: ServerTraits,
  refusal: string,
): ServerTraits | undefined {
  const isAboutIt = /encrypted.content[^"]{0,40}not supported/i.test(refusal) ||
    /["'`]include["'`[\\]/.test(refusal);
  return traits.encryptedReasoning && isAboutIt
    ? { ...traits, encryptedReasoning: false }
    : undefined;
}
