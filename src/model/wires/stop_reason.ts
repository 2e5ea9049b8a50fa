// This module is browser compatible.

/** What servers say, in whatever case, when the model was done. */
const COMPLETE: ReadonlySet<string> = new Set([
  "stop",
  "tool_calls",
  "function_call",
  "eos",
  "eos_token",
  "end_turn",
  "stop_sequence",
  "tool_use",
]);

/**
 * Whether a `finish_reason`, or a `stop_reason`, says that the model was done.
 *
 * @param reason What the server says.
 * @returns Whether it does; if not, something has cut the answer off.
 */
export function saysDone(reason: string): boolean {
  return COMPLETE.has(reason.toLowerCase());
}
