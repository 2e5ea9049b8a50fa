// This module is browser compatible.
import { digest } from "./reproducible.ts";
import { jsonReply, type Reply } from "./reply.ts";

/** The names of each status: OpenAI's type and code, and Anthropic's type. */
const NAMES: Readonly<
  Record<number, readonly [type: string, code: string | null, type: string]>
> = {
  400: ["invalid_request_error", null, "invalid_request_error"],
  401: ["invalid_request_error", "invalid_api_key", "authentication_error"],
  403: ["invalid_request_error", "forbidden", "permission_error"],
  404: ["invalid_request_error", "not_found", "not_found_error"],
  413: ["invalid_request_error", "request_too_large", "request_too_large"],
  429: ["requests", "rate_limit_exceeded", "rate_limit_error"],
  500: ["server_error", "server_error", "api_error"],
  503: ["server_error", "overloaded", "overloaded_error"],
  529: ["server_error", "overloaded", "overloaded_error"],
};

/** The author of an error. */
export type Dialect = "openai" | "anthropic";

/** An error as the body of an answer has it. */
export function failure(
  dialect: Dialect,
  status: number,
  message: string,
  code?: string,
): Readonly<Record<string, unknown>> {
  const [type, usual, anthropic] = NAMES[status] ??
    NAMES[status < 500 ? 400 : 500]!; // both are there
  return dialect === "anthropic"
    ? {
      type: "error",
      error: { type: anthropic, message },
      request_id: `req_${digest(message)}`,
    }
    : { error: { message, type, param: null, code: code ?? usual } };
}

/** An error as an answer. */
export function failureReply(
  dialect: Dialect,
  status: number,
  message: string,
  options: {
    readonly code?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Reply {
  return jsonReply(
    failure(dialect, status, message, options.code),
    status,
    options.headers,
  );
}
