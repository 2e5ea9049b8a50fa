import type { Redact, Verdict } from "./judge.ts";
import { reason } from "./reason.ts";

/**
 * The verdict on a stream that was over before its provider had said so.
 *
 * @param missing What should have come.
 * @param how Whether the body has ended as bodies do.
 * @param error What was thrown, where it was broken.
 * @param redact Takes the secrets out.
 */
export function truncated(
  missing: string,
  how: "clean" | "broken",
  error: unknown,
  redact: Redact,
): Verdict {
  const what = how === "clean" ? "stream closed" : "connection lost";
  const why = error instanceof Error && error.message !== ""
    ? `: ${error.message}`
    : "";
  return {
    status: "truncated",
    reason: reason(`${what} before ${missing}${why}`, redact),
  };
}
