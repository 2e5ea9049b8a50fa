// This module is browser compatible.
import type { FailureCode } from "../errors/model_error.ts";
import type { SaidError } from "./said_error.ts";

/** The meaning of an error. */
export interface Classification {
  /** The meaning, as far as there is a code for it. */
  readonly code: FailureCode | undefined;
  /**
   * Whether the same request may succeed later: `"final"`, no; `"temporary"`, yes;
   * `undefined` where nothing tells.
   */
  readonly outlook: "final" | "temporary" | undefined;
}

/** The meaning of each code, kind and reason, in lower case. */
const CODES = new Map<string, FailureCode>([
  ["context_length_exceeded", "context_length_exceeded"],
  ["exceed_context_size_error", "context_length_exceeded"],
  ["model_max_prompt_tokens_exceeded", "context_length_exceeded"],
  ["insufficient_quota", "insufficient_quota"],
  ["insufficient_balance", "insufficient_quota"],
  ["insufficient_credits", "insufficient_quota"],
  ["insufficient_user_quota", "insufficient_quota"],
  ["exceeded_current_quota_error", "insufficient_quota"],
  ["billing_hard_limit_reached", "insufficient_quota"],
  ["billing_not_active", "insufficient_quota"],
  ["billing_error", "insufficient_quota"],
  ["usage_not_included", "usage_not_included"],
  ["usage_limit_reached", "insufficient_quota"],
  ["cyber_policy", "cyber_policy"],
  ["invalid_prompt", "invalid_prompt"],
  ["rate_limit_exceeded", "rate_limit_exceeded"],
  ["rate_limit_error", "rate_limit_exceeded"],
  ["rate_limit_reached_error", "rate_limit_exceeded"],
  ["ratelimiterror", "rate_limit_exceeded"],
  ["ratelimitreached", "rate_limit_exceeded"],
  ["resource_exhausted", "rate_limit_exceeded"],
  ["too_many_requests", "rate_limit_exceeded"],
  ["throttling_error", "rate_limit_exceeded"],
  ["throttlingexception", "rate_limit_exceeded"],
  ["throttling", "rate_limit_exceeded"],
  ["server_is_overloaded", "server_is_overloaded"],
  ["slow_down", "server_is_overloaded"],
  ["overloaded_error", "server_is_overloaded"],
  ["engine_overloaded_error", "server_is_overloaded"],
  ["engine_overloaded", "server_is_overloaded"],
  ["overloaded", "server_is_overloaded"],
  ["unavailable", "server_is_overloaded"],
  ["serviceunavailableexception", "server_is_overloaded"],
]);

/** The meaning of the statuses that say more than whose fault it is. */
const STATUSES = new Map<number, FailureCode>([
  [402, "insufficient_quota"],
  [429, "rate_limit_exceeded"],
  [503, "server_is_overloaded"],
  [529, "server_is_overloaded"],
]);

/** A request that fails with one of these fails again. */
const FINAL: ReadonlySet<FailureCode> = new Set([
  "context_length_exceeded",
  "insufficient_quota",
  "usage_not_included",
  "cyber_policy",
  "invalid_prompt",
]);

/** Names of errors that are the caller's, in lower case. */
const CALLERS = new RegExp(
  `^(?:${
    [
      "(?:invalid_request|authentication|permission|not_found|billing|validation)(?:_?error)?",
      "(?:bad_?request|authentication|permission_?denied|not_?found|unprocessable_?entity)(?:_?error)?",
      "(?:validation|access_?denied|unrecognized_?client|resource_?not_?found)exception",
      "invalid_argument|unauthenticated|failed_precondition|out_of_range|unimplemented",
      "request_too_large|model_not_found|content_filter|content_policy_violation|tool_use_failed",
      "(?:invalid|unsupported|missing)_\\w+|\\w+_(?:too_large|too_small|policy_violation)",
    ].join("|")
  })$`,
);

/** Names of errors that pass, in lower case. */
const PASSING =
  /^(?:server_error|internal(?:_server)?_?error|internal|api_error|timeout(?:_error)?|deadline_exceeded|aborted|bad_gateway|service_unavailable(?:_error)?)$/;

/** Statuses below 500 that say "later" rather than "never". */
const LATER: ReadonlySet<number> = new Set([408, 409, 425, 429]);

/**
 * A prompt that is too long, in the words of providers that have no code for it:
 * Anthropic, Bedrock, OpenAI, Gemini, xAI, Groq, OpenRouter and vLLM, llama.cpp,
 * LM Studio, MiniMax, Kimi, Mistral.
 */
const TOO_LONG = new RegExp(
  [
    "prompt is too long",
    "input is too long for requested model",
    "exceeds? the context (?:window|length)",
    "input token count.{0,40}exceeds the maximum",
    "maximum prompt length is \\d",
    "reduce the length of the messages",
    "maximum context length (?:is|of) \\d",
    "exceeds? the available context size",
    "greater than the context length",
    "context window exceeds limit",
    "exceeded model token limit",
    "too large for model with \\d+ maximum context length",
    "context[_ ]length[_ ]exceeded",
  ].join("|"),
  "i",
);

/** An account without money, in words. */
const NO_CREDIT =
  /credit balance is too low|insufficient (?:account )?(?:balance|credits?|funds)/i;

/** A request that is larger than the limit of a minute: no wait makes it fit. */
const NEVER_FITS = /request too large|tokens must be reduced/i;

/**
 * Classifies an error: one table for statuses, codes and words, wherever the error
 * came from.
 *
 * @param said The error.
 * @param status The status code of the answer, if it is not a success. It outweighs
 * a status that the error names.
 * @returns Its meaning.
 */
export function classify(
  said: SaidError,
  status: number | undefined = said.status,
): Classification {
  const code = codeOf(said, status);
  return { code, outlook: outlookOf(code, said, status) };
}

function codeOf(
  { names, message }: SaidError,
  status: number | undefined,
): FailureCode | undefined {
  for (const name of names) {
    const code = CODES.get(name.toLowerCase());
    if (code !== undefined) return code;
  }
  if (status !== 429 && TOO_LONG.test(message)) {
    return "context_length_exceeded";
  }
  if (NO_CREDIT.test(message)) return "insufficient_quota";
  return STATUSES.get(status ?? NaN);
}

function outlookOf(
  code: FailureCode | undefined,
  { names, message }: SaidError,
  status: number | undefined,
): Classification["outlook"] {
  if (code !== undefined && FINAL.has(code)) return "final";
  if (status === 413 || NEVER_FITS.test(message)) return "final";
  if (code !== undefined || LATER.has(status ?? NaN)) return "temporary";
  const lower = names.map((name) => name.toLowerCase());
  if (lower.some((name) => CALLERS.test(name))) return "final";
  if (status !== undefined && status >= 400) {
    return status < 500 ? "final" : "temporary";
  }
  return lower.some((name) => PASSING.test(name)) ? "temporary" : undefined;
}
