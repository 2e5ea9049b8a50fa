import { isTemporary, Problem } from "../problem.ts";

/** The types of errors, in the words of OpenAI's API; of others the class of the status tells. */
const TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
};

/**
 * Adds to a refusal what SDKs of model providers look for: `error`, whose words they
 * show, and `X-Should-Retry: false` where the same request would be refused again.
 * SDKs ask again after 409, and agents pay for what they do meanwhile.
 */
export function sdkProblem(problem: Problem): Problem {
  const { status, code, message, facts, headers } = problem;
  const type = TYPES[status] ??
    (status < 500 ? "invalid_request_error" : "server_error");
  return new Problem(
    status,
    code,
    message,
    { ...facts, error: { message, type, code, param: null } },
    { ...headers, ...(!isTemporary(problem) && { "X-Should-Retry": "false" }) },
  );
}
