import { BODY_HINT, UnexpectedResponseError } from "../../src/fetch/errors.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import { redactText } from "../../src/fetch/secrets/redactor.ts";

/** The longest start of an answer that is shown, in UTF-16 code units. */
const MAX_START = 200;

/**
 * Says why an upstream cannot be read, for the operator: with the start of an
 * answer that is not an event stream, in one line and without secrets.
 */
export function failureOf(error: unknown): string {
  const failure = publicFailureOf(error);
  if (!(error instanceof UnexpectedResponseError)) return failure;
  const start = startOf(error.body);
  return start === "" ? failure : `${failure}: ${JSON.stringify(start)}`;
}

/** Says the same for subscribers: the answer of an upstream is not for them. */
export function publicFailureOf(error: unknown): string {
  const message = messageOf(error);
  return message.endsWith(BODY_HINT)
    ? message.slice(0, -BODY_HINT.length)
    : message;
}

function startOf(body: string): string {
  // Shortened last: half of a secret is not recognised.
  const text = redactText(body).replace(/\s+/g, " ").trim();
  return text.length > MAX_START
    ? `${text.slice(0, MAX_START - 1)}…`.toWellFormed()
    : text;
}
