/**
 * The failures of providers, in the shapes that providers use, by an HTTP
 * status and in a success: one classification for all of them (G5, G6).
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  AnswerError,
  NotAStreamError,
  RetryAfterError,
  RetryLimitError,
  UnexpectedStatusError,
} from "../../src/model/mod.ts";
import { readFailure } from "../../src/model/wires/failure.ts";
import { KEY, scriptedModel, WHOLE } from "../support/model/scripted_model.ts";

interface Row {
  readonly name: string;
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
  /** The times of requests: one, or another one that succeeds. */
  readonly times?: readonly number[];
  /**
   * The facts of the error; of a request that is made again, those of the last
   * failure.
   */
  readonly code: string | undefined;
  readonly says: string;
  readonly providerCode?: string;
  readonly param?: string;
  readonly requestId?: string;
}

/** Google's answer to a client that asks too often. */
const GEMINI = {
  error: {
    code: 429,
    message:
      "You exceeded your current quota, please check your plan and billing details.",
    status: "RESOURCE_EXHAUSTED",
    details: [
      {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        violations: [{ quotaId: "GenerateRequestsPerMinutePerProject" }],
      },
      {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        retryDelay: "34.5s",
      },
    ],
  },
};

const openai = (code: string | null, type: string, message: string) => ({
  error: { message, type, param: null, code },
});

const NOW = 1_700_000_000_000;

const ROWS: Row[] = [
  // Final: paid once
  {
    name: "OpenAI's account without quota",
    status: 429,
    body: openai("insufficient_quota", "insufficient_quota", "No quota"),
    code: "insufficient_quota",
    says: "No quota",
    providerCode: "insufficient_quota",
  },
  {
    name: "the same by its type alone, behind a gateway that says 500",
    status: 500,
    body: openai(null, "insufficient_quota", "No quota"),
    code: "insufficient_quota",
    says: "No quota",
    providerCode: "insufficient_quota",
  },
  {
    name: "DeepSeek's empty account",
    status: 402,
    body: openai(
      "invalid_request_error",
      "unknown_error",
      "Insufficient Balance",
    ),
    code: "insufficient_quota",
    says: "Insufficient Balance",
    providerCode: "invalid_request_error",
  },
  {
    name: "Anthropic's empty account",
    status: 400,
    body: {
      type: "error",
      error: {
        type: "invalid_request_error",
        message: "Your credit balance is too low to access the Anthropic API.",
      },
      request_id: "req_a",
    },
    code: "insufficient_quota",
    says: "Your credit balance is too low to access the Anthropic API.",
    providerCode: "invalid_request_error",
    requestId: "req_a",
  },
  {
    name: "OpenAI's long prompt",
    status: 400,
    body: {
      error: {
        message: "Your input exceeds the context window of this model.",
        type: "invalid_request_error",
        param: "input",
        code: "context_length_exceeded",
      },
    },
    code: "context_length_exceeded",
    says: "Your input exceeds the context window of this model.",
    providerCode: "context_length_exceeded",
    param: "input",
  },
  ...[
    ["Anthropic", 400, "prompt is too long: 214315 tokens > 200000 maximum"],
    [
      "Gemini",
      400,
      "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
    ],
    [
      "vLLM",
      400,
      "This model's maximum context length is 8192 tokens. However, you requested 9000.",
    ],
    [
      "xAI",
      400,
      "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
    ],
    [
      "Mistral",
      400,
      "Prompt contains 65673 tokens, too large for model with 32768 maximum context length",
    ],
    [
      "llama.cpp",
      500,
      "the request exceeds the available context size. try increasing it",
    ],
    ["Bedrock", 400, "Input is too long for requested model."],
  ].map(([name, status, message]): Row => ({
    name: `a prompt that is too long in the words of ${name}`,
    status: Number(status),
    body: { error: { message } },
    code: "context_length_exceeded",
    says: String(message),
  })),
  {
    name: "a prompt that no minute's limit has room for",
    status: 429,
    body: openai(
      "rate_limit_exceeded",
      "tokens",
      "Request too large for gpt-5 on tokens per min (TPM): Limit 30000, Requested 40000.",
    ),
    code: "rate_limit_exceeded",
    says:
      "Request too large for gpt-5 on tokens per min (TPM): Limit 30000, Requested 40000.",
    providerCode: "rate_limit_exceeded",
  },
  {
    name: "Groq's prompt that is too large, as 413",
    status: 413,
    body: openai(
      "rate_limit_exceeded",
      "tokens",
      "Please reduce your message size and try again.",
    ),
    code: "rate_limit_exceeded",
    says: "Please reduce your message size and try again.",
    providerCode: "rate_limit_exceeded",
  },
  {
    name: "a gateway's 500 for a request that is the caller's mistake",
    status: 500,
    body: openai("invalid_value", "invalid_request_error", "Invalid role"),
    code: undefined,
    says: "Invalid role",
    providerCode: "invalid_value",
  },
  {
    name: "a rate limit that x-should-retry calls final",
    status: 429,
    body: openai("rate_limit_exceeded", "requests", "Slow"),
    headers: { "x-should-retry": "false" },
    code: "rate_limit_exceeded",
    says: "Slow",
    providerCode: "rate_limit_exceeded",
  },
  {
    name: "a list, as Google has it",
    status: 400,
    body: [{
      error: {
        code: 400,
        message: "API key not valid.",
        status: "INVALID_ARGUMENT",
        details: [
          { reason: "API_KEY_INVALID" },
          {
            fieldViolations: [{ field: "contents[0].parts", description: "x" }],
          },
        ],
      },
    }],
    code: undefined,
    says: "API key not valid.",
    providerCode: "400",
    param: "contents[0].parts",
  },
  {
    name: "a detail in words",
    status: 401,
    body: { detail: "Unauthorized" },
    code: undefined,
    says: "Unauthorized",
  },
  {
    name: "details of FastAPI",
    status: 422,
    body: {
      detail: [
        {
          type: "missing",
          loc: ["body", "messages", 0],
          msg: "Field required",
        },
        { type: "int_type", loc: ["body", "n"], msg: "Not a number" },
      ],
    },
    code: undefined,
    says: "Field required; Not a number",
    providerCode: "missing",
    param: "messages.0",
  },
  {
    name: "Mistral's message, which is an object",
    status: 422,
    body: {
      object: "error",
      message: {
        detail: [{
          type: "missing",
          loc: ["body", "model"],
          msg: "Field required",
        }],
      },
      type: "invalid_request_error",
      param: null,
      code: null,
    },
    code: undefined,
    says: "Field required",
    providerCode: "missing",
    param: "model",
  },
  {
    name: "a code and a message, with an id of the request",
    status: 400,
    body: {
      code: "InvalidParameter",
      message: "No such size",
      request_id: "r-1",
    },
    code: undefined,
    says: "No such size",
    providerCode: "InvalidParameter",
    requestId: "r-1",
  },
  {
    name: "a list of errors",
    status: 403,
    body: {
      success: false,
      errors: [{ code: 10000, message: "Authentication error" }],
    },
    code: undefined,
    says: "Authentication error",
    providerCode: "10000",
  },
  {
    name: "an error that is a text, with a code",
    status: 400,
    body: {
      code: "Client specified an invalid argument",
      error: "Incorrect API key",
    },
    code: undefined,
    says: "Incorrect API key",
    providerCode: "Client specified an invalid argument",
  },
  {
    name: "an error that is a text, with a description",
    status: 401,
    body: {
      error: "invalid_token",
      error_description: "The token has expired",
    },
    code: undefined,
    says: "The token has expired",
  },
  {
    name: "a problem of RFC 9457",
    status: 403,
    body: {
      type: "about:blank",
      title: "Forbidden",
      status: 403,
      detail: "Not in your plan",
    },
    code: undefined,
    says: "Not in your plan",
  },
  {
    name: "what the provider behind OpenRouter says",
    status: 400,
    body: {
      error: {
        message: "Provider returned error",
        code: 400,
        metadata: {
          raw: JSON.stringify({
            error: { message: "prompt is too long: 9 tokens > 8 maximum" },
          }),
          provider_name: "Anthropic",
        },
      },
    },
    code: "context_length_exceeded",
    says: "prompt is too long: 9 tokens > 8 maximum",
    providerCode: "400",
  },
  {
    name: "JSON in a line `error:`",
    status: 400,
    body: 'error: {"message":"Bad model","code":"no_model"}\n',
    code: undefined,
    says: "Bad model",
    providerCode: "no_model",
  },
  {
    name: "an event",
    status: 400,
    body: ': hi\nevent: error\ndata: {"error":{"message":"Bad model"}}\n\n',
    code: undefined,
    says: "Bad model",
  },
  {
    name: "JSON that was cut off",
    status: 400,
    body: '{"error":{"message":"Bad \\"model\\"","details":[{"a":',
    code: undefined,
    says: 'Bad "model"',
  },
  {
    name: "a page",
    status: 403,
    body:
      "<!DOCTYPE html>\n<html><head><title>\n  Access\n denied </title></head></html>",
    code: undefined,
    says: "Access denied",
  },
  {
    name: "words",
    status: 404,
    body: "404 page not found\n",
    code: undefined,
    says: "404 page not found",
  },

  // Temporary: asked again, when the provider says
  {
    name: "Gemini's retryDelay",
    status: 429,
    body: GEMINI,
    times: [NOW, NOW + 34_500],
    code: "rate_limit_exceeded",
    says: GEMINI.error.message,
    providerCode: "429",
  },
  {
    name: "the same in a list",
    status: 429,
    body: [GEMINI],
    times: [NOW, NOW + 34_500],
    code: "rate_limit_exceeded",
    says: GEMINI.error.message,
    providerCode: "429",
  },
  {
    name: "a header rather than a field",
    status: 429,
    body: GEMINI,
    headers: { "retry-after-ms": "120" },
    times: [NOW, NOW + 120],
    code: "rate_limit_exceeded",
    says: GEMINI.error.message,
    providerCode: "429",
  },
  ...([
    ["Please try again in 1.2s. Visit example.com.", 1_200],
    ["Please try again in 28ms.", 28],
    ["Please try again in 6m0s.", 360_000],
    ["Please try again in 1m2.5s. Need more?", 62_500],
    ["Rate limit is exceeded. Try again in 26 seconds.", 26_000],
    ["Please retry after 2 seconds.", 2_000],
    ["Please retry in 34.074824224s.", 34_074.824224],
    ["Please wait 1 minute and retry.", 60_000],
    ["Too many requests, please try again later", 200],
  ] as const).map(([message, delay]): Row => ({
    name: `the words ${JSON.stringify(message)}`,
    status: 429,
    body: { error: { message } },
    times: [NOW, NOW + delay],
    code: "rate_limit_exceeded",
    says: message,
  })),
  {
    name: "a wait in words of a text",
    status: 503,
    body: "Overloaded, try again in 3 s",
    times: [NOW, NOW + 3_000],
    code: "server_is_overloaded",
    says: "Overloaded, try again in 3 s",
  },
  {
    name: "a field retry_after",
    status: 429,
    body: { message: "Slow", retry_after: 1.5 },
    times: [NOW, NOW + 1_500],
    code: "rate_limit_exceeded",
    says: "Slow",
  },
  {
    name: "the headers that OpenRouter repeats",
    status: 429,
    body: {
      error: {
        message: "Rate limit exceeded: free-models-per-min.",
        code: 429,
        metadata: { headers: { "X-RateLimit-Reset": String(NOW + 4_000) } },
      },
    },
    times: [NOW, NOW + 4_000],
    code: "rate_limit_exceeded",
    says: "Rate limit exceeded: free-models-per-min.",
    providerCode: "429",
  },
  {
    name: "Anthropic's overload",
    status: 529,
    body: {
      type: "error",
      error: { type: "overloaded_error", message: "Overloaded" },
    },
    times: [NOW, NOW + 200],
    code: "server_is_overloaded",
    says: "Overloaded",
    providerCode: "overloaded_error",
  },
  {
    name: "a timeout",
    status: 408,
    body: { error: { message: "Timed out", type: "invalid_request_error" } },
    times: [NOW, NOW + 200],
    code: undefined,
    says: "Timed out",
    providerCode: "invalid_request_error",
  },
];

const textOf = (body: unknown) =>
  typeof body === "string" ? body : JSON.stringify(body);

for (const { name, status, body, headers = {}, times, ...expected } of ROWS) {
  Deno.test(`ModelClient reads ${name} (G5, G6: ${status})`, async () => {
    const refusal = { status, headers, chunks: [textOf(body)] };
    if (times) {
      const model = scriptedModel([refusal, WHOLE], {
        now: NOW,
        maxRetryAfter: Infinity,
      });
      assertEquals((await model.ask()).error, undefined);
      assertEquals(model.times, times);
    }
    const model = scriptedModel([refusal], {
      now: NOW,
      maxRetryAfter: Infinity,
      ...times && { provider: { requestMaxRetries: 0 } },
    });
    const { error } = await model.ask();
    assertInstanceOf(error, AnswerError);
    assertEquals(error instanceof RetryLimitError, times !== undefined);
    assertEquals(
      {
        failure: error.failureCode,
        says: error.providerMessage,
        providerCode: error.providerCode,
        param: error.param,
        requestId: error.requestId,
        retryable: error.retryable,
        code: error.code,
        requests: model.times.length,
      },
      {
        failure: expected.code,
        says: expected.says,
        providerCode: expected.providerCode,
        param: expected.param,
        requestId: expected.requestId,
        retryable: times !== undefined,
        code: times ? "retry_limit" : expected.code ?? "unexpected_status",
        requests: 1,
      },
    );
  });

  if (typeof body === "string") continue;
  Deno.test(`ModelClient reads ${name} (G5: in a success)`, async () => {
    const model = scriptedModel([{
      headers: { "Content-Type": "application/json" },
      chunks: [textOf(body)],
    }]);
    const { error } = await model.ask();
    assertInstanceOf(error, NotAStreamError);
    assertEquals(error.providerMessage, expected.says);
    assertEquals(error.param, expected.param);
    assertEquals(model.times.length, 1);
  });

  Deno.test(`readFailure() reads ${name} (G5)`, () => {
    const error = readFailure(body);
    assertEquals(error.providerMessage, expected.says);
    assertEquals(error.providerCode, expected.providerCode);
    assertEquals(error.param, expected.param);
    assertEquals(error.requestId, expected.requestId);
  });
}

Deno.test("ModelClient does not wait for a delay in a body that is too long (G6)", async () => {
  const model = scriptedModel([{
    status: 429,
    chunks: [
      JSON.stringify({ error: { message: "Please try again in 7m23.456s." } }),
    ],
  }]);
  const { error } = await model.ask();
  assertInstanceOf(error, RetryAfterError);
  assertEquals(error.retryAfter, 443_456);
  assertEquals(error.failureCode, "rate_limit_exceeded");
});

Deno.test("ModelClient prefers the id of a request in the headers (G6)", async () => {
  const { error } = await scriptedModel([{
    status: 400,
    headers: { "x-request-id": "req_h" },
    chunks: ['{"error":{"message":"No"},"request_id":"req_b"}'],
  }]).ask();
  assertInstanceOf(error, AnswerError);
  assertEquals(error.requestId, "req_h");
});

Deno.test("ModelClient shows no key that JSON has escaped (G5)", async () => {
  const escaped = [...KEY].map((char) =>
    `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
  ).join("");
  const { error } = await scriptedModel([{
    status: 401,
    chunks: [
      `{"error":{"message":"Wrong key ${escaped}","code":"${escaped}"}}`,
    ],
  }]).ask();
  assertInstanceOf(error, AnswerError);
  assert(error.providerMessage?.startsWith("Wrong key "));
  for (
    const text of [
      error.providerMessage ?? "",
      error.providerCode ?? "",
      JSON.stringify(error.details) ?? "",
    ]
  ) assert(!text.includes(KEY), text);
});

Deno.test("ModelClient reads an error however deep it is nested (G5)", async () => {
  const deep = '{"error":'.repeat(20_000) + '"x"' + "}".repeat(20_000);
  const wide = `[${"[".repeat(30_000)}${"]".repeat(30_000)}]`;
  for (const chunk of [deep, `{"error":{"message":"No","x":${wide}}}`, wide]) {
    const { error } = await scriptedModel([{ status: 400, chunks: [chunk] }])
      .ask();
    assertInstanceOf(error, UnexpectedStatusError);
  }
});

Deno.test("UnexpectedStatusError shows a page by its title (G5)", async () => {
  const page = `<html><title>502 Bad Gateway</title>${
    "x".repeat(5_000)
  }</html>`;
  const { error } = await scriptedModel([{
    status: 400,
    statusText: "Bad Request",
    chunks: [page],
  }]).ask();
  assertInstanceOf(error, UnexpectedStatusError);
  assertEquals(
    error.message,
    "unexpected status 400 Bad Request: 502 Bad Gateway",
  );
  assertEquals(error.body, page);
});
