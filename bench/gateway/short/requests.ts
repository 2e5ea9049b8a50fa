/** A short request, and what the provider answers. */
export interface ShortRequest {
  readonly path: string;
  readonly body: string;
  /** A JSON text. */
  readonly answer: string;
}

/** The requests that are measured, by their name. */
export const SHORT_REQUESTS: Readonly<Record<string, ShortRequest>> = {
  chat: {
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
  },
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

/** Writes a request of a kind. */
export function requestText({ path, body }: ShortRequest): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\n` +
    "Content-Type: application/json\r\nAuthorization: Bearer bench\r\n" +
    `Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** Writes the provider's answer to it. */
export function answerText({ answer }: ShortRequest): string {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" +
    `Content-Length: ${answer.length}\r\n\r\n${answer}`;
}
