// This module is browser compatible.
import { ResponseFailedError } from "../errors/response_failed_error.ts";
import { classify } from "../failures/classify.ts";
import { readSaidError } from "../failures/said_error.ts";
import { redactFields } from "../failures/redact_fields.ts";

/**
 * Reads an error that came in a stream.
 *
 * @param details The error, or what wraps it, or its message: any shape that
 * `readSaidError` knows.
 * @param now The time, in milliseconds since the epoch.
 * @returns The error to throw.
 */
export function readFailure(
  details: unknown,
  now: number = Date.now(),
): ResponseFailedError {
  const said = readSaidError(details, now);
  const { code, outlook } = classify(said);
  return new ResponseFailedError(
    code ?? "response_failed",
    outlook !== "final",
    {
      providerCode: said.code,
      providerMessage: said.message,
      providerType: said.type,
      param: said.param,
      retryAfter: outlook === "final" ? undefined : said.delay,
      details,
    },
  ).about({ requestId: said.requestId });
}

/**
 * Takes secrets out of what a provider says in a stream: there are some that quote
 * the key they refuse.
 *
 * @param error The error, as it was read.
 * @param redact Takes the secrets out of a text.
 * @returns The error to throw.
 */
export function redactFailure(
  error: ResponseFailedError,
  redact: (text: string) => string,
): ResponseFailedError {
  return readFailure(redactFields(error.details, redact)).about(error);
}
