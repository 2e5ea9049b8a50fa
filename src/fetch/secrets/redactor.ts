// This module is browser compatible.
import { MIN_LENGTH, redactShapes } from "./definition.ts";
import { type RequestWithSecrets, secretsOf } from "./request_secrets.ts";
import { SecretReplacer } from "./secret_replacer.ts";
import { decodedForms, redactUrls } from "./urls.ts";

/**
 * Takes secrets out of a text about a failure: what has the shape of one, and
 * what the URLs hide.
 *
 * @param text The text.
 * @returns The text without them.
 */
export function redactText(text: string): string {
  return redactShapes(redactUrls(text));
}

/**
 * Takes the secrets of one request out of the messages about it: servers quote
 * the key that they refuse, and runtimes the URL that they asked for.
 */
export class Redactor {
  readonly #request: RequestWithSecrets;
  #found: SecretReplacer | undefined;

  /**
   * Makes a redactor, which looks for secrets once there is a text: most requests
   * succeed, and a body may be long.
   *
   * @param request The request. Every part of the query of its URL counts as a
   * secret: any may be a key.
   */
  constructor(request: RequestWithSecrets) {
    this.#request = request;
  }

  get #secrets(): SecretReplacer {
    return this.#found ??= new SecretReplacer([
      ...secretsOf(this.#request),
      ...queryParts(this.#request.url),
    ]);
  }

  /**
   * Takes the secrets out of a text, and what has the shape of one.
   *
   * @param text The text.
   * @returns The text without them.
   */
  text(text: string): string {
    return redactShapes(this.#secrets.text(text));
  }

  /**
   * Takes the secrets, and the queries of all URLs, out of words of the runtime.
   *
   * @param text The words, such as the message of an error.
   * @returns The words without them.
   */
  words(text: string): string {
    return this.text(redactUrls(text));
  }

  /**
   * Takes the secrets out of a response's headers, and the cookies it sets.
   *
   * @param headers The headers.
   * @returns A copy without them.
   */
  headers(headers: Headers): Headers {
    const copy = new Headers();
    for (const [name, value] of headers) {
      if (name !== "set-cookie") copy.append(name, this.text(value));
    }
    return copy;
  }

  /**
   * Takes the secrets, and the queries of all URLs, out of a thrown value.
   *
   * @param thrown The error that the runtime threw.
   * @returns The same if it has none, or else a copy without them.
   */
  thrown(thrown: unknown): unknown {
    if (typeof thrown === "string") return this.words(thrown);
    if (!(thrown instanceof Error)) return thrown;
    const cause = this.thrown(thrown.cause);
    const message = this.words(thrown.message);
    const stack = this.words(thrown.stack ?? "");
    // Bun puts the URL into a property of its own.
    const extra = Object.entries(thrown).filter(([name]) => name !== "cause");
    const clean = extra.map(([name, value]) =>
      [name, typeof value === "string" ? this.words(value) : value] as const
    );
    if (
      cause === thrown.cause && message === thrown.message &&
      stack === (thrown.stack ?? "") &&
      clean.every(([, value], index) => value === extra[index]?.[1])
    ) return thrown;
    const options = cause === undefined ? undefined : { cause };
    const copy = thrown instanceof TypeError
      ? new TypeError(message, options)
      : new Error(message, options);
    Object.assign(copy, Object.fromEntries(clean));
    for (const [name, value] of [["name", thrown.name], ["stack", stack]]) {
      Object.defineProperty(copy, name!, { value, configurable: true });
    }
    return copy;
  }
}

function queryParts(url: string): string[] {
  const [, query = ""] = /\?([^#]*)/s.exec(url) ?? [];
  return query.split(/[?&=]/).flatMap(decodedForms)
    .filter(({ length }) => length >= MIN_LENGTH);
}
