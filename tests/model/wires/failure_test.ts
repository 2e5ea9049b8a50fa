import { assertEquals } from "@std/assert";
import type { FailureCode } from "../../../src/model/errors/model_error.ts";
import { readFailure } from "../../../src/model/wires/failure.ts";

interface Expected {
  code: FailureCode;
  retryable: boolean;
  providerCode?: string;
  message?: string;
  type?: string;
  param?: string;
  retryAfter?: number;
}

const CASES: [what: string, details: unknown, expected: Expected][] = [
  ["OpenAI's rate limit", {
    type: "tokens",
    code: "rate_limit_exceeded",
    message: "Rate limit reached for gpt-5. Please try again in 11.054s.",
    param: null,
  }, {
    code: "rate_limit_exceeded",
    retryable: true,
    providerCode: "rate_limit_exceeded",
    type: "tokens",
    retryAfter: 11_054,
  }],
  ["a wait in milliseconds", {
    code: "rate_limit_exceeded",
    message: "Try again in 28ms",
  }, {
    code: "rate_limit_exceeded",
    retryable: true,
    providerCode: "rate_limit_exceeded",
    retryAfter: 28,
  }],
  ["a wait in words", {
    code: "rate_limit_exceeded",
    message: "try again in 35 seconds",
  }, {
    code: "rate_limit_exceeded",
    retryable: true,
    providerCode: "rate_limit_exceeded",
    retryAfter: 35_000,
  }],
  ["a rate limit without a wait", {
    code: "rate_limit_exceeded",
    message: "Slow",
  }, {
    code: "rate_limit_exceeded",
    retryable: true,
    providerCode: "rate_limit_exceeded",
  }],
  ["a wait of something else", {
    code: "server_is_overloaded",
    message: "Please try again in 5s",
  }, {
    code: "server_is_overloaded",
    retryable: true,
    providerCode: "server_is_overloaded",
    retryAfter: 5_000,
  }],
  ["a code that is only in the type", {
    type: "insufficient_quota",
    code: null,
    message: "You exceeded your current quota",
  }, {
    code: "insufficient_quota",
    retryable: false,
    providerCode: "insufficient_quota",
    type: "insufficient_quota",
  }],
  ["the code rather than the type", {
    type: "invalid_request_error",
    code: "context_length_exceeded",
    message: "Too long",
    param: "messages",
  }, {
    code: "context_length_exceeded",
    retryable: false,
    providerCode: "context_length_exceeded",
    type: "invalid_request_error",
    param: "messages",
  }],
  ["a rate limit of a kind that is the caller's", {
    type: "invalid_request_error",
    code: "rate_limit_exceeded",
  }, {
    code: "rate_limit_exceeded",
    retryable: true,
    providerCode: "rate_limit_exceeded",
    type: "invalid_request_error",
  }],
  ["Groq's refused tool call", {
    message: "Tool choice is required, but model did not call a tool",
    type: "invalid_request_error",
    code: "tool_use_failed",
    failed_generation: "",
    status_code: 400,
  }, {
    code: "response_failed",
    retryable: false,
    providerCode: "tool_use_failed",
    type: "invalid_request_error",
  }],
  ["OpenRouter's number", { code: 400, message: "Token limit reached" }, {
    code: "response_failed",
    retryable: false,
    providerCode: "400",
  }],
  ["OpenRouter's broken upstream", { code: 502, message: "Bad gateway" }, {
    code: "response_failed",
    retryable: true,
    providerCode: "502",
  }],
  ["402", { code: 402, message: "Insufficient credits" }, {
    code: "insufficient_quota",
    retryable: false,
    providerCode: "402",
  }],
  ["429", { code: 429, message: "Busy, try again in 2s" }, {
    code: "rate_limit_exceeded",
    retryable: true,
    providerCode: "429",
    retryAfter: 2_000,
  }],
  ["503", { code: 503, message: "Overloaded" }, {
    code: "server_is_overloaded",
    retryable: true,
    providerCode: "503",
  }],
  ["a number as text", { code: "429", message: "Busy" }, {
    code: "rate_limit_exceeded",
    retryable: true,
    providerCode: "429",
  }],
  ["vLLM's", {
    object: "error",
    message: "maximum context length",
    type: "BadRequestError",
    param: null,
    code: 400,
  }, {
    code: "response_failed",
    retryable: false,
    providerCode: "400",
    type: "BadRequestError",
  }],
  ["a status beside a code", {
    status: 429,
    code: "too_busy",
    message: "Busy",
  }, {
    code: "rate_limit_exceeded",
    retryable: true,
    providerCode: "too_busy",
  }],
  ["Gemini's status in words", {
    code: 503,
    status: "UNAVAILABLE",
    message: "The model is overloaded",
  }, {
    code: "server_is_overloaded",
    retryable: true,
    providerCode: "503",
  }],
  ["a wait in capitals", { code: 429, message: "TRY AGAIN IN 20 MS" }, {
    code: "rate_limit_exceeded",
    retryable: true,
    providerCode: "429",
    retryAfter: 20,
  }],
  ["a status that is the caller's beside a code", {
    code: "odd",
    status_code: 422,
  }, { code: "response_failed", retryable: false, providerCode: "odd" }],
  ...[408, 409, 425, 500].map((
    code,
  ): typeof CASES[number] => [`${code}, which may pass`, { code }, {
    code: "response_failed",
    retryable: true,
    providerCode: `${code}`,
  }]),
  ["no permission", { type: "permission_error", message: "No" }, {
    code: "response_failed",
    retryable: false,
    providerCode: "permission_error",
    type: "permission_error",
  }],
  ["no key", { type: "authentication_error" }, {
    code: "response_failed",
    retryable: false,
    providerCode: "authentication_error",
    type: "authentication_error",
  }],
  [
    "Anthropic's overload",
    { type: "overloaded_error", message: "Overloaded" },
    {
      code: "server_is_overloaded",
      retryable: true,
      providerCode: "overloaded_error",
      type: "overloaded_error",
    },
  ],
  ["a server's error", { type: "server_error", code: null }, {
    code: "response_failed",
    retryable: true,
    providerCode: "server_error",
    type: "server_error",
  }],
  ["an event that is the error", {
    type: "error",
    code: null,
    message: "Sorry",
    param: null,
    sequence_number: 3,
  }, { code: "response_failed", retryable: true }],
  ["a code that objects have", { code: "constructor", message: "Odd" }, {
    code: "response_failed",
    retryable: true,
    providerCode: "constructor",
  }],
  ["fields of other types", {
    code: { a: 1 },
    type: 3,
    message: ["x"],
    param: 4,
    status: false,
  }, { code: "response_failed", retryable: true, message: "x" }],
  ["text", "overloaded, sorry", {
    code: "response_failed",
    retryable: true,
    message: "overloaded, sorry",
  }],
  ["null", null, {
    code: "response_failed",
    retryable: true,
    message: "",
  }],
  ["an array", [1], {
    code: "response_failed",
    retryable: true,
    message: "",
  }],
  ["a number", 500, {
    code: "response_failed",
    retryable: true,
    message: "500",
  }],
  ["nothing", {}, {
    code: "response_failed",
    retryable: true,
    message: "",
  }],
];

for (const [what, details, expected] of CASES) {
  Deno.test(`readFailure() reads ${what}`, () => {
    const error = readFailure(details);
    const words = expected.message ??
      (typeof details === "object" && details !== null &&
          "message" in details
        ? details.message
        : "");
    assertEquals({
      code: error.code,
      retryable: error.retryable,
      providerCode: error.providerCode,
      providerMessage: error.providerMessage,
      providerType: error.providerType,
      param: error.param,
      retryAfter: error.retryAfter,
    }, {
      code: expected.code,
      retryable: expected.retryable,
      providerCode: expected.providerCode,
      providerMessage: words,
      providerType: expected.type,
      param: expected.param,
      retryAfter: expected.retryAfter,
    });
    assertEquals(error.details, details);
    assertEquals(
      error.message,
      `the response has failed (${expected.providerCode ?? expected.code}): ${
        words || "the provider gives no reason"
      }`,
    );
  });
}
