// This module is browser compatible.
import { z } from "zod";
import type { FailureCode } from "../errors/model_error.ts";
import { ResponseFailedError } from "../errors/response_failed_error.ts";

/** What each code of a provider means. */
const CODES = new Map<string, FailureCode>(Object.entries({
  context_length_exceeded: "context_length_exceeded",
  insufficient_quota: "insufficient_quota",
  usage_not_included: "usage_not_included",
  cyber_policy: "cyber_policy",
  invalid_prompt: "invalid_prompt",
  rate_limit_exceeded: "rate_limit_exceeded",
  server_is_overloaded: "server_is_overloaded",
  slow_down: "server_is_overloaded",
  // Of the status that some give in place of a code.
  402: "insufficient_quota",
  429: "rate_limit_exceeded",
  503: "server_is_overloaded",
}));

/** With these it is no use to ask again. */
const FINAL: ReadonlySet<FailureCode> = new Set([
  "context_length_exceeded",
  "insufficient_quota",
  "usage_not_included",
  "cyber_policy",
  "invalid_prompt",
]);

/** Kinds of errors that are the caller's. */
const FINAL_TYPE =
  /^(?:invalid_request|authentication|permission|not_found|billing)(?:_error)?$/;

/** Where a rate limit ends, in words: the only place where some providers say it. */
const TRY_AGAIN = /try again in\s*(\d+(?:\.\d+)?)\s*(ms|s|seconds?)/i;

const text = z.string().nullish().catch(undefined);
const code = z.union([z.string(), z.number()]).nullish().catch(undefined);

const schema = z.object({
  code,
  type: text,
  message: text,
  param: text,
  status: code,
  status_code: code,
});

/**
 * Reads an error that came in a stream.
 *
 * @param details The error object, or, from the simplest servers, its message.
 * @returns The error to throw.
 */
export function readFailure(details: unknown): ResponseFailedError {
  const error = schema.safeParse(
    typeof details === "object" ? details : { message: String(details) },
  ).data ?? {};
  // An event of the type "error" that is the error itself: no kind of error.
  const type = error.type === "error" ? undefined : error.type ?? undefined;
  const providerCode = error.code ?? type;
  const status = Number(error.status_code ?? error.status ?? error.code);
  const known = CODES.get(String(error.code)) ?? CODES.get(String(type)) ??
    CODES.get(String(status)) ?? "response_failed";
  const isCallers = FINAL_TYPE.test(type ?? "") ||
    status >= 400 && status < 500 && ![408, 409, 425, 429].includes(status);
  const message = error.message ?? "";
  return new ResponseFailedError(
    known,
    !FINAL.has(known) && (known !== "response_failed" || !isCallers),
    {
      providerCode: providerCode === undefined
        ? undefined
        : String(providerCode),
      providerMessage: message,
      providerType: type,
      param: error.param ?? undefined,
      retryAfter: known === "rate_limit_exceeded"
        ? readDelay(message)
        : undefined,
      details,
    },
  );
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
  return readFailure(redactAll(error.details, redact)).about(error);
}

function redactAll(value: unknown, redact: (text: string) => string): unknown {
  if (typeof value === "string") return redact(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => redactAll(one, redact));
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, redactAll(one, redact)]),
  );
}

function readDelay(message: string): number | undefined {
  const [, number, unit = ""] = TRY_AGAIN.exec(message) ?? [];
  if (number === undefined) return undefined;
  return Number(number) * (unit.toLowerCase() === "ms" ? 1 : 1_000);
}
