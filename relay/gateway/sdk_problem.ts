import { Problem } from "../problem.ts";

/** The types of errors, in the words of OpenAI's API; of others the class of the status tells. */
const TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
};

/** Refusals of the class 4xx after which the same request may succeed. */
const TEMPORARY_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);

/** The same for codes whose status does not tell. */
const TEMPORARY_CODES: ReadonlySet<string> = new Set(["key_in_use"]);

/**
 * Adds to a refusal what SDKs of model providers look for: `error`, whose words they
 * show, and `X-Should-Retry: false` where the same request would be refused again.
 * SDKs ask again after 409, and agents pay for what they do meanwhile.
 */
export function sdkProblem(problem: Problem): Problem {
  const { status, code, message, facts, headers } = problem;
  const type = TYPES[status] ??
    (status < 500 ? "invalid_request_error" : "server_error");
  const isTemporary = status >= 500 || TEMPORARY_STATUSES.has(status) ||
    TEMPORARY_CODES.has(code);
  return new Problem(
    status,
    code,
    message,
    { ...facts, error: { message, type, code, param: null } },
    { ...headers, ...(!isTemporary && { "X-Should-Retry": "false" }) },
  );
}
