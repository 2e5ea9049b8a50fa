// This module is browser compatible.
import { AnswerError, type ProviderAnswer } from "./answer_error.ts";

/**
 * The provider's answer was a success, and no event stream: a JSON object with an
 * error in it, a page, or nothing.
 *
 * @example An error that comes as a success
 * ```ts
 * import { ModelClient, NotAStreamError, providers, user } from "@rivulet/rivulet/model";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: { ...providers.openai, apiKey: "key" },
 *   fetch: () => Promise.resolve(Response.json({ error: { message: "busy" } })),
 * });
 * const error = await assertRejects(
 *   () => client.stream({ input: [user("Hello")] }),
 *   NotAStreamError,
 * );
 * assertEquals(error.contentType, "application/json");
 * assertEquals(error.providerMessage, "busy");
 * ```
 */
export class NotAStreamError extends AnswerError {
  /** Which error it is. */
  readonly code = "not_a_stream";
  /** Whether the same request may succeed when it is made again: hardly. */
  readonly retryable = false;
  /** The value of the `Content-Type` header; `undefined` if there was none. */
  readonly contentType: string | undefined;
  /** What the provider says in the error that it sent as JSON, if it did. */
  readonly providerMessage: string | undefined;

  /**
   * Makes an error.
   *
   * @param answer The answer.
   * @param options The cause.
   */
  constructor(answer: ProviderAnswer, options?: ErrorOptions) {
    const contentType = answer.headers.get("content-type") ?? undefined;
    const said = errorMessageIn(answer.body);
    super(
      `Cannot stream the response as the content type must be text/event-stream: got ${
        contentType ?? "none"
      }${said === undefined ? "" : `, which says: ${said}`}${
        answer.body === "" ? ", and an empty body" : " (its start is in 'body')"
      }`,
      answer,
      options,
    );
    this.name = "NotAStreamError";
    this.contentType = contentType;
    this.providerMessage = said;
  }
}

/** The message in a body such as `{"error": {"message": "..."}}`. */
function errorMessageIn(body: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined; // a page, or cut off: it is all in `body`
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const error: unknown = "error" in parsed ? parsed.error : parsed;
  if (typeof error === "string") return error;
  if (typeof error !== "object" || error === null) return undefined;
  return "message" in error && typeof error.message === "string"
    ? error.message
    : undefined;
}
