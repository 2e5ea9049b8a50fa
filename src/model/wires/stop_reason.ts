// This module is browser compatible.
import type { SaidEnding } from "./ending.ts";

/** The meaning of a reason to stop. */
export type StopMeaning =
  | "completed"
  | "failed"
  /** The reason in the words of the Responses API. */
  | { readonly incomplete: string };

/** The meaning of each reason, in lower case. Any other reason means `incomplete`, for that reason. */
export type StopReasons = ReadonlyMap<string, StopMeaning>;

const CUT_AT_LIMIT: StopMeaning = { incomplete: "max_output_tokens" };
const CUT_BY_FILTER: StopMeaning = { incomplete: "content_filter" };

/**
 * The reasons of Chat (`finish_reason`) and of Messages (`stop_reason`): one table,
 * as gateways that translate between the two keep the other's words.
 */
export const STOP_REASONS: StopReasons = new Map<string, StopMeaning>([
  ["stop", "completed"],
  ["tool_calls", "completed"],
  ["function_call", "completed"],
  ["eos", "completed"],
  ["eos_token", "completed"],
  ["end_turn", "completed"],
  ["stop_sequence", "completed"],
  ["tool_use", "completed"],
  ["length", CUT_AT_LIMIT],
  ["max_tokens", CUT_AT_LIMIT],
  ["model_length", CUT_AT_LIMIT],
  ["content_filter", CUT_BY_FILTER],
  ["safety", CUT_BY_FILTER],
  ["refusal", CUT_BY_FILTER],
]);

/**
 * Returns the ending that a reason to stop means.
 *
 * @param reasons The table of the format.
 * @param field The name of the field that has the reason.
 * @param reason The reason, in whatever case.
 * @returns The ending.
 */
export function endingOfStop(
  reasons: StopReasons,
  field: string,
  reason: string,
): SaidEnding {
  const meaning = reasons.get(reason.toLowerCase()) ?? { incomplete: reason };
  switch (meaning) {
    case "completed":
      return { kind: "completed" };
    case "failed":
      return { kind: "failed", details: { code: reason } };
    default:
      return {
        kind: "incomplete",
        reason: meaning.incomplete,
        said: `${field}: ${reason}`,
      };
  }
}
