import { readFailure } from "../../../src/model/wires/failure.ts";
import type { Redact, Verdict } from "./judge.ts";
import { reason } from "./reason.ts";

/**
 * The verdict on a stream whose provider says that it has failed.
 *
 * @param details The error object, or, from the simplest servers, its message.
 * @param redact Takes the secrets out: there are providers that quote the key they
 * refuse.
 */
export function failed(details: unknown, redact: Redact): Verdict {
  const { providerCode = "", providerMessage } = readFailure(details);
  const said = [providerCode, providerMessage].filter((part) => part !== "");
  return {
    status: "failed",
    reason: reason(said.join(": ") || "the provider gives no reason", redact),
  };
}
