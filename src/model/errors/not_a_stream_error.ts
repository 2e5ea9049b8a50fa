// This module is browser compatible.
import {
  AnswerError,
  type AnswerFailure,
  type ProviderAnswer,
} from "./answer_error.ts";

/**
 * The provider answered with a success status, but not with an event stream:
 * with a JSON object that has an error in it, a page, or nothing.
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
  /**
   * The error's code; `failureCode` has the meaning of an error in the body.
   */
  readonly code = "not_a_stream";
  /** Whether the same request may succeed when it is made again: unlikely. */
  readonly retryable = false;
  /** The value of the `Content-Type` header; `undefined` if there was none. */
  readonly contentType: string | undefined;

  /**
   * Makes an error.
   *
   * @param answer The answer.
   * @param failure The provider's words in it.
   * @param options The cause.
   */
  constructor(
    answer: ProviderAnswer,
    failure: AnswerFailure,
    options?: ErrorOptions,
  ) {
    const contentType = answer.headers.get("content-type") ?? undefined;
    super(
      `Cannot stream the response as the content type must be text/event-stream: got ${
        contentType ?? "none"
      }${
        failure.providerMessage === undefined ||
          typeof failure.details !== "object"
          ? "" // a text or a page, which 'body' shows
          : `, which says: ${failure.providerMessage}`
      }${
        answer.body === "" ? ", and an empty body" : " (its start is in 'body')"
      }`,
      answer,
      failure,
      options,
    );
    this.name = "NotAStreamError";
    this.contentType = contentType;
  }
}
