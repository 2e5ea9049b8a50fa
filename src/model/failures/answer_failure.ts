// This module is browser compatible.
import { parseRetryAfter } from "../../fetch/retry.ts";
import type { AnswerFailure, ProviderAnswer } from "../errors/answer_error.ts";
import { type Classification, classify } from "./classify.ts";
import { cutText } from "./cut_text.ts";
import { errorInText } from "./error_text.ts";
import { redactFields } from "./redact_fields.ts";
import { readSaidError } from "./said_error.ts";

/** An answer's error, and whether it passes. */
export interface ClassifiedAnswer extends AnswerFailure {
  /** Whether the same request may succeed later. */
  readonly outlook: Classification["outlook"];
}

/** The headers that providers, and those in front of them, put their id into. */
const REQUEST_ID_HEADERS = [
  "x-request-id",
  "x-oai-request-id",
  "request-id",
  "apim-request-id",
  "x-groq-request-id",
  "cf-ray",
];

/**
 * The id that a provider has given a request.
 *
 * @param headers The headers of the answer.
 * @returns The id; `undefined` if there is none.
 */
export function requestIdOf(
  headers: Pick<Headers, "get">,
): string | undefined {
  for (const name of REQUEST_ID_HEADERS) {
    const id = headers.get(name);
    if (id) return id;
  }
  return undefined;
}

/** The most of a text that counts as the provider's words, in UTF-16 code units. */
const LONGEST_WORDS = 2_000;

/**
 * Reads what a provider says in an answer that is no stream.
 *
 * @param answer The answer.
 * @param now The time, in milliseconds since the epoch.
 * @param redact Takes the secrets of the request out of a text.
 * @returns The error.
 */
export function readAnswer(
  { status, headers, body }: ProviderAnswer,
  now: number,
  redact: (text: string) => string,
): ClassifiedAnswer {
  // The body is redacted; but JSON may have a secret's characters escaped.
  const details = redactFields(errorInText(body), redact);
  const said = readSaidError(details ?? plainText(body), now);
  const { code, outlook } = classify(
    said,
    status >= 300 ? status : undefined,
  );
  return {
    failureCode: code,
    outlook,
    providerCode: said.code,
    providerMessage: said.message || undefined,
    providerType: said.type,
    param: said.param,
    retryAfter: parseRetryAfter(headers, now) ?? said.delay,
    details,
    requestId: requestIdOf(headers) ?? said.requestId,
  };
}

/** A body that is words: no page, no JSON. */
function plainText(body: string): string | undefined {
  const text = body.trim();
  if (/^[<[{]/.test(text)) return undefined;
  return cutText(text, LONGEST_WORDS);
}
