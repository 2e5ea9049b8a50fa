// This module is browser compatible.

/**
 * The reason why a chat went no further: the endpoint has `refused` the
 * message; it has taken the message, and no turn has begun in the topic
 * (`no_turn`); a part of the answer was `lost`.
 *
 * @example Which of them the user can mend
 * ```ts
 * import type { ChatErrorCode } from "@rivulet/rivulet/chat";
 *
 * const reload: ChatErrorCode = "lost";
 * ```
 */
export type ChatErrorCode = "refused" | "no_turn" | "lost";

/**
 * A chat could not send a message, or lost a part of an answer. Its message is
 * fit to be shown.
 *
 * @example Tell a refusal from a lost answer
 * ```ts
 * import { ChatError } from "@rivulet/rivulet/chat";
 *
 * function onError(error: Error): void {
 *   if (error instanceof ChatError && error.code === "lost") {
 *     console.warn("Reload the page to see the whole answer");
 *   }
 * }
 * onError(new ChatError("lost", "A part of the answer is missing"));
 * ```
 */
export class ChatError extends Error {
  /** The error's code, for programs. */
  readonly code: ChatErrorCode;
  /** The status of the endpoint's answer, if that was a refusal. */
  readonly status: number | undefined;

  /**
   * Makes an error.
   *
   * @param code The error's code, for programs.
   * @param message The message for people.
   * @param options The status of a refusal, and what was thrown underneath.
   */
  constructor(
    code: ChatErrorCode,
    message: string,
    options: ErrorOptions & { status?: number } = {},
  ) {
    super(message, options);
    this.name = "ChatError";
    this.code = code;
    this.status = options.status;
  }
}
