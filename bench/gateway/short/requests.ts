/** A short request, and what the provider answers. */
export interface ShortRequest {
  readonly path: string;
  readonly body: string;
  /** A JSON text. */
  readonly answer: string;
  /** The headers of the request and of its answer besides those that all have. Default: none. */
  readonly headers?: {
    readonly ofRequest: readonly string[];
    readonly ofAnswer: readonly string[];
  };
}

const CHAT: ShortRequest = {
  path: "/v1/chat/completions",
  body: JSON.stringify({
    model: "bench",
    messages: [{ role: "user", content: "Is the sky blue?" }],
  }),
  answer: JSON.stringify({
    id: "chatcmpl-bench",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "bench",
    choices: [{
      index: 0,
      message: { role: "assistant", content: "Yes, by day." },
      finish_reason: "stop",
    }],
    usage: { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17 },
  }),
};

/** The headers that an SDK sends, and that its provider answers with. */
const HEADERS = {
  ofRequest: [
    "Accept: application/json",
    "Accept-Encoding: br, gzip, deflate",
    "Accept-Language: *",
    "Connection: keep-alive",
    "Sec-Fetch-Mode: cors",
    "User-Agent: OpenAI/JS 7.57.0",
    "X-Stainless-Arch: x64",
    "X-Stainless-Lang: js",
    "X-Stainless-OS: Linux",
    "X-Stainless-Package-Version: 7.57.0",
    "X-Stainless-Retry-Count: 0",
    "X-Stainless-Runtime: node",
    "X-Stainless-Runtime-Version: v24.0.0",
    "X-Stainless-Timeout: 600",
  ],
  ofAnswer: [
    "Date: Mon, 30 Nov 2026 10:00:00 GMT",
    "Connection: keep-alive",
    "Access-Control-Expose-Headers: X-Request-ID",
    "OpenAI-Organization: bench",
    "OpenAI-Processing-Ms: 100",
    "OpenAI-Project: proj_bench",
    "OpenAI-Version: 2020-10-01",
    "X-Envoy-Upstream-Service-Time: 110",
    "X-RateLimit-Limit-Requests: 10000",
    "X-RateLimit-Limit-Tokens: 1000000",
    "X-RateLimit-Remaining-Requests: 9999",
    "X-RateLimit-Remaining-Tokens: 999900",
    "X-RateLimit-Reset-Requests: 6ms",
    "X-RateLimit-Reset-Tokens: 0s",
    "X-Request-ID: req_bench",
    "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload",
    "CF-Cache-Status: DYNAMIC",
    "Set-Cookie: __cf_bm=bench; path=/; HttpOnly; Secure",
    "X-Content-Type-Options: nosniff",
    "Server: cloudflare",
    "CF-RAY: bench-FRA",
    'Alt-Svc: h3=":443"; ma=86400',
  ],
};

/** The requests that are measured, by their name. */
export const SHORT_REQUESTS: Readonly<Record<string, ShortRequest>> = {
  chat: CHAT,
  "chat of an SDK": { ...CHAT, headers: HEADERS },
  embeddings: {
    path: "/v1/embeddings",
    body: JSON.stringify({ model: "bench", input: "Why is the sky blue?" }),
    answer: JSON.stringify({
      object: "list",
      data: [{
        object: "embedding",
        index: 0,
        embedding: Array.from(
          { length: 256 },
          (_, index) => Math.round(Math.sin(index) * 1e8) / 1e8,
        ),
      }],
      model: "bench",
      usage: { prompt_tokens: 6, total_tokens: 6 },
    }),
  },
};

function linesOf(headers: readonly string[] = []): string {
  return headers.map((line) => `${line}\r\n`).join("");
}

/** Writes a request of a kind. */
export function requestText({ path, body, headers }: ShortRequest): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\n` +
    "Content-Type: application/json\r\nAuthorization: Bearer bench\r\n" +
    linesOf(headers?.ofRequest) +
    `Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** Writes the provider's answer to it. */
export function answerText({ answer, headers }: ShortRequest): string {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" +
    linesOf(headers?.ofAnswer) +
    `Content-Length: ${answer.length}\r\n\r\n${answer}`;
}
